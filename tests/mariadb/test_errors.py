"""An error of connecting says what is wrong and what to do, and is one to try again only if that can help."""

from pathlib import Path

import pymysql
import pytest

from aaow_storage import create_adapter
from aaow_storage.errors import ContentionError, StorageError, StorageUnavailableError, StoreBusyError, ValidationError
from aaow_storage_mariadb._drivers.pymysql import PyMySQLDialect


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (pymysql.OperationalError(1213, "Deadlock found"), ContentionError, "try again"),
        (pymysql.OperationalError(1205, "Lock wait timeout exceeded"), StoreBusyError, "INNODB_TRX"),
        (pymysql.OperationalError(1045, "Access denied"), StorageError, "check user and password"),
        (pymysql.OperationalError(1049, "Unknown database"), StorageError, "create the database"),
        (pymysql.OperationalError(1047, "WSREP has not yet prepared node"), StorageUnavailableError, "quorum"),
        (pymysql.OperationalError(2003, "Can't connect to MySQL server"), StorageUnavailableError, "server runs"),
        (
            pymysql.OperationalError(2003, "Can't connect to MySQL server: CERTIFICATE_VERIFY_FAILED"),
            StorageUnavailableError,
            "ssl_ca=",
        ),
        (pymysql.OperationalError(2026, "SSL is required"), StorageError, "TLS"),
        (pymysql.OperationalError(1665, "Cannot execute statement"), StorageError, "binlog_format"),
        (pymysql.DataError(1406, "Data too long"), ValidationError, "larger than MariaDB can store"),
        (pymysql.InterfaceError(0, ""), StorageUnavailableError, "try again later"),
    ],
)
def test_an_error_of_the_driver_says_what_to_do(error: Exception, kind: type[StorageError], remedy: str):
    made = PyMySQLDialect("MariaDB database 'agents' on db:3306").translate(error)
    assert type(made) is kind
    assert remedy in str(made)


@pytest.mark.asyncio
async def test_a_file_of_certificates_that_is_missing_is_named(tmp_path: Path):
    missing = tmp_path / "ca.pem"
    adapter = create_adapter(f"mariadb://app@127.0.0.1:1/agents?ssl_ca={missing}")
    with pytest.raises(StorageError, match=r"ca\.pem") as caught:
        await adapter.initialize()
    assert not isinstance(caught.value, StorageUnavailableError)
