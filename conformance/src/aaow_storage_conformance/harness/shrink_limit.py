"""A limit of time for shrinking: hypothesis shrinks a failing example for up to five minutes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from _pytest.outcomes import OutcomeException  # noqa: PLC2701 - the base of what ends a test has no public name
from hypothesis.errors import HypothesisException

MAX_SHRINK_S = 20.0


class ShrunkEnough(OutcomeException):
    """The shortest failing example so far. Not an `Exception`, so hypothesis does not catch it."""


class ShrinkLimit:
    """Remembers the shortest failing example, and the time of the first."""

    def __init__(self, seconds: float = MAX_SHRINK_S) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None
        self._steps: list[object] = []
        self._error: Exception | None = None

    def begin_example(self) -> None:
        """Begin another example.

        Raises:
            ShrunkEnough: the limit has passed since the first failure.
        """
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            text = [
                f"{type(self._error).__name__}: {self._error}",
                f"after {len(self._steps)} steps:",
                *map(str, self._steps),
            ]
            raise ShrunkEnough("\n".join(text)) from self._error

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Raise the `ShrunkEnough` of the block, even if hypothesis then complains that an example ended early."""
        try:
            yield
        except HypothesisException as error:
            ended: BaseException | None = error
            while ended is not None and not isinstance(ended, ShrunkEnough):
                ended = ended.__context__
            if ended is None:
                raise
            raise ended from ended.__cause__

    def record_failure(self, error: Exception, steps: Sequence[object]) -> None:
        """Remember a failing example, as its error and steps."""
        if isinstance(error, HypothesisException):
            return
        if self._ends_at is None or len(steps) <= len(self._steps):
            self._steps, self._error = list(steps), error
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._seconds
