"""Updates change the named fields and no others; a wrong field or value changes nothing."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import NotFoundError, SessionStatus, StorageAdapter, StorageOperations, ValidationError, now
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.kinds import APPROVAL_REQUEST, BUDGET_POOL, SESSION, WORKFLOW, Kind, each, prepare

UPDATED = (WORKFLOW, SESSION, BUDGET_POOL, APPROVAL_REQUEST)

CHANGES: dict[str, dict[str, tuple[Any, ...]]] = {
    "workflow": {
        "name": ("renamed", ""),
        "version": ("3.0",),
        "definition": ({"nodes": [1.0]}, {}),
        "metadata": ({"user": "bea"}, {}, None),
        "updated_at": (datetime(2031, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=9))),),
    },
    "session": {
        "status": (SessionStatus.COMPLETED, "waiting_for_human_review"),
        "metadata": ({"user": "bea"}, {}, None),
        "updated_at": (datetime(2001, 1, 2, 3, 4, 5, 6, tzinfo=UTC),),
    },
    "budget_pool": {
        "total_budget": (Decimal("77.7"), 5000, "0.5", 0),
        "used_budget": (Decimal("7.25"), 0),
        "status": ("suspended", "exhausted", "active"),
        "metadata": ({"user": "bea"}, {}, None),
    },
    "approval_request": {
        "context": ({"question": "another"}, {}),
        "expires_at": (datetime(2998, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None),
    },
}
"""For each kind, the values that an update may set, by field."""

REFUSED: dict[str, tuple[dict[str, Any], ...]] = {
    "workflow": (
        {"created_at": samples.EPOCH},
        {"definition": None},
        {"name": None},
        {"version": 2},
        {"updated_at": None},
        {"updated_at": datetime(2024, 1, 1)},  # noqa: DTZ001 - without a zone on purpose
        {"status": "running"},
        {"Name": "x"},
        {"name = 'x' --": "x"},
        {"": "x"},
    ),
    "session": (
        {"workflow_id": None},
        {"workflow_snapshot": {}},
        {"parent_session_id": None},
        {"created_at": samples.EPOCH},
        {"status": None},
        {"status": "done"},
        {"metadata": []},
        {"name": "x"},
    ),
    "budget_pool": (
        {"parent_pool_id": None},
        {"created_at": samples.EPOCH},
        {"remaining_budget": 1},
        {"total_budget": -1},
        {"used_budget": "NaN"},
        {"used_budget": None},
        {"status": "closed"},
        {"updated_at": samples.EPOCH},
    ),
    "approval_request": (
        {"session_id": "other"},
        {"node_id": "other"},
        {"type": "human_review"},
        {"status": "approved"},
        {"status": "pending"},
        {"created_at": samples.EPOCH},
        {"resolved_by": "ann"},
        {"resolved_at": None},
        {"resolution_notes": "x"},
        {"context": None},
        {"expires_at": "tomorrow"},
    ),
}
"""For each kind, the changes that an update must refuse."""

ALLOWED_TOO = {"workflow": "name", "session": "status", "budget_pool": "total_budget", "approval_request": "context"}
"""For each kind, a field that an update may set, to be combined with a wrong one."""


async def update(storage: StorageOperations, kind: Kind, key: str, **changes: Any) -> Any:
    """Update the record of that kind."""
    return await getattr(storage, f"update_{kind.name}")(key, **changes)


class UpdateTests:
    """`update_*` of every kind."""

    @clause("OPS-4")
    @each(UPDATED)
    async def test_an_update_changes_the_named_field_and_no_other(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        bystander = kind.make()
        await kind.store(storage, bystander)
        for field, news in CHANGES[kind.name].items():
            for new in news:
                record = kind.make()
                await kind.store(storage, record)
                returned = await update(storage, kind, record.id, **{field: new})
                expected = attrs.evolve(record, **{field: new})
                if hasattr(record, "updated_at") and field != "updated_at":
                    expected = attrs.evolve(expected, updated_at=returned.updated_at)
                assert_identical(returned, expected)
                assert_identical(await kind.find(storage, record), expected)
        assert_identical(await kind.find(storage, bystander), bystander)

    @clause("OPS-4")
    @each(UPDATED)
    async def test_an_update_may_name_every_field_at_once(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        record = kind.make()
        await kind.store(storage, record)
        changes = {field: news[0] for field, news in CHANGES[kind.name].items()}
        returned = await update(storage, kind, record.id, **changes)
        assert_identical(returned, attrs.evolve(record, **changes))
        assert_identical(await kind.find(storage, record), returned)

    @clause("OPS-4")
    @each((WORKFLOW, SESSION))
    async def test_an_update_stamps_updated_at_where_it_is_not_named(self, storage: StorageAdapter, kind: Kind) -> None:
        record = kind.make(updated_at=datetime(2999, 1, 1, tzinfo=UTC))
        await kind.store(storage, record)
        for changes in ({"metadata": None}, {}):
            earliest = now()
            returned = await update(storage, kind, record.id, **changes)
            assert earliest <= returned.updated_at <= now()
            expected = attrs.evolve(record, metadata=None, updated_at=returned.updated_at)
            assert_identical(await kind.find(storage, record), expected)

    @clause("OPS-4")
    @each(UPDATED)
    async def test_an_update_of_a_missing_record_raises_not_found(self, storage: StorageAdapter, kind: Kind) -> None:
        await prepare(storage)
        await kind.store(storage, kind.make())
        before = await everything_in(storage)
        changes = {field: news[0] for field, news in CHANGES[kind.name].items()}
        for named in (changes, {}):
            with pytest.raises(NotFoundError) as raised:
                await update(storage, kind, "nowhere", **named)
            assert (raised.value.kind, raised.value.id) == (kind.name, "nowhere")
        assert_identical(await everything_in(storage), before)

    @clause("OPS-4")
    @each(UPDATED)
    async def test_an_update_with_a_wrong_field_or_value_changes_nothing(
        self, storage: StorageAdapter, kind: Kind
    ) -> None:
        await prepare(storage)
        record = kind.make()
        await kind.store(storage, record)
        before = await everything_in(storage)
        good = {ALLOWED_TOO[kind.name]: CHANGES[kind.name][ALLOWED_TOO[kind.name]][0]}
        for wrong in REFUSED[kind.name]:
            for changes in (wrong, {**good, **wrong}, {**wrong, **good}):
                if any(changes[field] != wrong[field] for field in wrong):
                    continue
                with pytest.raises(ValidationError) as raised:
                    await update(storage, kind, record.id, **changes)
                assert next(iter(wrong)) in str(raised.value)
                assert_identical(await everything_in(storage), before)
