"""Where a store is and how its connections behave; the options are checked here."""

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from attrs import evolve, field, frozen

from aaow_storage.authoring import shown
from aaow_storage.errors import ValidationError
from aaow_storage_sqlite._dialect import SQLiteDialect
from aaow_storage_sqlite._index_paths import IndexPath, parse_index_path
from aaow_storage_sqlite._location import Location, parse_location
from aaow_storage_sqlite._tuning import Tuning

MAX_READER_THREADS = 64
_OWNER_MODE = 0o600
_MAX_MODE = 0o777


class Synchronous(StrEnum):
    """When a commit is on the disk: `FULL` before the operation returns, `NORMAL` a little later.

    With `NORMAL` a loss of power may lose the last operations, never a part of one. The death of the process loses
    none.
    """

    FULL = "FULL"
    NORMAL = "NORMAL"


@frozen(repr=False)
class Settings:
    """Where the store is, and how its connections and threads behave."""

    location: Location
    synchronous: Synchronous = Synchronous.FULL
    busy_timeout: float = 30.0
    """How long, in seconds, to wait for another connection's lock."""
    indexes: tuple[IndexPath, ...] = ()
    """What the user's own indexes are on."""
    reader_threads: int = 2
    inline_reads: bool = True
    """Whether the event loop reads single records itself while that is quick."""
    changes: bool | None = None
    """Whether the store is to record changes; None leaves it as it is."""
    tuning: Tuning = field(factory=Tuning)

    @property
    def dialect(self) -> SQLiteDialect:
        """The dialect, with the store's name for errors."""
        return SQLiteDialect(str(self.location))


def parse_settings(
    url: str | None,
    *,
    synchronous: str = "FULL",
    busy_timeout: float = 30.0,
    reader_threads: int = 2,
    inline_reads: bool = True,
    file_mode: int | None = None,
    indexes: Iterable[str] = (),
    changes: bool | None = None,
) -> Settings:
    """Check a URL and the options.

    Raises:
        ValidationError: one of them is wrong.
    """
    return Settings(
        location=evolve(parse_location(url), file_mode=_checked_file_mode(file_mode)),
        synchronous=_checked_synchronous(synchronous),
        busy_timeout=_checked_busy_timeout(busy_timeout),
        indexes=_checked_indexes(indexes),
        reader_threads=_checked_reader_threads(reader_threads),
        inline_reads=_checked_inline_reads(inline_reads),
        changes=_checked_changes(changes),
    )


def _checked_file_mode(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is int and 0 <= value <= _MAX_MODE and value & _OWNER_MODE == _OWNER_MODE:
        return value
    given = oct(value) if type(value) is int else shown(value)
    problem = f"must be None, or permissions with which the owner may read and write, from 0o600 to 0o777, not {given}"
    raise _invalid("file_mode", problem)


def _checked_synchronous(value: Any) -> Synchronous:
    for each in Synchronous:
        if isinstance(value, str) and value.upper() == each:
            return each
    raise _invalid("synchronous", f"must be 'FULL' or 'NORMAL', not {shown(value)}")


def _checked_busy_timeout(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise _invalid("busy_timeout", f"must be a number of seconds of 0 or more, not {shown(value)}")
    return float(value)


def _checked_indexes(names: Any) -> tuple[IndexPath, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise _invalid("indexes", f"must be a list of paths such as 'Session.metadata.user', not {shown(names)}")
    return tuple(parse_index_path(name) for name in names)


def _checked_reader_threads(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_READER_THREADS:
        raise _invalid("reader_threads", f"must be an int from 1 to {MAX_READER_THREADS}, not {shown(value)}")
    return value


def _checked_inline_reads(value: Any) -> bool:
    if type(value) is not bool:
        raise _invalid("inline_reads", f"must be True or False, not {shown(value)}")
    return value


def _checked_changes(value: Any) -> bool | None:
    if value is not None and type(value) is not bool:
        raise _invalid("changes", f"must be True, False or None, not {shown(value)}")
    return value


def _invalid(option: str, problem: str) -> ValidationError:
    return ValidationError("sqlite", option, problem)
