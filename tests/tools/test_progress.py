"""The progress of long jobs: a bar on a terminal, a line every ten seconds elsewhere."""

import io
import json
import sys

import pytest
from rich.console import Console

from aaow_storage_tools._progress import Progress
from aaow_storage_tools.command_line import progress_display
from aaow_storage_tools.command_line.progress_display import ProgressDisplay, duration_text
from aaow_storage_tools.command_line.terminal import Terminal


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the display."""
    clock = Clock()
    monkeypatch.setattr(progress_display, "time", clock)
    return clock


def copy(report: ProgressDisplay, clock: Clock, seconds: int) -> None:
    """Report 100 sessions a second."""
    for second in range(seconds):
        report(Progress(what="copying sessions", done=100 * second, total=10_000))
        clock.seconds += 1


def test_a_line_every_ten_seconds_has_rate_and_remaining_time(clock: Clock, capsys: pytest.CaptureFixture[str]):
    with Terminal().progress() as report:
        copy(report, clock, 25)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "copying sessions: 1,000 of 10,000, 100/s, 1 min 30 s left",
        "copying sessions: 2,000 of 10,000, 100/s, 1 min 20 s left",
    ]


def test_with_json_the_lines_are_json(clock: Clock, capsys: pytest.CaptureFixture[str]):
    with Terminal(is_json=True).progress() as report:
        copy(report, clock, 15)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line) == {
        "schema": 1,
        "type": "progress",
        "what": "copying sessions",
        "done": 1000,
        "total": 10_000,
        "unit": "records",
    }


def test_quiet_progress_is_silent(clock: Clock, capsys: pytest.CaptureFixture[str]):
    with Terminal(is_quiet=True).progress() as report:
        copy(report, clock, 25)
    assert capsys.readouterr().err == ""


def test_bytes_are_told_in_units(clock: Clock):
    report = ProgressDisplay(Console, is_quiet=False)
    report(Progress(what="backup", done=0, total=10 * 2**20, unit="bytes"))
    clock.seconds += 2
    line = report.line(Progress(what="backup", done=4 * 2**20, total=10 * 2**20, unit="bytes"))
    assert line == "backup: 4.0 MiB of 10.0 MiB, 2.0 MiB/s, 3 s left"


def test_a_job_of_unknown_length_has_no_remaining_time(clock: Clock):
    report = ProgressDisplay(Console, is_quiet=False)
    report(Progress(what="reading", done=0))
    clock.seconds += 1
    assert report.line(Progress(what="reading", done=7)) == "reading: 7, 7/s"


def test_a_terminal_gets_a_bar_after_a_moment_and_it_goes(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    report = ProgressDisplay(lambda: console, is_quiet=False)
    report(Progress(what="copying sessions", done=1, total=9))
    assert screen.getvalue() == ""
    clock.seconds += 1
    report(Progress(what="copying sessions", done=3, total=9))
    assert "copying sessions: 3 of 9, 2/s, 3 s left" in screen.getvalue()
    clock.seconds += 1
    report(Progress(what="comparing", done=4, total=9))
    report.close()
    assert "comparing: 4 of 9" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # the line is cleared


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3_700, "1 h 1 min")])
def test_durations_are_told_in_units(seconds: float, text: str):
    assert duration_text(seconds) == text
