"""Private MariaDB servers and databases for tests, made with the MariaDB that is installed or unpacked."""

from aaow_storage_mariadb.testing._clusters import Cluster, Node, NodeState, private_cluster
from aaow_storage_mariadb.testing._databases import URL_VARIABLE, temporary_database
from aaow_storage_mariadb.testing._programs import BINARIES_VARIABLE, NoGaleraError, NoMariaDBError
from aaow_storage_mariadb.testing._servers import Server, private_server
from aaow_storage_sql.testing import skipped_where_missing

__all__ = [
    "BINARIES_VARIABLE",
    "URL_VARIABLE",
    "Cluster",
    "NoGaleraError",
    "NoMariaDBError",
    "Node",
    "NodeState",
    "Server",
    "private_cluster",
    "private_server",
    "skipped_where_missing",
    "temporary_database",
]
