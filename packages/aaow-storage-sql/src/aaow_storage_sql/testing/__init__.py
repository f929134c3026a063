"""What the private servers of SQL backends share, for tests: their user, folders and ports, and a proxy."""

from aaow_storage_sql.testing._missing_programs import NotInstalledError, skipped_where_missing
from aaow_storage_sql.testing._owner import ServerOwner
from aaow_storage_sql.testing._ports import free_port
from aaow_storage_sql.testing._proxies import Proxy, proxy_of

__all__ = [
    "NotInstalledError",
    "Proxy",
    "ServerOwner",
    "free_port",
    "proxy_of",
    "skipped_where_missing",
]
