"""What is wrong with a URL or an option is said at once, by name, and without the password."""

import pytest

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage.errors import ValidationError
from aaow_storage_postgresql._settings import Settings, settings_of

DEFAULTS = {
    "schema": None,
    "pool_size": 8,
    "connect_timeout": 10.0,
    "acquire_timeout": 30.0,
    "statement_timeout": 30.0,
    "pooler": None,
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
    settings = settings_of(url, **DEFAULTS)
    assert settings.place == place
    assert "s3cret" not in repr(settings)


def test_every_option_of_the_backend_is_a_setting():
    adapter = create_adapter("postgresql", "postgresql://host/db", **{**DEFAULTS, "schema": "agents", "pool_size": 2})
    assert isinstance(adapter, StorageAdapter)
    assert set(DEFAULTS) | {"conninfo"} == {field.name for field in Settings.__attrs_attrs__}
