"""Choosing a backend in a process, with plugins that are registered in code."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import (
    Backend,
    StorageAdapter,
    _plugins,
    available_backends,
    create_adapter,
    open_adapter,
    register_plugin,
    unregister_plugin,
)
from aaow_storage._plugins import PluginHost
from aaow_storage.errors import BackendNotFoundError, ValidationError
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter

SECRET_URL = "sample://app:p@ss/w:d@host/db?sslpassword=hidden"


class Remembering(MemoryAdapter):
    """An adapter that keeps what it was made from, as one does that is written for a server."""

    def __init__(self, url: str | None, **options: object) -> None:
        super().__init__()
        self.url = url
        self.options = options


class SamplePlugin:
    """Provides the backend `sample`."""

    def __init__(self, name: str = "sample", create: Callable[..., object] = Remembering) -> None:
        self.backend = Backend(name=name, summary="for tests", create=create, options={"depth": "how deep"})

    @hookimpl
    def aaow_storage_backend(self):
        return self.backend


class Wrapper(MemoryAdapter):
    """Stands in front of another adapter."""

    def __init__(self, label: str, wrapped: StorageAdapter) -> None:
        super().__init__()
        self.label = label
        self.wrapped = wrapped


class Middleware:
    """Wraps every adapter, and notes what it saw."""

    def __init__(self, label: str, seen: list[tuple[str, str]]) -> None:
        self.label = label
        self.seen = seen

    @hookimpl
    def aaow_storage_wrap_adapter(self, adapter: StorageAdapter):
        self.seen.append((self.label, f"wraps {getattr(adapter, 'label', 'the adapter')}"))
        return Wrapper(self.label, adapter)

    @hookimpl
    def aaow_storage_adapter_created(self, adapter: StorageAdapter):
        self.seen.append((self.label, f"sees {adapter.label}"))


@pytest.fixture
def register() -> Iterator[Callable[[object], None]]:
    """Register plugins for the time of a test."""
    registered = []

    def register_for_now(plugin: object) -> None:
        register_plugin(plugin)
        registered.append(plugin)

    yield register_for_now
    for plugin in registered:
        unregister_plugin(plugin)


@pytest.fixture
def sample(register: Callable[[object], None]) -> SamplePlugin:
    plugin = SamplePlugin()
    register(plugin)
    return plugin


def test_a_plugin_registered_in_code_is_found_by_name_and_by_scheme(sample: SamplePlugin):
    assert available_backends()["sample"] is sample.backend
    assert create_adapter("sample").url is None
    assert create_adapter("sample", "anything").url == "anything"
    assert create_adapter("sample://host/db").url == "sample://host/db"
    assert create_adapter("SAMPLE://host/db").url == "SAMPLE://host/db"


def test_an_unregistered_plugin_is_gone():
    plugin = SamplePlugin()
    register_plugin(plugin)
    unregister_plugin(plugin)
    assert "sample" not in available_backends()
    with pytest.raises(BackendNotFoundError):
        create_adapter("sample")
    with pytest.raises(ValidationError, match="is not registered"):
        unregister_plugin(plugin)


@pytest.mark.usefixtures("sample")
def test_a_name_that_is_taken_is_refused_and_the_first_plugin_stays():
    for name in ("sample", "memory"):
        with pytest.raises(ValidationError, match=f"a backend '{name}' is there already"):
            register_plugin(SamplePlugin(name))
    assert isinstance(create_adapter("sample"), Remembering)
    assert type(create_adapter("memory")) is MemoryAdapter


def test_a_plugin_is_registered_once(sample: SamplePlugin):
    with pytest.raises(ValidationError, match="registered already"):
        register_plugin(sample)
    assert isinstance(create_adapter("sample"), Remembering)


def test_a_plugin_with_a_misspelt_hook_is_refused():
    class Misspelt:
        @hookimpl
        def aaow_storage_wrap_adaptor(self, adapter: StorageAdapter) -> object:
            return adapter

    plugin = Misspelt()
    with pytest.raises(ValidationError, match="aaow_storage_wrap_adaptor"):
        register_plugin(plugin)
    with pytest.raises(ValidationError, match="is not registered"):
        unregister_plugin(plugin)


def test_a_plugin_whose_hook_returns_something_else_is_refused():
    plugin = SamplePlugin()
    plugin.backend = "sample"
    with pytest.raises(ValidationError, match="must return a Backend, not str"):
        register_plugin(plugin)
    assert "sample" not in available_backends()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "My_DB"),
        ("name", ""),
        ("name", 7),
        ("create", "module:function"),
        ("options", ["x"]),
        ("contract", "1"),
        ("contract", 1.0),
    ],
)
def test_a_backend_that_could_not_be_chosen_or_made_is_refused(field: str, value: Any):
    with pytest.raises(ValidationError, match=rf"^Backend\.{field}: "):
        Backend(**{"name": "sample", "summary": "", "create": Remembering, field: value})


@pytest.mark.usefixtures("sample")
def test_options_reach_the_backend_and_an_unknown_one_is_refused_with_the_known_ones():
    assert create_adapter("sample", depth=3).options == {"depth": 3}
    assert open_adapter("sample", "x", depth=4).options == {"depth": 4}
    with pytest.raises(ValidationError, match=r"create_adapter\.width: .* backend 'sample'; its options are depth"):
        create_adapter("sample", width=3)


def test_what_a_plugin_makes_has_to_be_an_adapter(register: Callable[[object], None]):
    register(SamplePlugin(create=lambda url: object()))
    with pytest.raises(BackendNotFoundError, match="object, which is not a StorageAdapter"):
        create_adapter("sample")


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sample://one", "sample://two"), "given twice"),
        ((7,), r"name_or_url: must be str, not int"),
        (("sample", b"x"), r"url: must be str, not bytes"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: tuple[Any, ...], words: str):
    with pytest.raises(ValidationError, match=words):
        create_adapter(*arguments)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("sqlit", "did you mean 'sqlite'?"),
        ("SQLite", "did you mean 'sqlite'?"),
        ("sqlite+aiosqlite", "leave out the driver"),
        ("no-such-thing", "no installed distribution provides it"),
        ("./my.db", "create_adapter('sqlite', PATH)"),
        ("my.db", "file:PATH"),
        ("", "the name is empty"),
    ],
)
def test_a_name_that_is_not_there_comes_with_advice(name: str, advice: str):
    with pytest.raises(BackendNotFoundError) as caught:
        create_adapter(name)
    assert caught.value.name == name
    assert advice in caught.value.remedy
    assert {"memory", "sqlite"} <= set(caught.value.installed)


def test_a_known_backend_that_is_not_installed_comes_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(_plugins.DISTRIBUTIONS, "stonedb", "aaow-storage-stonedb")
    with pytest.raises(
        BackendNotFoundError, match="it is not installed; run: pip install aaow-storage-stonedb"
    ) as caught:
        create_adapter("stonedb://app:s3cret@db/agents")
    assert "s3cret" not in str(caught.value)


def test_open_adapter_takes_the_arguments_of_create_adapter(sample: SamplePlugin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "sample://of-the-environment")
    assert open_adapter().url == "sample://of-the-environment"
    assert open_adapter("sample").url is None
    assert open_adapter("sample", "x").url == "x"
    assert open_adapter(url="sample://x").url == "sample://x"
    with pytest.raises(BackendNotFoundError):
        open_adapter("")


@pytest.mark.asyncio
async def test_open_adapter_without_arguments_is_sqlite_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    async with open_adapter():
        assert (tmp_path / "aaow.db").is_file()
    async with open_adapter(url="other.db"):
        assert (tmp_path / "other.db").is_file()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("sqlite+aiosqlite:///agents.db", "did you mean 'sqlite', as in sqlite://?"),
        ("postgresql+asyncpg://app@db/agents", "did you mean 'postgresql', as in postgresql://?"),
        ("postgresql+psycopg://app@db/agents", "did you mean 'postgresql', as in postgresql://?"),
        ("postgres+asyncpg://app@db/agents", "did you mean 'postgresql', as in postgresql://?"),
        ("sqlite3:///agents.db", "did you mean 'sqlite'?"),
        ("psql://db/agents", "did you mean 'postgresql'?"),
        ("postgres", "did you mean 'postgresql'?"),
        ("jdbc:postgresql://db/agents", "leave out 'jdbc:'"),
    ],
)
def test_a_url_of_another_tool_comes_with_what_to_write(url: str, advice: str):
    with pytest.raises(BackendNotFoundError) as caught:
        create_adapter(url)
    assert advice in caught.value.remedy


def test_postgres_is_an_alias_of_the_scheme_postgresql():
    assert type(create_adapter("postgres://app@db/agents")) is type(create_adapter("postgresql://app@db/agents"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("memory://\n",), "name_or_url: ends in a newline"),
        (("memory\n",), "name_or_url: ends in a newline"),
        ((" memory://",), "name_or_url: has white space"),
        (("sqlite", "agents.db\r\n"), "url: ends in a newline"),
        (("postgresql", "postgresql://db/agents "), "url: has white space"),
    ],
)
def test_white_space_around_a_url_is_refused(arguments: tuple[str, ...], problem: str):
    with pytest.raises(ValidationError, match=rf"^create_adapter\.{problem}.*url\.strip\(\)$"):
        create_adapter(*arguments)


def test_white_space_around_the_url_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "memory://\n")
    with pytest.raises(
        ValidationError, match=r"^open_adapter\.DATABASE_URL: the environment variable ends in a newline"
    ):
        open_adapter()


def test_middleware_wraps_and_then_sees_in_the_order_of_registration(
    sample: SamplePlugin, register: Callable[[object], None]
):
    seen = []
    for label in ("first", "second"):
        register(Middleware(label, seen))
    adapter = create_adapter("sample")
    assert (adapter.label, adapter.wrapped.label) == ("second", "first")
    assert isinstance(adapter.wrapped.wrapped, Remembering)
    assert seen == [
        ("first", "wraps the adapter"),
        ("second", "wraps first"),
        ("first", "sees second"),
        ("second", "sees second"),
    ]


@pytest.mark.usefixtures("sample")
def test_middleware_may_leave_an_adapter_alone_and_must_not_lose_it(register: Callable[[object], None]):
    class Middleman:
        answer = None

        @hookimpl
        def aaow_storage_wrap_adapter(self, adapter: StorageAdapter) -> object:
            return self.answer

    middleman = Middleman()
    register(middleman)
    assert isinstance(create_adapter("sample"), Remembering)
    middleman.answer = "not an adapter"
    with pytest.raises(ValidationError, match="must return a StorageAdapter or None, not str"):
        create_adapter("sample")


@pytest.mark.usefixtures("sample")
def test_a_password_is_in_no_error_representation_or_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    shown = [repr(create_adapter(SECRET_URL)), repr(available_backends())]
    for arguments in ((SECRET_URL.replace("sample", "nosuch"),), (SECRET_URL, "twice"), ("//app:p@ss/w:d@host",)):
        with pytest.raises((BackendNotFoundError, ValidationError)) as caught:
            create_adapter(*arguments)
        shown += [str(caught.value), repr(caught.value)]
    assert not [text for text in [*shown, caplog.text] if "w:d" in text or "p@ss" in text or "hidden" in text]


def test_threads_that_ask_at_once_get_the_same_backend():
    host = PluginHost()
    with ThreadPoolExecutor(8) as pool:
        backends = list(pool.map(host.backend, ["memory", "sqlite"] * 8))
    assert {backend.name for backend in backends} == {"memory", "sqlite"}
    assert len(set(map(id, backends))) == 2


def test_a_backend_is_made_outside_of_the_lock_of_the_registry(register: Callable[[object], None]):
    entered, other_was_made = threading.Event(), threading.Event()

    def slow(url: str | None) -> Remembering:
        if url == "slow":
            entered.set()
            assert other_was_made.wait(10)
        return Remembering(url)

    register(SamplePlugin(create=slow))
    thread = threading.Thread(target=create_adapter, args=("sample", "slow"))
    thread.start()
    assert entered.wait(10)
    create_adapter("sample", "fast")
    other_was_made.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_plugin_that_is_installed_while_the_process_runs_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    assert "late" not in available_backends()
    info = tmp_path / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aaow_storage]\nlate = no_such_module\n")
    assert "no_such_module" in available_backends()["late"].problem


@pytest.mark.parametrize(
    ("name", "url", "shown"),
    [
        ("memory", "memory://shared-name", "<MemoryAdapter on memory://shared-name>"),
        ("memory", None, "<MemoryAdapter on memory://>"),
        ("sqlite", ":memory:", "<SQLStorageAdapter on SQLite in memory>"),
        ("sqlite", "/nowhere/store.db", "<SQLStorageAdapter on /nowhere/store.db>"),
        (
            "postgresql",
            "postgresql://ann:secret@db.example/agents",
            "<SQLStorageAdapter on PostgreSQL database 'agents' on db.example>",
        ),
        (
            "mariadb",
            "mariadb://ann:secret@db.example/agents",
            "<SQLStorageAdapter on MariaDB database 'agents' on db.example:3306>",
        ),
    ],
)
def test_the_repr_of_an_adapter_shows_its_store_without_secrets(name: str, url: str | None, shown: str):
    assert repr(create_adapter(name, url)) == shown
