"""What the URL says of TLS holds with each driver: a server that is not trusted, or has no TLS, is refused."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage.errors import StorageError
from aaow_storage_mariadb._connect import connect
from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb.testing import private_server, skipped_where_missing
from aaow_storage_sql.testing import NotInstalledError

OTHER_NAME = "127.1"
"""A name of 127.0.0.1 that is in no certificate, and is not taken for this machine."""


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """Make an authority, another one, and a certificate of 127.0.0.1 by the first."""
    key = ["-newkey", "rsa:2048", "-nodes", "-days", "30"]
    signs = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]  # Python 3.13 and later believe no other authority
    for name in ("authority", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        openssl("req", "-x509", *key, *files, *signs, "-subj", f"/CN={name}", folder=folder)
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1", folder=folder)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    by = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "30", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *by, folder=folder)
    for each in folder.iterdir():
        each.chmod(0o644)  # the server may run as another user


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The folder of the certificates, which the owner of the server may read."""
    with skipped_where_missing():
        if shutil.which("openssl") is None:
            raise NotInstalledError("openssl is missing: apt-get install openssl")
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        make_certificates(made)
        made.chmod(0o755)
        yield made


@pytest.fixture(scope="module")
def tls_url(folder: Path) -> Iterator[str]:
    """The URL of a database on a server that speaks TLS."""
    files = {"ssl-ca": "authority.pem", "ssl-cert": "server.pem", "ssl-key": "server.key"}
    with (
        skipped_where_missing(),
        private_server(settings={name: str(folder / each) for name, each in files.items()}) as started,
    ):
        started.create_database("agents")
        yield started.url("agents")


def cipher(url: str, driver: str) -> str:
    """Connect, and return how the connection is encrypted; empty if it is not."""
    settings = Settings(location=location_of(url), driver=driver)
    with closing(connect(settings, Hosts(settings.location.hosts))) as connection:
        _, found = connection.command("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return str(found)


def test_a_connection_is_encrypted_if_the_server_can_and_is_elsewhere(tls_url: str, url: str, driver: str):
    assert cipher(tls_url.replace("127.0.0.1", OTHER_NAME), driver)
    assert cipher(url.replace("127.0.0.1", OTHER_NAME), driver) == ""
    assert cipher(tls_url, driver) == ""


def test_a_server_whose_authority_is_named_is_trusted(tls_url: str, driver: str, folder: Path):
    assert cipher(f"{tls_url}?ssl_ca={folder / 'authority.pem'}", driver)


def test_a_client_shows_its_certificate(tls_url: str, driver: str, folder: Path):
    shown = f"ssl_cert={folder / 'server.pem'}&ssl_key={folder / 'server.key'}"
    assert cipher(f"{tls_url}?ssl_ca={folder / 'authority.pem'}&{shown}", driver)


def test_a_server_of_another_authority_is_refused(tls_url: str, driver: str, folder: Path):
    with pytest.raises(StorageError, match=r"ssl_ca= in the URL"):
        cipher(f"{tls_url}?ssl_ca={folder / 'other.pem'}", driver)
    with pytest.raises(StorageError, match=r"ssl_ca= in the URL"):
        cipher(f"{tls_url}?ssl_verify=on", driver)


def test_a_server_whose_certificate_has_another_name_is_refused(tls_url: str, driver: str, folder: Path):
    with pytest.raises(StorageError, match=r"the host as its certificate has it"):
        cipher(f"{tls_url.replace('127.0.0.1', OTHER_NAME)}?ssl_ca={folder / 'authority.pem'}", driver)


def test_without_a_check_any_server_with_tls_will_do(tls_url: str, driver: str):
    assert cipher(f"{tls_url}?ssl_verify=off", driver)


@pytest.mark.parametrize("parameter", ["ssl_verify=off", "ssl_verify=on"])
def test_a_server_without_tls_is_refused_if_it_has_to_be_encrypted(url: str, driver: str, parameter: str):
    with pytest.raises(StorageError, match="let the server speak TLS"):
        cipher(f"{url}?{parameter}", driver)
