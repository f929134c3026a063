"""Maintenance: what a backend tells of a store changes nothing, and a backup that is restored is the store again."""

from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Capability, ConflictError, NotOfferedError
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_conformance._contract import clause, needs_maintenance, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import STREAM_ID, fill_store
from aaow_storage_conformance.harness.store import Store

_TELLING = ("exists", "sizes", "durability", "schema_status", "plan_upgrade", "check_integrity")


@needs_maintenance
class MaintenanceTests:
    """`Backend.maintenance`, which may leave out what the backend cannot do."""

    @clause("LIF-3")
    async def test_what_maintenance_tells_of_a_store_changes_nothing(self, store: Store) -> None:
        maintenance = store.maintenance()
        async with store.open() as storage:
            stored = await fill_store(storage)
            for _ in range(2):
                told = await _told_by(maintenance)
                assert told.get("exists", True)
                assert told.get("plan_upgrade", "") == ""
                assert told.get("check_integrity", ()) == ()
                if "schema_status" in told:
                    assert told["schema_status"].is_current
                    assert told["schema_status"].pending == ()
                if "sizes" in told:
                    sizes = told["sizes"]
                    assert sizes.total_bytes >= sum(each.table_bytes + each.index_bytes for each in sizes.tables)
            assert_identical(await everything_in(storage, streams=[STREAM_ID]), stored)

    @clause("LIF-3")
    @requires(Capability.DURABLE)
    async def test_a_backup_that_is_restored_is_the_store_that_was_backed_up(
        self, store: Store, tmp_path: Path
    ) -> None:
        maintenance, backup = store.maintenance(), tmp_path / "made.backup"
        async with store.open() as storage:
            stored = await fill_store(storage)
            try:
                content = await maintenance.backup(backup)
            except NotOfferedError:
                assert not backup.exists()
                return
            await samples.stored_workflow(storage)  # after the backup, which has nothing of it
        with pytest.raises(ConflictError):
            await maintenance.backup(backup)
        found = await maintenance.verify(backup)
        assert found.findings == ()
        assert found.rows == content.rows
        with pytest.raises(ConflictError):
            await maintenance.restore(backup)
        await maintenance.restore(backup, replace=True)
        async with store.open() as storage:
            assert_identical(await everything_in(storage, streams=[STREAM_ID]), stored)
            await samples.stored_workflow(storage)


async def _told_by(maintenance: StoreMaintenance) -> dict[str, Any]:
    """Return what a backend tells of a store, without what it does not offer."""
    told, refusals = {}, []
    for name in _TELLING:
        try:
            told[name] = await getattr(maintenance, name)()
        except NotOfferedError as error:
            refusals.append((error.operation, error.place))
    assert refusals == [(name, maintenance.place) for name in _TELLING if name not in told]
    return told
