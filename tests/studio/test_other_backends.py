"""Every page on backends other than SQLite: servers, memory, one of contract 1.0, and one that offers little."""

from collections.abc import Iterator

import plain_backend
import pytest
import runs
from every_page import ADDRESSES
from of_contract_1_0 import OfContract10
from studio_serving import Studio, serving

from aaow_storage import Backend, Capability, StorageAdapter, create_adapter, register_plugin, unregister_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_mariadb import testing as mariadb
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_studio import StudioSettings

DECIDING = StudioSettings(allow_decisions=True, decides_as="ada")


class OldPlugin:
    """Provides a backend of contract 1.0, without a change feed and streams that end."""

    @hookimpl
    def aaow_storage_backend(self) -> Backend:
        def create(url: str | None = None) -> StorageAdapter:
            del url
            return OfContract10(capabilities=frozenset({Capability.STREAM_EVENTS}))

        return Backend(name="old", summary="of contract 1.0", create=create)


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "memory", "old", "plain"])
def studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    name: str = request.param
    if name == "postgresql":
        with skipped_where_missing(), temporary_database() as url, serving(url, DECIDING, runs.fill) as served:
            yield served
        return
    if name == "mariadb":
        with skipped_where_missing(), mariadb.temporary_database() as url, serving(url, DECIDING, runs.fill) as served:
            yield served
        return
    plugins = {"old": OldPlugin(), "plain": plain_backend.Plugin()}
    file = str(tmp_path_factory.mktemp("plain") / "runs.db")
    stores = {"memory": "memory", "old": "old", "plain": f"plain:{file}"}

    async def fill(storage: StorageAdapter) -> None:
        if name == "plain":  # which stores no events, but its file may have some
            async with create_adapter("sqlite", file) as own:
                await runs.fill(own)
        else:
            await runs.fill(storage)

    for plugin in plugins.values():
        register_plugin(plugin)
    try:
        with serving(stores[name], DECIDING, fill) as served:
            yield served
    finally:
        for plugin in plugins.values():
            unregister_plugin(plugin)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_there_or_says_what_the_backend_lacks(studio: Studio, address: str):
    path, _, query = address.partition("?")
    as_html, as_json = studio.get(address), studio.get(f"{path}.json?{query}")
    assert as_html.status_code == as_json.status_code
    if as_html.status_code != 200:
        assert as_html.status_code == 501
        assert Capability.STREAM_EVENTS in studio.json("/store.json")["capabilities"] or "stream" in path
        assert "does not" in as_html.text or "has no" in as_html.text


def test_a_session_shows_its_calls_and_a_request_is_decided(studio: Studio):
    assert len(studio.json("/session.json?id=research-7f3a")["nodes"]) == 8
    decided = studio.post("/approval/decide", {"id": "refund-waiting-3/approval-3", "decision": "approve", "notes": ""})
    assert decided.status_code == 303
    assert studio.json("/approval.json?id=refund-waiting-3/approval-3")["request"]["resolved_by"] == "ada"
