"""The options of an adapter, checked when they are set."""

from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from aaow_storage.authoring import shown, text_problem
from aaow_storage_postgresql._conninfo import MAX_NAME_BYTES, place_of
from aaow_storage_postgresql._tuning import Tuning
from aaow_storage_sql import ServerSettings


def _check_schema(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    is_name = (
        isinstance(value, str)
        and 1 <= len(value.encode(errors="replace")) <= MAX_NAME_BYTES
        and "\x00" not in value
        and text_problem(value) is None
    )
    if value is not None and not is_name:
        raise settings.invalid("schema", f"must be a name of 1 to {MAX_NAME_BYTES} bytes, not {shown(value)}")


def _check_pooler(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    if value not in {None, "transaction"}:
        raise settings.invalid("pooler", f"must be 'transaction' or None, not {shown(value)}")


@frozen
class Settings(ServerSettings):
    """Where the database is, and how its connections behave. Times are in seconds.

    Raises:
        ValidationError: an option is wrong.
    """

    backend: ClassVar[str] = "postgresql"

    conninfo: str = field(repr=False)
    """What libpq connects to; it may hold a password."""
    schema: str | None = field(default=None, validator=_check_schema)
    pooler: str | None = field(default=None, validator=_check_pooler, kw_only=True)
    tuning: Tuning = field(factory=Tuning, repr=False, kw_only=True)

    @property
    def place(self) -> str:
        """The database's name for messages, without a password."""
        return place_of(self.conninfo)

    @property
    def has_own_sessions(self) -> bool:
        """Whether a connection keeps its server session between transactions. With a pooler it does not."""
        return self.pooler is None
