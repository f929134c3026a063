"""The pytest plugin: options, markers, and the fixtures `store` and `storage`.

A backend's own tests override in their conftest what these are made from: `storage_backend` (a name), and where needed
`storage_url` and `storage_options`.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from aaow_storage import Backend, StorageAdapter, available_backends
from aaow_storage_conformance._stores import Store

PACKAGE = __name__.partition(".")[0]
MARKERS = (
    "clause(*ids): the clauses of the storage contract that the test checks",
    "lacks_capability(capability): the test is for stores that do not claim the capability",
    "requires_capability(capability): the test is for stores that claim the capability",
    "slow: the test takes seconds",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--storage-backend` and `--storage-url`."""
    group = parser.getgroup("aaow-storage conformance")
    group.addoption("--storage-backend", metavar="NAME", help="run the conformance suite on this installed backend")
    group.addoption(
        "--storage-url",
        metavar="URL",
        help="the store of a test, in place of one that the backend makes; {tmp_path} in it becomes an empty folder of "
        "the test's own, {unique} a name that no other test has",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; refuse a backend that is not there, and a URL that tests would have to share."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    url = config.getoption("--storage-url")
    if url is not None and "{tmp_path}" not in url and "{unique}" not in url:
        raise pytest.UsageError(f"--storage-url={url} needs {{tmp_path}} or {{unique}}: each test has its own store")
    name = config.getoption("--storage-backend")
    if name is not None:
        _backend(name)
    elif _asks_for_the_suite(config):
        raise pytest.UsageError(no_backend_chosen())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Skip a test that is not for a store with these capabilities."""
    store = getattr(item, "funcargs", {}).get("store")
    if isinstance(store, Store):
        for mark in item.iter_markers("requires_capability"):
            if mark.args[0] not in store.capabilities:
                pytest.skip(f"the store does not claim the capability {mark.args[0]}")
        for mark in item.iter_markers("lacks_capability"):
            if mark.args[0] in store.capabilities:
                pytest.skip(f"the store claims the capability {mark.args[0]}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run the suite on no backend; a worker of pytest-xdist cannot, and leaves it to the fixture."""
    chosen = config.getoption("--storage-backend") is not None
    if not chosen and not hasattr(config, "workerinput") and any(_takes_the_option(item) for item in items):
        raise pytest.UsageError(no_backend_chosen())


def _takes_the_option(item: pytest.Item) -> bool:
    """Say whether the test would take its backend from the option, since nothing overrides the fixture."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = getattr(info, "name2fixturedefs", {}).get("storage_backend", ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def _asks_for_the_suite(config: pytest.Config) -> bool:
    """Say whether the command line names this package, and no plugin overrides the fixture."""
    named = config.getoption("pyargs") and any(arg.partition(":")[0].split(".")[0] == PACKAGE for arg in config.args)
    others = (plugin for plugin in config.pluginmanager.get_plugins() if getattr(plugin, "__name__", None) != __name__)
    return named and not any(hasattr(plugin, "storage_backend") for plugin in others)


def no_backend_chosen() -> str:
    """Say which backends there are to choose from."""
    usable = [name for name, backend in available_backends().items() if backend.problem is None]
    return f"choose the backend to test with --storage-backend=NAME; installed are: {', '.join(usable) or 'none'}"


@pytest.fixture
def storage_backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend under test."""
    name: str | None = request.config.getoption("--storage-backend")
    if name is None:
        raise pytest.UsageError(no_backend_chosen())
    return name


@pytest.fixture
def storage_url(request: pytest.FixtureRequest, storage_backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store of the test's own."""
    template: str | None = request.config.getoption("--storage-url")
    if template is not None:
        yield template.replace("{tmp_path}", str(tmp_path)).replace("{unique}", uuid4().hex)
        return
    backend = _backend(storage_backend)
    if backend.temporary_store is None:
        raise pytest.UsageError(f"the backend {backend.name!r} makes no temporary stores; pass --storage-url=URL")
    with backend.temporary_store(tmp_path) as url:
        yield url


@pytest.fixture
def storage_options() -> dict[str, Any]:
    """The options of every adapter; none, unless overridden."""
    return {}


@pytest_asyncio.fixture(loop_scope="function")
async def store(storage_backend: str, storage_url: str | None, storage_options: dict[str, Any]) -> AsyncIterator[Store]:
    """An empty store of the test's own."""
    store = Store(_backend(storage_backend), storage_url, storage_options)
    yield store
    await store.close()


@pytest_asyncio.fixture(loop_scope="function")
async def storage(store: Store) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the store."""
    async with store.open() as adapter:
        yield adapter


def _backend(name: str) -> Backend:
    backends = available_backends()
    if name not in backends:
        raise pytest.UsageError(f"there is no storage backend {name!r}; {no_backend_chosen()}")
    if (problem := backends[name].problem) is not None:
        raise pytest.UsageError(f"the storage backend {name!r} cannot be used: {problem}")
    return backends[name]
