"""The options of an adapter, checked when they are set."""

from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from aaow_storage.authoring import shown
from aaow_storage_mariadb._drivers.choice import DEFAULT_DRIVER, problem_of
from aaow_storage_mariadb._location import Location
from aaow_storage_sql import ServerSettings

_MAX_SYNC_WAIT = 15


def _check_sync_wait(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    if value is not None and (type(value) is not int or not 0 <= value <= _MAX_SYNC_WAIT):
        raise settings.invalid("sync_wait", f"must be None or an int from 0 to {_MAX_SYNC_WAIT}, not {shown(value)}")


def _check_driver(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    if (problem := problem_of(value)) is not None:
        raise settings.invalid("driver", problem)


@frozen(kw_only=True)
class Settings(ServerSettings):
    """Where the database is, and how its connections behave. Times are in seconds.

    Raises:
        ValidationError: an option is wrong.
    """

    backend: ClassVar[str] = "mariadb"
    default_pool_size: ClassVar[int] = 32
    """A commit waits for the disk, and the commits of many connections are written together."""

    location: Location
    sync_wait: int | None = field(default=None, validator=_check_sync_wait)
    """`wsrep_sync_wait` of the connections; None leaves that of the server."""
    driver: str = field(default=DEFAULT_DRIVER, validator=_check_driver)
    """The Python driver of the connections."""

    @property
    def place(self) -> str:
        """The database's name for messages, without a password."""
        return self.location.place
