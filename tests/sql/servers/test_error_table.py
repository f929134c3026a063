"""The table of a driver's errors: which storage error each becomes, and what its message says."""

import pytest

from aaow_storage.errors import (
    ContentionError,
    CorruptDataError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    ValidationError,
)
from aaow_storage_sql import ErrorTable, Meaning

PLACE = "the database 'agents' on db"


class DriverError(Exception):
    """An error of a driver, with a code or without."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class ConnectionGoneError(DriverError):
    """What the driver raises if it finds the connection closed."""


KINDS = {
    Meaning.CONFLICT: ContentionError,
    Meaning.MISSING_REFERENCE: ContentionError,
    Meaning.DUPLICATE: ContentionError,
    Meaning.LATE: StorageUnavailableError,
    Meaning.LOCKED: StoreBusyError,
    Meaning.LOST: StorageUnavailableError,
    Meaning.TOO_MANY_CONNECTIONS: StorageUnavailableError,
    Meaning.UNAVAILABLE: StorageUnavailableError,
    Meaning.TOO_LARGE: ValidationError,
    Meaning.CORRUPT: CorruptDataError,
    Meaning.OTHER_SCHEMA: CorruptDataError,
    Meaning.BROKEN_RULE: StorageError,
    Meaning.REFUSED: StorageError,
}
CODES = dict(enumerate(Meaning, 1))
CODE_OF = {meaning: code for code, meaning in CODES.items()}
TABLE = ErrorTable(
    backend="some",
    database="SomeDB",
    code_of=lambda error: error.code,
    codes=CODES,
    texts={"too many": Meaning.TOO_MANY_CONNECTIONS, "login": Meaning.REFUSED},
    classes={ConnectionGoneError: Meaning.LOST},
    remedies={CODE_OF[Meaning.LOCKED]: "look into `locks`"},
    remedies_of_texts={"disk": "free space", "login": "check the password"},
)


@pytest.mark.parametrize("meaning", Meaning, ids=lambda meaning: meaning.name)
def test_each_meaning_has_its_storage_error_which_names_the_database_and_the_cause(meaning: Meaning):
    error = DriverError("odd\nthing", CODE_OF[meaning])
    made = TABLE.translate(error, PLACE)
    assert TABLE.meaning(error) is meaning
    assert type(made) is KINDS[meaning]
    assert "odd thing" in str(made)
    assert PLACE in str(made) or meaning is Meaning.TOO_LARGE


def test_a_text_has_a_meaning_only_where_there_is_no_code():
    assert TABLE.meaning(DriverError("too many clients")) is Meaning.TOO_MANY_CONNECTIONS
    assert TABLE.meaning(DriverError("too many clients", 99)) is None


def test_a_class_has_a_meaning_where_neither_code_nor_text_has():
    assert TABLE.meaning(ConnectionGoneError("closed")) is Meaning.LOST
    assert TABLE.meaning(ConnectionGoneError("login")) is Meaning.REFUSED
    assert TABLE.meaning(DriverError("closed")) is None


def test_an_error_that_nothing_knows_is_a_plain_storage_error_without_a_remedy():
    made = TABLE.translate(DriverError("the disk is odd", 99), PLACE)
    assert type(made) is StorageError
    assert str(made) == f"{PLACE}: the disk is odd"


@pytest.mark.parametrize(
    ("text", "meaning", "remedy"),
    [
        ("held", Meaning.LOCKED, "look into `locks`"),
        ("the disk is full", Meaning.UNAVAILABLE, "free space"),
        ("odd", Meaning.UNAVAILABLE, "try again later"),
        ("the disk is torn", Meaning.CORRUPT, "restore a backup"),
    ],
)
def test_the_remedy_comes_from_the_code_then_from_the_text_then_from_the_meaning(
    text: str, meaning: Meaning, remedy: str
):
    assert str(TABLE.translate(DriverError(text, CODE_OF[meaning]), PLACE)) == f"{PLACE}: {text}; {remedy}"


def test_passwords_in_texts_are_hidden():
    made = TABLE.translate(DriverError("login at some://app:s3cret@db/agents", None), PLACE)
    assert "s3cret" not in str(made)
    assert str(made).endswith("; check the password")
