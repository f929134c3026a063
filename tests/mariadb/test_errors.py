"""An error of connecting says what is wrong and what to do, and is one to try again only if that can help."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from aaow_storage import create_adapter
from aaow_storage.errors import ContentionError, StorageError, StorageUnavailableError, StoreBusyError, ValidationError
from aaow_storage_mariadb._drivers.choice import driver_named


@pytest.mark.parametrize(
    ("raised", "kind", "remedy"),
    [
        (("OperationalError", 1213, "Deadlock found"), ContentionError, "try again"),
        (("OperationalError", 1205, "Lock wait timeout exceeded"), StoreBusyError, "INNODB_TRX"),
        (("OperationalError", 1045, "Access denied"), StorageError, "check user and password"),
        (("OperationalError", 1049, "Unknown database"), StorageError, "create the database"),
        (("OperationalError", 1047, "WSREP has not yet prepared node"), StorageUnavailableError, "quorum"),
        (("OperationalError", 2003, "Can't connect to MySQL server"), StorageUnavailableError, "server runs"),
        (
            ("OperationalError", 2003, "Can't connect to MySQL server: CERTIFICATE_VERIFY_FAILED"),
            StorageUnavailableError,
            "ssl_ca=",
        ),
        (("OperationalError", 2026, "SSL is required"), StorageError, "TLS"),
        (("OperationalError", 1665, "Cannot execute statement"), StorageError, "binlog_format"),
        (("OperationalError", 2026, "TLS/SSL error: self-signed certificate"), StorageError, "ssl_ca="),
        (("OperationalError", 2013, "Lost connection to server"), StorageUnavailableError, "try again later"),
        (("DataError", 1406, "Data too long"), ValidationError, "larger than MariaDB can store"),
        (("InterfaceError", 0, ""), StorageUnavailableError, "try again later"),
    ],
)
def test_an_error_of_the_driver_says_what_to_do(
    driver: str, driver_module: ModuleType, raised: tuple, kind: type[StorageError], remedy: str
):
    name, *arguments = raised
    error = getattr(driver_module, name)(*arguments)
    made = driver_named(driver).dialect("MariaDB database 'agents' on db:3306").to_storage_error(error)
    assert type(made) is kind
    assert remedy in str(made)


@pytest.mark.asyncio
async def test_a_file_of_certificates_that_is_missing_is_named(driver: str, tmp_path: Path):
    missing = tmp_path / "ca.pem"
    adapter = create_adapter(f"mariadb://app@127.0.0.1:1/agents?ssl_ca={missing}", driver=driver)
    with pytest.raises(StorageError, match=r"ca\.pem") as caught:
        await adapter.initialize()
    assert not isinstance(caught.value, StorageUnavailableError)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "is_unavailable", "says"),
    [
        (lambda url: url.replace("aaow:aaow@", "aaow:wrong@"), False, "check user and password"),
        (lambda url: url.rpartition("/")[0] + "/missing", False, "create the database"),
        (lambda url: re.sub(r":\d+/", ":1/", url), True, "check that the server runs"),
    ],
    ids=["a wrong password", "no such database", "no server"],
)
async def test_an_adapter_that_cannot_connect_says_why(
    url: str, driver: str, change: Callable[[str], str], is_unavailable: bool, says: str
):
    with pytest.raises(StorageError, match=says) as caught:
        await create_adapter(change(url), driver=driver).initialize()
    assert isinstance(caught.value, StorageUnavailableError) == is_unavailable
