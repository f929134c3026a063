"""The maintenance of the records of a SQL store: checks, repairs, sizes of sessions."""

import functools
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from aaow_storage.authoring import RecordFinding, SessionSize
from aaow_storage.errors import CorruptDataError
from aaow_storage_sql._late_imports import LateModule
from aaow_storage_sql._maintenance import ThreadedMaintenance
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._threads.opening import Opening

if TYPE_CHECKING:
    from aaow_storage_sql import _record_checks as checks
    from aaow_storage_sql import _session_sizes as sizes
else:
    checks = LateModule(f"{__package__}._record_checks")
    sizes = LateModule(f"{__package__}._session_sizes")

T = TypeVar("T")


class RecordMaintenance(ThreadedMaintenance):
    """Maintenance that reads the rows of a store, and repairs some; a backend says how it connects."""

    @abstractmethod
    def reading_rows(self, opening: Opening) -> AbstractContextManager[SQLConnection]:
        """Return a connection to the store for `with`, whose statements a cancellation ends."""

    @abstractmethod
    def changing_rows(self, opening: Opening) -> AbstractContextManager[SQLConnection]:
        """Return a connection in a transaction for `with`, which commits at the end, and rolls back if it raises."""

    async def check_records(self, *, repair: bool = False) -> AsyncIterator[RecordFinding]:
        for check in checks.CHECKS:
            after: checks.Key | None = None
            while True:
                try:
                    found, after = await self.run(functools.partial(self._find, check, after))
                except CorruptDataError as error:
                    yield _unreadable(self.place, error)
                    break
                for finding in found:
                    if repair and finding.is_repairable and check.repair is not None:
                        is_repaired = await self.run(functools.partial(self._repair, check.repair, finding))
                        yield evolve(finding, is_repaired=is_repaired)
                    else:
                        yield finding
                if after is None:
                    break

    def _find(self, check: "checks.RecordCheck", after: "checks.Key | None", opening: Opening) -> "checks.Found":
        with self.reading_rows(opening) as connection:
            return check.find(connection, after)

    def _repair(self, repair: "checks.Repair", finding: RecordFinding, opening: Opening) -> bool:
        with self.changing_rows(opening) as connection:
            return repair(connection, finding)

    async def delete_unused_documents(self) -> int:
        deleted = 0
        after: checks.Key | None = None
        while True:
            found, after = await self.run(functools.partial(self._find, checks.UNUSED_DOCUMENTS, after))
            for finding in found:
                deleted += await self.run(functools.partial(self._repair, checks.release, finding))
            if after is None:
                return deleted

    async def measure_sessions(self, session_ids: Sequence[str]) -> dict[str, SessionSize]:
        return await self.run(functools.partial(self._measure, session_ids))

    def _measure(self, session_ids: Sequence[str], opening: Opening) -> dict[str, SessionSize]:
        with self.reading_rows(opening) as connection:
            return sizes.measure(connection, session_ids)

    async def trim_session(self, session_id: str, limit: int) -> int:
        return await self.run(functools.partial(self._trim, session_id, limit))

    def _trim(self, session_id: str, limit: int, opening: Opening) -> int:
        with self.changing_rows(opening) as connection:
            return sizes.trim(connection, session_id, limit)


def _unreadable(place: str, error: CorruptDataError) -> RecordFinding:
    return RecordFinding(
        code="store-damaged",
        kind=None,
        id=None,
        place=place,
        problem=f"rows cannot be read: {error}",
        remedy="restore a backup that was verified, or copy what can be read with `aaow-storage copy`",
    )
