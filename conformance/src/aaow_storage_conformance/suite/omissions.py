"""Lists that leave documents out: `QueryFilter(documents=False)`."""

import copy
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from aaow_storage import (
    OMITTED,
    FieldName,
    Gt,
    LLMExecution,
    LLMExecutionResult,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageOperations,
    ValidationError,
)
from aaow_storage.authoring import DOCUMENT_FIELDS, OMITTED_FIELDS
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical, everything_in
from aaow_storage_conformance.data.list_calls import LISTINGS, Listing, every_listing, prepare_scopes
from aaow_storage_conformance.data.versions import later_fields

COUNT = 5
List = Callable[[QueryFilter], Awaitable[list[LLMExecution]]]
NAMES = {type(listing.make()): listing for listing in LISTINGS}
with_documents = pytest.mark.parametrize(
    ("listing", "document"),
    [pytest.param(NAMES[kind], field, id=NAMES[kind].name) for kind, field in DOCUMENT_FIELDS.items()],
)


class OmissionTests:
    """Lists without documents."""

    @clause("QRY-8")
    @with_documents
    @pytest.mark.parametrize("inside", [False, True], ids=["adapter", "transaction"])
    async def test_a_list_without_documents_is_the_same_list_but_for_them(
        self, storage: StorageAdapter, listing: Listing, document: str, inside: bool
    ) -> None:
        await _fill(storage, listing, document)

        async def check(operations: StorageOperations) -> None:
            wheres: tuple[dict[FieldName, Any], ...] = ({}, {f"{document}.rank": Gt(1)}, {"metadata.user": "ada"})
            for where in wheres:
                for order in ((), OrderBy(f"{document}.rank", "desc"), OrderBy("id")):
                    query = QueryFilter(where, order, limit=3, offset=1)
                    whole = await listing.list(operations, query)
                    found = await listing.list(operations, attrs.evolve(query, documents=False))
                    assert [getattr(record, document) is OMITTED for record in found] == [True] * len(whole)
                    refilled = [
                        attrs.evolve(record, **{document: getattr(other, document)})
                        for record, other in zip(found, whole, strict=True)
                    ]
                    assert_identical(refilled, whole)

        if inside:
            async with storage.transaction() as transaction:
                await check(transaction)
        else:
            await check(storage)

    @clause("QRY-8")
    @with_documents
    async def test_counting_does_not_ask_for_documents(
        self, storage: StorageAdapter, listing: Listing, document: str
    ) -> None:
        await _fill(storage, listing, document)
        assert listing.count is not None
        query = QueryFilter({f"{document}.rank": Gt(1)}, documents=False)
        assert await listing.count(storage, query) == COUNT - 2

    @clause("QRY-8")
    @every_listing
    async def test_records_that_hold_no_document_are_listed_whole(
        self, storage: StorageAdapter, listing: Listing
    ) -> None:
        await prepare_scopes(storage)
        await listing.store(storage, listing.make(id="a record"))
        whole = await listing.list(storage, None)
        found = await listing.list(storage, QueryFilter(documents=False))
        for record, listed in zip(whole, found, strict=True):
            for name in OMITTED_FIELDS.get(type(record), ()):  # a backend need not know those that are later than it
                is_later = name in later_fields(type(record))
                object.__setattr__(record, name, getattr(listed, name) if is_later else OMITTED)
        assert_identical(found, whole)

    @clause("QRY-7", "QRY-8")
    @with_documents
    async def test_a_list_without_documents_is_walked_page_by_page(
        self, storage: StorageAdapter, listing: Listing, document: str
    ) -> None:
        await _fill(storage, listing, document)
        query = QueryFilter(order_by=OrderBy("metadata.user"), limit=2, documents=False)
        whole = await listing.list(storage, attrs.evolve(query, limit=None))
        visited: list[Any] = []
        while page := await listing.list(storage, query):
            visited += page
            assert len(visited) <= COUNT, (
                f"a walk by after() through {COUNT} records visited {len(visited)}: it does not end"
            )
            query = query.after(page[-1])
        assert_identical(visited, whole)

    @clause("QRY-8")
    @with_documents
    async def test_going_on_by_what_was_left_out_is_refused(
        self, storage: StorageAdapter, listing: Listing, document: str
    ) -> None:
        await _fill(storage, listing, document)
        query = QueryFilter(order_by=OrderBy(f"{document}.rank"), limit=2, documents=False)
        page = await listing.list(storage, query)
        for call in listing.calls:
            with pytest.raises(ValidationError, match=f"QueryFilter.after: .*{document}.rank"):
                await call(storage, query.after(page[-1]))

    @clause("QRY-8")
    @with_documents
    async def test_looking_into_what_was_left_out_is_refused(
        self, storage: StorageAdapter, listing: Listing, document: str
    ) -> None:
        await _fill(storage, listing, document)
        record, *_ = await listing.list(storage, QueryFilter(documents=False))
        for again in (record, copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):  # noqa: S301 - made here
            omitted = getattr(again, document)
            assert omitted is OMITTED
            for look in (
                lambda value: value["rank"],
                lambda value: value.get("rank"),
                lambda value: "rank" in value,
                lambda value: {**value},
                len,
                list,
                bool,
            ):
                with pytest.raises(ValidationError, match=r"QueryFilter\.documents: "):
                    look(omitted)

    @clause("QRY-8")
    @with_documents
    async def test_a_record_without_its_document_is_not_stored(
        self, storage: StorageAdapter, listing: Listing, document: str
    ) -> None:
        await _fill(storage, listing, document)
        before = await everything_in(storage)
        record, *_ = await listing.list(storage, QueryFilter(documents=False))
        with pytest.raises(ValidationError, match=document):
            attrs.evolve(record, metadata=None)
        object.__setattr__(record, "id", "another")
        with pytest.raises(ValidationError, match=document):
            await listing.store(storage, record)
        assert_identical(await everything_in(storage), before)

    @clause("QRY-8")
    async def test_no_change_takes_what_was_left_out(self, storage: StorageAdapter) -> None:
        workflow = await samples.stored_workflow(storage)
        with pytest.raises(ValidationError, match="definition"):
            await storage.update_workflow(workflow.id, definition=OMITTED)
        assert_identical(await storage.get_workflow(workflow.id), workflow)

    @clause("LLM-5")
    async def test_executions_without_documents_are_the_same_page_in_the_same_order(
        self, storage: StorageAdapter
    ) -> None:
        await samples.stored_session(storage, id="s")
        documents: tuple[Any, ...] = (None, {"rank": 1}, [], None, {"rank": 2}, False)
        for number, document in enumerate(documents):
            place: dict[str, Any] = {"id": f"{number * 5 % 6}", "timestamp": samples.instant(number // 2)}
            await samples.stored_execution(storage, "s", input=document, output=document, **place)
        lists: tuple[List, ...] = (
            storage.list_llm_executions,
            lambda query: storage.get_llm_executions("s", query),
            lambda query: storage.get_node_llm_executions("s", "draft", query),
        )
        async with storage.transaction() as transaction:
            for bare in await transaction.list_llm_executions(QueryFilter(documents=False)):
                assert bare.input is OMITTED
        for listed in lists:
            for query in (
                QueryFilter(),
                QueryFilter(limit=2, offset=3),
                QueryFilter({"input": None}),
                QueryFilter({"output.rank": Gt(0)}, OrderBy("id", "desc"), limit=1),
            ):
                whole = await listed(query)
                found = await listed(attrs.evolve(query, documents=False))
                assert all(each.input is OMITTED and each.output is OMITTED for each in found)
                refilled = [
                    attrs.evolve(each, input=other.input, output=other.output)
                    for each, other in zip(found, whole, strict=True)
                ]
                assert_identical(refilled, whole)
                behind = query.after(found[0])
                assert_identical(await listed(behind), await listed(query.after(whole[0])))

    @clause("LLM-5")
    @pytest.mark.parametrize("field", ["input", "output"])
    async def test_an_execution_without_its_documents_is_not_stored(self, storage: StorageAdapter, field: str) -> None:
        await samples.stored_session(storage, id="s")
        execution = await samples.stored_execution(storage, "s")
        (bare,) = await storage.list_llm_executions(QueryFilter(documents=False))
        fields = {each.name: getattr(bare, each.name) for each in attrs.fields(LLMExecutionResult)}
        with pytest.raises(ValidationError, match="input"):
            LLMExecutionResult(**fields)
        result = samples.a_result(id=execution.id)
        object.__setattr__(result, field, OMITTED)
        with pytest.raises(ValidationError, match=field):
            await storage.save_llm_execution("s", "draft", result)
        assert_identical(await storage.list_llm_executions(), [execution])


async def _fill(storage: StorageAdapter, listing: Listing, document: str) -> None:
    """Store records, each with another document, the last first."""
    await prepare_scopes(storage)
    for existing in await listing.list(storage, None):
        await (storage.delete_session if document == "workflow_snapshot" else storage.delete_workflow)(existing.id)
    for number in reversed(range(COUNT)):
        fields: dict[str, Any] = {document: {"rank": number}, "metadata": {"user": ("ada", "bob")[number % 2]}}
        await listing.store(storage, listing.make(id=f"record {number}", **fields))
