"""The executor of MariaDB. The modules with SQLAlchemy are imported by the thread that opens the first store."""

from typing import TYPE_CHECKING

from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import ServerExecutor, import_late

if TYPE_CHECKING:
    from aaow_storage_mariadb._server import MariaDBServer


class MariaDBExecutor(ServerExecutor):
    """Runs operations on the threads of one adapter."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._mariadb_settings = settings
        self._server: MariaDBServer | None = None

    @property
    def writers_wait(self) -> bool:
        """Whether all writers are on one server. On a cluster, one of another node goes first, and aborts the other."""
        is_cluster = len(self._mariadb_settings.location.hosts) > 1
        return not is_cluster and (self._server is None or not self._server.hosts.are_of_cluster)

    def make_server(self) -> "MariaDBServer":
        import_late("aaow_storage_mariadb._server")
        from aaow_storage_mariadb._server import MariaDBServer  # noqa: PLC0415 - imports SQLAlchemy

        if self._server is None:
            self._server = MariaDBServer(self._mariadb_settings)
        return self._server
