"""`ProgressDisplay`: the progress of a long job, as a bar on a terminal or as a line every ten seconds."""

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console
    from rich.progress import Progress, TaskID

PAUSE_S = 10.0
"""How long a plain line of progress is followed by none."""

PATIENCE_S = 0.5
"""How long a job runs before a bar appears."""


class Step(Protocol):
    """What a job reports: how much is done, of how much if that is known, and of what."""

    @property
    def done(self) -> int:
        """How many are done."""

    @property
    def total(self) -> int | None:
        """How many there are, None if that is not known."""

    @property
    def what(self) -> str:
        """What is counted, such as `sessions`."""


class ProgressDisplay:
    """A progress callback that shows the progress on stderr."""

    def __init__(
        self,
        console: "Callable[[], Console]",
        *,
        is_quiet: bool,
        write_json: "Callable[[Mapping[str, Any]], None] | None" = None,
    ) -> None:
        self._console = console
        self._write_json = write_json
        self._is_quiet = is_quiet
        self._bars: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._begun: tuple[str, float, int] = ("", 0.0, 0)
        self._made_at = self._told_at = time.monotonic()

    def __call__(self, step: Step) -> None:
        """Show how far the job is."""
        if self._is_quiet:
            return
        if self._begun[0] != step.what:
            self._begun = step.what, time.monotonic(), step.done
        if sys.stderr.isatty() and self._write_json is None:
            if time.monotonic() - self._made_at >= PATIENCE_S:
                self._draw(step)
        elif time.monotonic() - self._told_at >= PAUSE_S:
            self._told_at = time.monotonic()
            if self._write_json is not None:
                self._write_json({"type": "progress", "what": step.what, "done": step.done, "total": step.total})
                return
            sys.stderr.write(f"{self.line(step)}\n")
            sys.stderr.flush()

    def line(self, step: Step) -> str:
        """Return the progress as one line: how much of how much, how many a second, and how long it will take."""
        _, begun_at, begun_with = self._begun
        passed = time.monotonic() - begun_at
        rate = (step.done - begun_with) / passed if passed > 0 else 0.0
        parts = [f"{step.what}: {step.done:,}" + ("" if step.total is None else f" of {step.total:,}")]
        if rate > 0:
            parts.append(f"{rate:,.0f}/s")
            if step.total is not None:
                parts.append(f"{duration_text(max(0, step.total - step.done) / rate)} left")
        return ", ".join(parts)

    def close(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None

    def _draw(self, step: Step) -> None:
        if self._bars is None:
            from rich.progress import BarColumn, Progress, TextColumn

            self._bars = Progress(
                TextColumn("{task.fields[line]}"),
                BarColumn(bar_width=None),
                console=self._console(),
                transient=True,
            )
            self._bars.start()
        if self._task is None or self._task[0] != step.what:
            if self._task is not None:
                self._bars.remove_task(self._task[1])
            self._task = step.what, self._bars.add_task("", total=step.total, line="")
        self._bars.update(self._task[1], completed=step.done, total=step.total, line=self.line(step))


def duration_text(seconds: float) -> str:
    """Return a duration for people, such as `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
