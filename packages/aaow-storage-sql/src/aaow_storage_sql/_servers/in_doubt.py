"""In-doubt transactions: whether a COMMIT succeeded whose connection was lost before the answer."""

import time
from collections.abc import Callable
from typing import Protocol

from aaow_storage.errors import OutcomeUnknownError, StorageError, StorageUnavailableError
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._statements.connection import SQLConnection

LOST_IN_COMMIT = "the connection was lost during COMMIT"
READ_THE_RECORDS = "read the records to see whether it is stored"


class InDoubtError(OutcomeUnknownError):
    """The connection was lost during COMMIT, and no server can say whether it succeeded."""


class CommitQuestion(Protocol):
    """A transaction before its COMMIT, as one can ask for it on another connection."""

    def resolve(self, connection: SQLConnection) -> bool | None:
        """Return whether the transaction was committed; None if that is not decided yet.

        If the answer is False, the transaction can never be committed afterwards.

        Raises:
            InDoubtError: the server cannot know.
            StorageError: the question failed.
        """


def was_committed(
    question: CommitQuestion,
    settings: ServerSettings,
    connect: Callable[[], SQLConnection],
    *,
    gives_up: Callable[[], bool],
) -> bool:
    """Ask on new connections whether a transaction was committed, until the answer is known.

    Raises:
        InDoubtError: the server cannot know; or none could be asked within `acquire_timeout`, or before `gives_up`
            returned True.
    """
    deadline = time.monotonic() + settings.acquire_timeout
    problem = "its task was cancelled"
    while not gives_up():
        problem = "it has not ended yet"
        outcome = None
        try:
            connection = connect()
            try:
                outcome = question.resolve(connection)
            finally:
                connection.close()
        except InDoubtError:
            raise
        except StorageUnavailableError as error:
            problem = str(error)
        except StorageError as error:  # not the transaction's own, so it does not mean a rollback
            problem = f"{LOST_IN_COMMIT}, and its outcome cannot be asked for: {error}; {READ_THE_RECORDS}"
            raise InDoubtError(problem) from error.__cause__
        if outcome is not None:
            return outcome
        if time.monotonic() > deadline:
            break
        time.sleep(settings.tuning.poll_pause_s())
    raise InDoubtError(f"{LOST_IN_COMMIT}, and no server could say whether it succeeded: {problem}; {READ_THE_RECORDS}")
