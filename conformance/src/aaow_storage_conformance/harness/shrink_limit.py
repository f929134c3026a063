"""A limit of time for hypothesis, which makes an example that fails shorter for five minutes if nothing stops it."""

import time
from collections.abc import Sequence

from _pytest.outcomes import OutcomeException  # noqa: PLC2701 - the base of what ends a test has no public name
from hypothesis.errors import HypothesisException

MAX_SHRINK_S = 20.0


class ShrunkEnough(OutcomeException):
    """The shortest example of those that failed so far. It is no `Exception`, so hypothesis lets it pass."""


class ShrinkLimit:
    """Remembers the shortest example that failed, and when the first one did."""

    def __init__(self, seconds: float = MAX_SHRINK_S) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None
        self._steps: list[object] = []
        self._error: Exception | None = None

    def begin_example(self) -> None:
        """Go on with another example.

        Raises:
            ShrunkEnough: it took long enough since the first one failed.
        """
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            told = [
                f"{type(self._error).__name__}: {self._error}",
                f"after {len(self._steps)} steps:",
                *map(str, self._steps),
            ]
            raise ShrunkEnough("\n".join(told)) from self._error

    def record_failure(self, error: Exception, steps: Sequence[object]) -> None:
        """Remember an example that failed, as the steps that led there."""
        if isinstance(error, HypothesisException):
            return
        if self._ends_at is None or len(steps) <= len(self._steps):
            self._steps, self._error = list(steps), error
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds
