"""Reading the scheme of a URL, and hiding its secrets."""

import pytest

from aaow_storage.authoring import redacted_text, redacted_url, url_scheme


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:p%40ss@host", "postgresql://user:***@host"),
        ("postgresql://:secret@host", "postgresql://:***@host"),
        ("postgresql://user:a?b#c@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:line\nbreak@host", "postgresql://user:***@host"),
        ("postgresql://user:a&b;c\\d'e f@one:1,two/db?x=1", "postgresql://user:***@one:1,two/db?x=1"),
        ("postgresql://host/db?user=u&password=secret&x=1", "postgresql://host/db?***"),
        ("postgresql://host/db?sslPassword=sec&ret", "postgresql://host/db?***"),
        ("postgresql://host/db?password=sec#ret", "postgresql://host/db?***"),
        ("https://host/?api_key=secret;auth-token=secret#top", "https://host/?***"),
    ],
)
def test_a_secret_is_not_shown(url: str, shown: str):
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:p@ss/w:d@host:5432/db", "postgresql:***"),
        ("postgresql://us/er:secret@host", "postgresql:***"),
        ("postgresql://user:12/34@host/db", "postgresql:***"),
        ("postgresql://user:secret/db", "postgresql:***"),
        ("postgresql://host/db?password=se@cret", "postgresql:***"),
        ("postgresql://user@host/db?a=b=c", "postgresql:***"),
        ("user:secret/db", "user:***"),
        ("//user:secret@host", "***"),
        ("secret@host/db", "***"),
        ("host=db password=secret dbname=x", "***"),
        (r"host=db password = 'my \' secret' dbname=x", "***"),
    ],
)
def test_of_an_ambiguous_url_only_the_scheme_is_shown(url: str, shown: str):
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "agents",
        "./a folder/agents.db",
        "memory://",
        "memory://name-1",
        "file:./aaow.db?mode=rw",
        "file::memory:?cache=shared",
        "sqlite:////tmp/x.db",
        "sqlite:///x.db?timeout=5",
        "postgresql://user@host:5432/db?connect_timeout=3",
        "postgresql://user@one,two:5433/db",
        "postgresql://[::1]:5432/db",
    ],
)
def test_a_url_without_a_secret_is_shown_as_it_is(url: str):
    assert redacted_url(url) == url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no database postgresql://u:secret@host/db there", "no database postgresql://u:***@host/db there"),
        ("in 'postgresql://u:se@cret@host/db'", "in 'postgresql:***"),
        (r"host=db password='my \' secret' dbname=x", "host=db password=*** dbname=x"),
        ('user "app" failed at 12:30: connection refused', 'user "app" failed at 12:30: connection refused'),
    ],
)
def test_a_message_is_shown_without_the_secrets_in_it(text: str, shown: str):
    assert redacted_text(text) == shown


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("memory://", "memory"),
        ("Postgresql+Psycopg://host", "postgresql+psycopg"),
        ("file:x.db", "file"),
        ("sqlite", None),
        ("./x:y.db", None),
        ("1x://host", None),
        ("", None),
    ],
)
def test_the_scheme_is_what_stands_before_the_colon(text: str, scheme: str | None):
    assert url_scheme(text) == scheme
