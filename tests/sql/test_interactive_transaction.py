"""An error that ends the whole transaction ends it for the caller too, wherever in the transaction it comes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from aaow_storage import TransactionOutcome
from aaow_storage.errors import ContentionError, StorageError, TransactionError
from aaow_storage_sql import Call, InteractiveTransaction, Operation, SQLConnection
from aaow_storage_sqlite._dialect import SQLiteDialect

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0


class ServerError(Exception):
    """An error of a driver."""


class DeadlockError(ServerError):
    """An error after which the server has rolled back the whole transaction."""


class Answer:
    """A cursor of a statement that returned no rows."""

    description = None
    rowcount = 1


class Server:
    """A server that undoes a failed statement alone, but ends a transaction at a deadlock.

    Its driver does not learn that from the error: as of its last answer, the transaction is open.
    """

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.pending: list[str] | None = []
        self.is_open_to_driver = True
        self.fails_at: dict[str, type[ServerError]] = {}
        self.is_closed = False

    def execute(self, text: str, values: Sequence[Any]) -> Answer:
        del values
        error = next((kind for prefix, kind in self.fails_at.items() if text.startswith(prefix)), None)
        if error is not None:
            if error is DeadlockError:
                self.pending = None
            raise error(text)
        self._carry_out(text)
        self.is_open_to_driver = self.pending is not None
        return Answer()

    def _carry_out(self, text: str) -> None:
        if text in {"COMMIT", "ROLLBACK"}:
            self.stored += (self.pending or []) if text == "COMMIT" else []
            self.pending = None
        elif text.startswith("ROLLBACK TO"):
            if self.pending is None:
                raise ServerError("no such savepoint")
            del self.pending[self.pending.index(text.rsplit(maxsplit=1)[-1]) + 1 :]
        elif text.startswith("SAVEPOINT"):
            if self.pending is not None:
                self.pending.append(text.rsplit(maxsplit=1)[-1])
        elif text.startswith("RELEASE"):
            if self.pending is None:
                raise ServerError("no such savepoint")
            self.pending.remove(text.rsplit(maxsplit=1)[-1])
        else:
            (self.stored if self.pending is None else self.pending).append(text)

    def close(self) -> None:
        self.is_closed = True
        self.pending, self.is_open_to_driver = None, False


class ServerDialect(SQLiteDialect):
    """The dialect of the server."""

    driver_error: ClassVar[type[Exception]] = ServerError

    def translate(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        del values
        return ContentionError(str(error)) if isinstance(error, DeadlockError) else StorageError(str(error))

    def is_in_transaction(self, driver_connection: Server) -> bool:
        return driver_connection.is_open_to_driver

    def aborts_transaction(self, error: BaseException) -> bool:
        return isinstance(error.__cause__, DeadlockError)


@pytest.fixture
def server() -> Server:
    """A server that carries everything out, with an open transaction."""
    return Server()


@pytest_asyncio.fixture
async def transaction(server: Server) -> AsyncIterator[InteractiveTransaction]:
    """The transaction that is open, served by a thread."""
    begun = InteractiveTransaction(PATIENCE_S)
    thread = threading.Thread(target=begun.serve, args=[SQLConnection(server, ServerDialect("the server"))])
    thread.start()
    await begun.opened.wait()
    yield begun
    begun.end_with_adapter()
    await asyncio.to_thread(thread.join, PATIENCE_S)
    assert not thread.is_alive()


def write(text: str, *, at_once: bool = False) -> Call[Any]:
    """Return a call that writes a text, by one statement or as an operation of several."""

    def run(connection: SQLConnection) -> None:
        connection.command(text)

    return Call(Operation(run, writes=True, fast_path=run if at_once else None))


async def meet(transaction: InteractiveTransaction, command: str) -> None:
    """Make a call that sends the command."""
    if command == "COMMIT":
        await transaction.commit()
    elif "caller" in command:
        number = await transaction.open_savepoint()
        await transaction.close_savepoint(number, undo=command.startswith("ROLLBACK"))
    else:
        await transaction.run(write("the loser's", at_once=command == "the loser's"))


@pytest.mark.parametrize("at_once", [True, False], ids=["one statement", "several statements"])
async def test_after_a_deadlock_in_an_operation_nothing_is_stored(
    transaction: InteractiveTransaction, server: Server, at_once: bool
):
    await transaction.run(write("first", at_once=at_once))
    server.fails_at = {"the loser's": DeadlockError}
    with pytest.raises(ContentionError):
        await transaction.run(write("the loser's", at_once=at_once))
    with pytest.raises(TransactionError):
        await transaction.run(write("later", at_once=at_once))
    with pytest.raises(TransactionError):
        await transaction.commit()
    assert transaction.outcome is TransactionOutcome.ABORTED
    assert server.stored == []


@pytest.mark.parametrize(
    "command",
    ["SAVEPOINT operation", "RELEASE", "SAVEPOINT caller", "ROLLBACK TO caller", "COMMIT"],
)
async def test_after_a_deadlock_at_a_command_nothing_is_stored(
    transaction: InteractiveTransaction, server: Server, command: str
):
    await transaction.run(write("first", at_once=True))
    server.fails_at = {command: DeadlockError}
    with pytest.raises(StorageError):
        await meet(transaction, command)
    server.fails_at = {}
    for at_once in (True, False):
        with pytest.raises(TransactionError):
            await transaction.run(write("later", at_once=at_once))
    assert transaction.outcome is TransactionOutcome.ABORTED
    assert server.stored == []


async def test_after_a_deadlock_in_undoing_an_operation_nothing_is_stored(
    transaction: InteractiveTransaction, server: Server
):
    server.fails_at = {"refused": ServerError, "ROLLBACK TO": DeadlockError}
    with pytest.raises(StorageError):
        await transaction.run(write("refused"))
    server.fails_at = {}
    with pytest.raises(TransactionError):
        await transaction.run(write("later"))
    assert transaction.outcome is TransactionOutcome.ABORTED
    assert server.stored == []


@pytest.mark.parametrize("at_once", [True, False], ids=["one statement", "several statements"])
async def test_another_error_leaves_the_transaction_usable(
    transaction: InteractiveTransaction, server: Server, at_once: bool
):
    server.fails_at = {"refused": ServerError}
    with pytest.raises(StorageError):
        await transaction.run(write("refused", at_once=at_once))
    await transaction.run(write("later", at_once=at_once))
    await transaction.commit()
    assert server.stored == ["later"]


async def test_a_connection_that_cannot_be_rolled_back_after_a_deadlock_is_closed(
    transaction: InteractiveTransaction, server: Server
):
    server.fails_at = {"the loser's": DeadlockError, "ROLLBACK": ServerError}
    with pytest.raises(ContentionError) as caught:
        await transaction.run(write("the loser's", at_once=True))
    assert "ROLLBACK" in str(caught.value.__notes__)
    assert server.is_closed
    with pytest.raises(TransactionError):
        await transaction.commit()


async def test_a_rollback_that_finds_the_transaction_ended_by_another_is_no_error(
    transaction: InteractiveTransaction, server: Server
):
    await transaction.run(write("first", at_once=True))
    server.fails_at = {"ROLLBACK": DeadlockError}
    await transaction.rollback()
    assert transaction.outcome is TransactionOutcome.ROLLED_BACK
    assert server.stored == []
    assert server.pending is None
