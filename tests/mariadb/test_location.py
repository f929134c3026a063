"""URLs are read as they are meant, or refused with the remedy; no error shows a part of a password."""

import pytest

from aaow_storage import create_adapter
from aaow_storage.errors import BackendNotFoundError, ValidationError
from aaow_storage_mariadb._location import Location, location_of


@pytest.mark.parametrize(
    ("url", "hosts", "database", "user", "password"),
    [
        ("mariadb://app@db/agents", (("db", 3306),), "agents", "app", ""),
        ("mariadb://app:s%40cret@db:3307/agents", (("db", 3307),), "agents", "app", "s@cret"),
        (
            "mariadb://app@one,two:3308,three/agents",
            (("one", 3306), ("two", 3308), ("three", 3306)),
            "agents",
            "app",
            "",
        ),
        ("mariadb://app@[::1]:3307/agents", (("::1", 3307),), "agents", "app", ""),
        ("mariadb:///agents", (("localhost", 3306),), "agents", "", ""),
        ("MariaDB://db/a%20b", (("db", 3306),), "a b", "", ""),
    ],
)
def test_a_url_names_hosts_database_and_user(url: str, hosts, database: str, user: str, password: str):
    assert location_of(url) == Location(hosts=hosts, database=database, user=user, password=password)


def test_without_a_url_the_environment_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MARIADB_URL", "mariadb://app@db/agents")
    assert location_of(None).database == "agents"
    monkeypatch.delenv("MARIADB_URL")
    with pytest.raises(ValidationError, match="MARIADB_URL"):
        location_of(None)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://app:secret@db/agents", "begin it with mariadb://"),
        ("mariadb+pymysql://app:secret@db/agents", "begin it with mariadb://"),
        ("mariadb://app:se/cret@db/agents", "percent-encode"),
        ("mariadb://app:se@cret@db/agents", "percent-encode"),
        ("mariadb://app:secret@db/", "name a database"),
        ("mariadb://app:secret@db", "name a database"),
        ("mariadb://app:secret@db:99999/agents", "port"),
        ("mariadb://app:secret@d b/agents", "host"),
        ("mariadb://app:secret@one,,two/agents", "host"),
        ("mariadb://app:secret@db/agents?charset=utf8", "utf8mb4"),
        ("mariadb://app:secret@db/agents?pool_size=3", "option pool_size="),
        ("mariadb://app:secret@db/agents?ssl_mode=REQUIRED", "ssl_ca"),
        ("mariadb://app:secret@db/agents?driver=mysqlclient", "option driver="),
        ("mariadb://app:secret@db/agents?colour=red", "there are"),
        ("mariadb://app:secret@db/agents?ssl_verify=maybe", "neither on nor off"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(url: str, says: str):
    with pytest.raises(ValidationError, match=says) as caught:
        location_of(url)
    assert "secret" not in str(caught.value)
    assert "cret" not in str(caught.value).replace("percent-encode", "")


def test_the_place_in_errors_has_no_user_and_no_password():
    place = location_of("mariadb://app:secret@one,[::1]:3307/agents").place
    assert place == "MariaDB database 'agents' on one:3306,[::1]:3307"


@pytest.mark.parametrize("scheme", ["mysql", "mysql+pymysql", "mariadb+pymysql"])
def test_the_schemes_of_other_tools_say_what_to_write(scheme: str):
    with pytest.raises(BackendNotFoundError, match="mariadb"):
        create_adapter(f"{scheme}://app:secret@db/agents")


@pytest.mark.parametrize(
    ("options", "says"),
    [({"sync_wait": 16}, "from 0 to 15"), ({"sync_wait": True}, "from 0 to 15"), ({"pool_size": 1}, "from 2 to")],
)
def test_an_option_that_is_wrong_is_refused(options, says: str):
    with pytest.raises(ValidationError, match=says):
        create_adapter("mariadb://app@db/agents", **options)
