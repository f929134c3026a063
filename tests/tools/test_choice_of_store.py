"""Which store a command uses, and `config`."""

from pathlib import Path

import pytest

from aaow_storage_tools.command_line.configuration import configuration_path
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.stores import chosen_store, named_store
from aaow_storage_tools.command_line.usage_error import UsageError

CONFIGURATION = """
profile = "here"

[profiles.here]
storage = "file:./here.db"
options = { synchronous = "NORMAL" }

[profiles.server]
storage = "postgresql://ada:geheim@db/agents"
options = { pool_size = 3, password = "geheim" }
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Write a configuration file."""
    path = configuration_path()
    path.parent.mkdir(parents=True)
    path.write_text(CONFIGURATION)
    return path


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
):
    chosen = chosen_store(None, None)
    assert (chosen.place, dict(chosen.options)) == ("file:./here.db", {"synchronous": "NORMAL"})
    assert str(configuration) in chosen.source
    monkeypatch.setenv("DATABASE_URL", "file:./environment.db")
    assert (chosen_store(None, None).place, chosen_store(None, None).source) == (
        "file:./environment.db",
        "DATABASE_URL",
    )
    assert chosen_store("file:./option.db", None).place == "file:./option.db"
    assert chosen_store(None, "server").place == "postgresql://ada:***@db/agents"


def test_without_any_name_it_is_the_store_that_the_library_takes():
    assert chosen_store(None, None).place == "file:./aaow.db"


def test_two_names_are_a_usage_error(configuration: Path):
    with pytest.raises(UsageError, match="both name a store"):
        chosen_store("file:./a.db", "here")


@pytest.mark.parametrize("path", ["a.db", "./a", "/tmp/a b", "x/a.sqlite3"])
def test_a_path_names_a_file_of_sqlite(path: str):
    store = named_store(path)
    assert (store.name_or_url, store.url) == ("sqlite", path)


@pytest.mark.parametrize("text", ["memory", "sqlite", "file:a.db", "postgresql://db/a", "sqlite:///a.db"])
def test_a_name_and_a_url_are_what_the_library_takes(text: str):
    assert (named_store(text).name_or_url, named_store(text).url) == (text, None)


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert named_store("~/a.db").url == "/home/ada/a.db"


def test_an_argument_may_name_a_profile(configuration: Path):
    assert named_store("@server").options["pool_size"] == 3
    with pytest.raises(UsageError, match=r"there is no profile 'nope' in .* \(there: here, server\)"):
        named_store("@nope")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profile = ", "is not TOML"),
        ("profil = 'here'", "the file has the unknown key `profil`"),
        ("profile = 3", "`profile` of the file must be a string, not int"),
        ("[profiles]\nhere = 'file:a.db'", "[profiles.here] is not a table"),
        ("[profiles.here]\nurl = 'file:a.db'", "[profiles.here] has the unknown key `url`"),
        ("[profiles.here]\noptions = {}", "[profiles.here] has no `storage`"),
    ],
)
def test_a_mistake_in_the_file_is_explained(text: str, problem: str, configuration: Path, run):
    configuration.write_text(text)
    done = run("config", "show")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert problem in done.err
    assert str(configuration) in done.err


def test_config_path_prints_a_path_and_nothing_else(run):
    assert run("config", "path").out == f"{configuration_path()}\n"
    document = run("config", "path", "--json").document
    assert (document["path"], document["is_there"]) == (str(configuration_path()), False)


def test_config_show_says_what_named_the_store(run, configuration: Path):
    document = run("config", "show", "--json").document
    assert (document["store"], document["options"]) == ("file:./here.db", {"synchronous": "NORMAL"})
    assert str(configuration) in document["named_by"]
    assert [each["profile"] for each in document["profiles"] if each["is_default"]] == ["here"]


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("choice", [[], ["--profile", "server"]])
def test_config_show_hides_passwords(
    form: list[str], choice: list[str], run, configuration: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:geheim@elsewhere/agents")
    done = run("config", "show", words=[*form, *choice])
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert "postgresql://ada:***@elsewhere/agents" in done.out
    assert "geheim" not in done.out


def test_the_options_of_a_profile_reach_the_backend(run, configuration: Path, store, monkeypatch: pytest.MonkeyPatch):
    configuration.write_text(f"[profiles.here]\nstorage = 'file:{store}'\noptions = {{ synchronos = 'NORMAL' }}")
    done = run("list", "session", "--profile", "here")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "synchronos" in done.err
