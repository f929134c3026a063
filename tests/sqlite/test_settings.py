"""Options are checked when the adapter is created, and an error names the option."""

import pytest

from aaow_storage import create_adapter
from aaow_storage.errors import ValidationError
from aaow_storage_sqlite._settings import Settings, Synchronous, parse_settings


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("synchronous", "OFF"),
        ("synchronous", 1),
        ("busy_timeout", -1),
        ("busy_timeout", float("nan")),
        ("busy_timeout", "30"),
        ("reader_threads", 0),
        ("reader_threads", 65),
        ("reader_threads", 1.5),
        ("reader_threads", True),
        ("inline_reads", 1),
        ("indexes", "Session.metadata.user"),
        ("file_mode", 0o400),
    ],
)
def test_a_wrong_option_is_named(option: str, value: object):
    with pytest.raises(ValidationError) as caught:
        create_adapter("sqlite", "store.db", **{option: value})
    assert caught.value.field == option


def test_the_defaults_of_the_options_are_those_of_the_settings():
    settings = parse_settings("store.db")
    assert settings == Settings(settings.location)


def test_the_durability_is_chosen_in_any_case():
    assert parse_settings("store.db", synchronous="normal").synchronous is Synchronous.NORMAL
