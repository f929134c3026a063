"""Stream events: separate streams, and refusals by stores without the capability."""

import pytest

from aaow_storage import Capability, QueryFilter, StorageAdapter, UnsupportedOperationError, ValidationError
from aaow_storage_conformance._contract import clause, lacks, requires
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import STREAM_OPERATIONS, every_call
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.harness.refusals import check_raises

STREAM_IDS = ("s", "S", "s ", " s", "s%", "s_", "%", "_", "ss", "*", "'s'", "s.s", "\N{LATIN SMALL LETTER LONG S}")
"""Stream ids that a loose comparison (case, wildcards, spaces) mixes up."""


class StreamTests:
    """Streams, with and without the capability `stream_events`."""

    @clause("STR-1")
    @requires(Capability.STREAM_EVENTS)
    async def test_events_of_one_stream_never_appear_in_another(self, storage: StorageAdapter) -> None:
        events = {name: [samples.an_event(name), samples.an_event(name)] for name in STREAM_IDS}
        for turn in range(2):
            for pair in events.values():
                await storage.save_stream_event(pair[turn])
        for name, pair in events.items():
            assert_identical(await storage.get_stream_events(name), pair)
        assert await storage.get_stream_events("another") == []

    @clause("STR-1", "QRY-4")
    @requires(Capability.STREAM_EVENTS)
    async def test_no_filter_reaches_into_another_stream(self, storage: StorageAdapter) -> None:
        event = samples.an_event("one", node_id="draft")
        await storage.save_stream_event(event)
        await storage.save_stream_event(samples.an_event("other", node_id="draft"))
        assert await storage.get_stream_events("one", QueryFilter({"stream_id": "other"})) == []
        assert_identical(await storage.get_stream_events("one", QueryFilter({"node_id": "draft"})), [event])
        assert_identical(await storage.get_stream_events("one", QueryFilter({"stream_id": "one"})), [event])

    @clause("STR-1", "OPS-3")
    @requires(Capability.STREAM_EVENTS)
    async def test_an_event_saved_again_in_another_stream_has_left_the_first(self, storage: StorageAdapter) -> None:
        await storage.save_stream_event(samples.an_event("one", id="event"))
        again = samples.an_event("other", id="event")
        await storage.save_stream_event(again)
        assert await storage.get_stream_events("one") == []
        assert_identical(await storage.get_stream_events("other"), [again])

    @clause("STR-1")
    @lacks(Capability.STREAM_EVENTS)
    async def test_without_the_capability_both_operations_are_refused_and_leave_no_trace(
        self, storage: StorageAdapter
    ) -> None:
        workflow = await samples.stored_workflow(storage)
        before = await everything_in(storage)
        for call in every_call():
            if call.name in STREAM_OPERATIONS:
                what = f"{call.name}() without the capability stream_events"
                error = await check_raises(UnsupportedOperationError, what, call.on, storage)
                assert (error.operation, error.capability) == (call.name, Capability.STREAM_EVENTS)
        assert_identical(await everything_in(storage), before)
        assert_identical(await storage.get_workflow(workflow.id), workflow)

    @clause("STR-1", "TXN-5")
    @lacks(Capability.STREAM_EVENTS)
    async def test_without_the_capability_a_transaction_goes_on_after_the_refusal(
        self, storage: StorageAdapter
    ) -> None:
        workflow = samples.a_workflow()
        async with storage.transaction() as transaction:
            await transaction.save_workflow(workflow)
            with pytest.raises(UnsupportedOperationError):
                await transaction.save_stream_event(samples.an_event())
            with pytest.raises(UnsupportedOperationError):
                await transaction.get_stream_events("stream")
        assert_identical(await storage.list_workflows(), [workflow])

    @clause("STR-1")
    @requires(Capability.STREAM_EVENTS)
    async def test_something_that_is_no_event_is_refused(self, storage: StorageAdapter) -> None:
        for wrong in (None, "event", samples.a_tool_call("e")):
            with pytest.raises(ValidationError):
                await storage.save_stream_event(wrong)  # type: ignore[arg-type]  # on purpose
