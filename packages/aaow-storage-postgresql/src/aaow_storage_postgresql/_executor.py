"""The executor of PostgreSQL."""

from typing import TYPE_CHECKING

from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import ServerExecutor, import_late, operation

if TYPE_CHECKING:
    from aaow_storage_postgresql._server import PostgreSQLServer
    from aaow_storage_sql import SQLConnection


@operation(writes=False)
def _version(connection: "SQLConnection") -> object:
    """Return what is committed now, as the server tells it: which transactions have ended."""
    return connection.command("SELECT pg_current_snapshot()::text")


class PostgreSQLExecutor(ServerExecutor):
    """Runs operations on the threads of one adapter."""

    version = _version
    _settings: Settings

    def make_server(self) -> "PostgreSQLServer":
        import_late("aaow_storage_postgresql._server")
        from aaow_storage_postgresql._server import PostgreSQLServer  # noqa: PLC0415 - imports SQLAlchemy

        return PostgreSQLServer(self._settings)
