"""A wrong URL or option is refused by create_adapter, by name, and without the password."""

import pytest

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage.errors import ValidationError
from aaow_storage_postgresql._conninfo import conninfo_of
from aaow_storage_postgresql._settings import Settings

DEFAULTS = {
    "schema": None,
    "pool_size": 8,
    "connect_timeout": 10.0,
    "acquire_timeout": 30.0,
    "statement_timeout": 30.0,
    "pooler": None,
    "changes": None,
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pool_size", 1),
        ("pool_size", 1001),
        ("pool_size", "8"),
        ("pool_size", True),
        ("connect_timeout", 0),
        ("connect_timeout", float("inf")),
        ("acquire_timeout", -1),
        ("acquire_timeout", None),
        ("statement_timeout", "30s"),
        ("statement_timeout", float("nan")),
        ("pooler", "session"),
        ("schema", ""),
        ("schema", "x" * 64),
        ("schema", "a\0b"),
        ("schema", 1),
    ],
)
def test_a_wrong_option_is_refused_by_name(option: str, value: object):
    with pytest.raises(ValidationError, match=rf"^postgresql\.{option}: "):
        create_adapter("postgresql", "postgresql://host/db", **{option: value})


@pytest.mark.parametrize("url", ["postgresql://app:s3cret@host/db?nonsense=1", "postgresql://app:s3cret@[::1/db"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str):
    with pytest.raises(ValidationError, match=r"^postgresql\.url: ") as caught:
        create_adapter("postgresql", url)
    assert "s3cret" not in str(caught.value)
    assert "postgresql://host1,host2/" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://app:s3cret@db.example/agents", "PostgreSQL database 'agents' on db.example"),
        ("postgresql://app:s3cret@one,two:5433/agents", "PostgreSQL database 'agents' on one,two"),
        ("postgresql:///agents", "PostgreSQL database 'agents' on the default host"),
        (None, "PostgreSQL database 'of the default name' on the default host"),
    ],
)
def test_errors_name_the_database_without_its_password(url: str | None, place: str):
    settings = Settings(conninfo_of(url))
    assert settings.place == place
    assert "s3cret" not in repr(settings)


def test_every_option_of_the_backend_is_a_setting():
    adapter = create_adapter("postgresql", "postgresql://host/db", **{**DEFAULTS, "schema": "agents", "pool_size": 2})
    assert isinstance(adapter, StorageAdapter)
    assert set(DEFAULTS) | {"conninfo", "tuning"} == {field.name for field in Settings.__attrs_attrs__}


@pytest.mark.parametrize(
    ("parameter", "option"),
    [
        ("schema=public", "schema="),
        ("connection_limit=5", "pool_size="),
        ("pool_timeout=5", "acquire_timeout="),
        ("socket_timeout=5", "statement_timeout="),
        ("pgbouncer=true", "pooler='transaction'"),
        ("sslmode=require&prepared_statement_cache_size=0", "pooler='transaction'"),
        ("ssl=true", "sslmode=require"),
        ("currentSchema=agents", "schema="),
        ("charset=utf8", "leave it out"),
    ],
)
def test_a_parameter_of_another_tool_is_refused_with_its_equivalent(parameter: str, option: str):
    with pytest.raises(ValidationError, match="of another tool") as caught:
        create_adapter(f"postgresql://app:s3cret@db/agents?{parameter}")
    assert option in caught.value.problem
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("password", ["a/b", "a@b", "1/b"])
def test_an_ambiguous_password_is_refused_with_what_to_encode(password: str):
    with pytest.raises(ValidationError, match="percent-encode"):
        create_adapter(f"postgresql://app:{password}@db/agents")


@pytest.mark.parametrize(
    "url",
    [
        "postgres://app:a#b?c&d;e'f@db/agents",
        "postgresql://app:%2F%40@db/agents?application_name=x",
        "postgresql://db/agents?password=a@b/c#d",
        "postgresql://app@[::1]:5432,two/agents",
        "postgresql://%2Fvar%2Frun/agents",
        "postgresql:///agents?host=/var/run/postgresql",
        "host=db password='a b' dbname=agents",
        "",
    ],
)
def test_an_unambiguous_url_is_accepted(url: str):
    assert isinstance(create_adapter("postgresql", url), StorageAdapter)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://a..b/agents", r"'a\.\.b' is no host name"),
        ("postgresql://one,.two/agents", r"'\.two' is no host name"),
        (f"host={'x' * 64}", "is no host name"),
        (f"postgresql://db/{'x' * 64}", "a dbname of more than 63 bytes"),
        (f"postgresql://{'x' * 64}@db/agents", "a user of more than 63 bytes"),
        ("postgresql://db:0/agents", "no number from 1 to 65535"),
        ("postgresql://db:65536/agents", "no number from 1 to 65535"),
        ("host=db port=five", "no number from 1 to 65535"),
        ("postgresql://db/%00", "cannot be read"),
        ("postgresql://db/%ff", "cannot be read"),
        ("postgresql://db/\ud800", "cannot be read"),
        ("host=\ud800", "cannot be read"),
        ("a\x00b", "must be a URL"),
    ],
)
def test_an_impossible_host_port_or_name_is_refused(url: str, problem: str):
    with pytest.raises(ValidationError, match=problem) as caught:
        create_adapter("postgresql", url)
    assert caught.value.field == "url"


def test_a_schema_name_with_a_surrogate_is_refused():
    with pytest.raises(ValidationError, match="must be a name"):
        create_adapter("postgresql", "postgresql://db/agents", schema="\ud800")


def test_a_host_from_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGHOST", "a..b")
    with pytest.raises(ValidationError, match="is no host name"):
        create_adapter("postgresql")
    assert isinstance(create_adapter("postgresql", "postgresql://db/agents"), StorageAdapter)
