"""What the maintenance of every SQL store needs: a thread that a cancellation ends, and the plan of an upgrade."""

import asyncio
import functools
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aaow_storage.authoring import SchemaStatus, StoreMaintenance, cleaning_up_after, unforeseen
from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_sql._late_imports import LateModule, import_migrations
from aaow_storage_sql._schema import revisions
from aaow_storage_sql._schema.revisions import HEAD, REVISIONS, VERSION_TABLE, installed_revision
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.run_in_thread import run_in_thread, wait_despite_cancellation
from aaow_storage_sql._tuning import DEFAULT
from aaow_storage_sql._upgrade import migrate_to

if TYPE_CHECKING:
    from aaow_storage_sql._migrations import history
else:
    history = LateModule(f"{__package__}._migrations.history")

T = TypeVar("T")


class ThreadedMaintenance(StoreMaintenance):
    """Maintenance whose methods run on a thread. A cancelled method interrupts its thread, and waits for its end."""

    async def run(self, function: Callable[[Opening], T]) -> T:
        """Run a function on a thread; it checks its argument for a cancellation.

        Raises:
            StorageError: whatever failed.
        """
        opening = Opening()
        future = run_in_thread(functools.partial(_run, function, opening), "aaow-maintenance")
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError as error:
            opening.cancel()
            with cleaning_up_after(error):
                interrupting = run_in_thread(opening.interrupt_until_ended, "aaow-interrupting")
                await wait_despite_cancellation(interrupting, DEFAULT.undo_timeout_s)
                await wait_despite_cancellation(future, DEFAULT.undo_timeout_s)
            raise


def _run(function: Callable[[Opening], T], opening: Opening) -> T:
    try:
        return function(opening)
    except asyncio.CancelledError:
        raise
    except StorageError:
        opening.check()  # what it ran was interrupted
        raise
    except Exception as error:
        opening.check()
        raise unforeseen(error) from error
    finally:
        opening.end()


def schema_status_of(found: str | None, *, is_made_whole: bool = False) -> SchemaStatus:
    """Return the status of a store with that version, None for one without a schema.

    Args:
        found: the version.
        is_made_whole: whether a new store is made from the tables of this release, not by all revisions.
    """
    unfinished = installed_revision(found)
    is_newer = found is not None and (unfinished or found) not in revisions.REVISIONS
    due: tuple[str, ...] = ()
    if unfinished or (found is None and is_made_whole):
        due = () if is_newer else ("the tables that are missing",)
    elif not is_newer:
        due = tuple(map(_title, _due(found)))
    return SchemaStatus(found=found, expected=revisions.HEAD, pending=due, is_newer=is_newer)


def _due(found: str | None) -> Sequence[str]:
    return revisions.REVISIONS[("", *revisions.REVISIONS).index(found or "") :]


def _title(revision: str) -> str:
    """Return the revision, and the first line of what it says of itself."""
    import_migrations()
    (step,) = (each for each in history.HISTORY if each.revision == revision)
    return history.title_of(step)


def plan_upgrade(connection: "PlanningConnection", found: str | None) -> str:
    """Return the statements of an upgrade from a revision, with a heading for each step; empty if none is due.

    Raises:
        SchemaVersionError: a later release made the store.
    """
    if found is not None and found not in REVISIONS:
        raise SchemaVersionError(found, HEAD, "it was made by a newer release; install that release or a later one")
    parts: list[str] = []
    before = found
    for revision in _due(found):
        migrate_to(connection, before, revision)
        before = revision
        statements = [*connection.taken()]
        parts += [f"-- {_title(revision)}", *(statements or ["-- nothing to change in this store"]), ""]
    if parts:
        delete, insert = f"DELETE FROM {VERSION_TABLE};", f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}');"  # noqa: S608 - names of ours
        parts += ["-- the version of the store", delete, insert]
    return "\n".join(parts)


class PlanningConnection(SQLConnection):
    """A connection that notes what a migration would run.

    Args:
        connection: the connection whose dialect it has.
        run: runs a statement that is not for the table of versions, on whatever stands for the store.
    """

    def __init__(self, connection: SQLConnection, run: Callable[[str], Any]) -> None:
        super().__init__(connection.driver_connection, connection.dialect)
        self._run = run
        self._noted: list[str] = []

    def taken(self) -> list[str]:
        """Return what was noted since the last call, without queries."""
        noted, self._noted = self._noted, []
        return [_rendered(text) for text in noted if not _is_query(text)]

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        del values  # only the table of versions is written with values
        if VERSION_TABLE in text and not _is_query(text):
            return Nothing()
        self._noted.append(text)
        return self._run(text)


class Nothing:
    """The cursor of a statement that was not run."""

    description = None
    rowcount = 0

    def fetchmany(self, size: int) -> list[Any]:
        """Return no rows."""
        del size
        return []


def _is_query(text: str) -> bool:
    words = text.split(maxsplit=1)
    return words[:1] == ["SELECT"] or (words[:1] == ["PRAGMA"] and "=" not in text)


def _rendered(text: str) -> str:
    return textwrap.dedent(text).strip() + ";"  # with its white space: SQLite keeps the text of a table
