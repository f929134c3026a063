"""A store is named by a path, a file: URI or a sqlite:// URL, or it is in memory."""

from pathlib import Path

import pytest

from aaow_storage.errors import ValidationError
from aaow_storage_sqlite._location import parse_location


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (None, "aaow.db"),
        ("runs.db", "runs.db"),
        ("./a folder/100% #1?.db", "a folder/100% #1?.db"),
        ("/var/lib/runs.db", "/var/lib/runs.db"),
        ("/var/10:30/ann@home.db", "/var/10:30/ann@home.db"),
        ("./ann:1@home.db", "ann:1@home.db"),
        ("file:ann%3A1%40home.db", "ann:1@home.db"),
        ("file:runs.db", "runs.db"),
        ("file:./runs.db", "runs.db"),
        ("file:/var/lib/runs.db", "/var/lib/runs.db"),
        ("file:///var/lib/runs.db", "/var/lib/runs.db"),
        ("file://localhost/var/lib/runs.db", "/var/lib/runs.db"),
        ("file:100%25.db?mode=rwc", "100%.db"),
        ("file:runs.db?cache=shared", "runs.db"),
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite:////var/lib/runs.db", "/var/lib/runs.db"),
        ("SQLITE:///runs.db", "runs.db"),
    ],
)
def test_a_file_is_named_by_a_path_or_a_url(url: str | None, path: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_location(url).path == tmp_path / path


@pytest.mark.parametrize("url", [":memory:", "sqlite://", "sqlite:///:memory:", "file::memory:", "file:x?mode=memory"])
def test_private_memory_is_never_shared(url: str):
    one, other = parse_location(url), parse_location(url)
    assert one.path is None
    assert one.memory_name != other.memory_name


@pytest.mark.parametrize("url", ["file::memory:?cache=shared", "file:team?mode=memory&cache=shared"])
def test_shared_memory_is_one_store_for_the_process(url: str):
    assert parse_location(url) == parse_location(url)


def test_shared_memory_is_told_apart_by_its_name():
    assert parse_location("file:a?mode=memory&cache=shared") != parse_location("file:b?mode=memory&cache=shared")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "names no store"),
        ("postgresql://app:pw@db/runs", r"'postgresql://app:\*\*\*@db/runs' is a URL of another kind of store"),
        ("a\x00b", "names no store"),
        ("file:", "names no file"),
        ("file://server/share/runs.db", "not this machine"),
        ("file:runs.db?mode=ro", "mode=rw"),
        ("file:runs.db?nolock=1", "nolock=1"),
        ("sqlite://server/runs.db", "names a host"),
        ("sqlite:///runs.db?timeout=5", "pass them as options"),
    ],
)
def test_any_other_form_is_refused_with_what_to_do(url: str, problem: str):
    with pytest.raises(ValidationError, match=problem) as caught:
        parse_location(url)
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("~no-such-user-here/runs.db", "home folder of a user that is not known"),
        ("caf\udce9.db", "no lone surrogate"),
        ("file:a%00b.db", "has no %00"),
        ("sqlite:///a%00b.db", "has no %00"),
        ("file:caf%E9.db", "is UTF-8"),
        ("app:pw@db/runs", "login of a server"),
        ("host=db password=pw", "login of a server"),
        ("//app:pw@db/runs", "login of a server"),
        ("file:app:pw@db/runs", "login of a server"),
        ("sqlite:///app:pw@db/runs", "names a host"),
    ],
)
def test_a_name_that_no_file_can_have_or_that_looks_like_a_login_is_refused(url: str, problem: str):
    with pytest.raises(ValidationError, match=problem) as caught:
        parse_location(url)
    assert caught.value.field == "url"
    str(caught.value).encode()  # it can be shown


def test_a_relative_path_is_refused_if_the_working_folder_is_gone(tmp_path: Path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(ValidationError, match="working folder, which is gone"):
        parse_location("runs.db")
    assert parse_location(str(tmp_path / "runs.db")).path == tmp_path / "runs.db"


def test_a_url_that_is_no_text_is_refused_by_its_type():
    with pytest.raises(ValidationError, match="must be str, not PosixPath"):
        parse_location(Path("runs.db"))
