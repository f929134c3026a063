"""`Progress`: what a job reports while it runs."""

from collections.abc import Callable
from typing import TypeAlias

from attrs import frozen


@frozen(kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        what: what it does now, such as `"copying sessions"`.
        done: how many records, or bytes, are done.
        total: how many there are, None if nobody knows.
        unit: what is counted.
    """

    what: str
    done: int
    total: int | None = None
    unit: str = "records"


ProgressCallback: TypeAlias = Callable[[Progress], None]
"""Called by a job from time to time, in its own task; it must return soon. What it raises ends the job."""


def ignore_progress(progress: Progress) -> None:
    """Do nothing: what a job calls if nobody wants to know."""
