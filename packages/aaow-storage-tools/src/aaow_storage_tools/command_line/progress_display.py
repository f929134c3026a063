"""`ProgressDisplay`: the progress of a long job, as a bar on a terminal or as a line every ten seconds."""

import sys
import time
from typing import TYPE_CHECKING, Any

from aaow_storage_tools.command_line.tables import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from aaow_storage_tools._progress import Progress

PAUSE_S = 10.0
"""How long a plain line of progress is followed by none."""

PATIENCE_S = 0.5
"""How long a job runs before a bar appears."""

REDRAW_S = 0.1


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
        self._bars: Bars | None = None
        self._task: tuple[str, TaskID] | None = None
        self._begun: tuple[str, float, int] = ("", 0.0, 0)
        self._made_at = self._told_at = time.monotonic()

    def __call__(self, step: "Progress") -> None:
        """Show how far the job is."""
        if self._is_quiet:
            return
        if self._begun[0] != step.what:
            self._begun = step.what, time.monotonic(), step.done
        now = time.monotonic()
        if sys.stderr.isatty() and self._write_json is None:
            if now >= max(self._made_at + PATIENCE_S, self._told_at + REDRAW_S):
                self._told_at = now
                self._draw(step)
        elif now - self._told_at >= PAUSE_S:
            self._told_at = now
            if self._write_json is not None:
                document = {"what": step.what, "done": step.done, "total": step.total, "unit": step.unit}
                self._write_json({"type": "progress", **document})
                return
            sys.stderr.write(f"{self.line(step)}\n")
            sys.stderr.flush()

    def line(self, step: "Progress") -> str:
        """Return the progress as one line: how much of how much, how many a second, and how long it will take."""
        _, begun_at, begun_with = self._begun
        passed = time.monotonic() - begun_at
        rate = (step.done - begun_with) / passed if passed > 0 else 0.0
        amount = size_text if step.unit == "bytes" else "{:,}".format
        parts = [f"{step.what}: {amount(step.done)}" + ("" if step.total is None else f" of {amount(step.total)}")]
        if rate > 0:
            parts.append(f"{amount(round(rate))}/s")
            if step.total is not None:
                parts.append(f"{duration_text(max(0, step.total - step.done) / rate)} left")
        return ", ".join(parts)

    def close(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None

    def _draw(self, step: "Progress") -> None:
        if self._bars is None:
            from rich.progress import BarColumn, Progress, TextColumn

            self._bars = Progress(
                TextColumn("{task.fields[line]}"),
                BarColumn(bar_width=None),
                console=self._console(),
                transient=True,
            )
        if self._task is None or self._task[0] != step.what:
            if self._task is not None:
                self._bars.remove_task(self._task[1])
            self._task = step.what, self._bars.add_task("", total=step.total, line=self.line(step))
        self._bars.update(self._task[1], completed=step.done, total=step.total, line=self.line(step))
        self._bars.start()  # which does nothing if it has begun


def duration_text(seconds: float) -> str:
    """Return a duration for people, such as `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
