"""Reading the scheme of a URL, and hiding its secrets."""

import pytest

from aaow_storage.authoring import redacted_url, url_scheme


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:p@ss/w:d@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user:p%40ss@host", "postgresql://user:***@host"),
        ("postgresql://us/er:secret@host", "postgresql://us/er:***@host"),
        ("postgresql://:secret@host", "postgresql://:***@host"),
        ("postgresql://user:a?b#c@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:line\nbreak@host", "postgresql://user:***@host"),
        ("//user:secret@host", "//user:***@host"),
        ("postgresql://host/db?user=u&password=secret&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("postgresql://host/db?sslPassword=secret", "postgresql://host/db?sslPassword=***"),
        ("https://host/?api_key=secret;auth-token=secret#top", "https://host/?api_key=***;auth-token=***#top"),
        ("host=db password=secret dbname=x", "host=db password=*** dbname=x"),
        (r"host=db password = 'my \' secret' dbname=x", "host=db password = *** dbname=x"),
    ],
)
def test_a_secret_is_not_shown(url: str, shown: str):
    assert redacted_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory://",
        "file:./aaow.db?mode=rw",
        "sqlite:////tmp/x.db",
        "postgresql://user@host:5432/db?connect_timeout=3",
        "postgresql://[::1]:5432/db",
    ],
)
def test_a_url_without_a_secret_is_shown_as_it_is(url: str):
    assert redacted_url(url) == url


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
