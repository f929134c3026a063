"""Mistakes with values: what comes back is not what was stored."""

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import attrs

from aaow_storage import AlreadyExistsError, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("REC-1", "REC-2")
class TakesAnyId(Delegating):
    """Returns None for an id that cannot be one."""

    async def get_workflow(self, id):
        try:
            return await super().get_workflow(id)
        except ValidationError:
            return None


@breaks("REC-1", "REC-4")
class StoresWithoutChecking(Delegating):
    """Stores a record that was made invalid after it was built."""

    async def save_workflow(self, workflow):
        try:
            await super().save_workflow(workflow)
        except ValidationError:
            await super().save_workflow(attrs.evolve(workflow, definition={}, metadata=None))


@breaks("REC-2")
class FoldsCase(Delegating):
    """Treats ids that differ in case as equal."""

    async def create_session(self, session):
        if any(session.id.lower() == other.id.lower() for other in await self.list_sessions()):
            raise AlreadyExistsError("session", session.id)
        await super().create_session(session)


@breaks("REC-2")
class StripsIds(Delegating):
    """Strips spaces off ids before it looks them up."""

    async def get_workflow(self, id):
        return await super().get_workflow(id.strip() or id if isinstance(id, str) else id)


@breaks("REC-2")
class AsksIdsForTheirText(Delegating):
    """Uses `str()` of an id, which a subclass can override."""

    async def get_session(self, id):
        return await super().get_session(str(id) if isinstance(id, str) else id)


@breaks("REC-8")
class AsksAmountsForTheirText(Delegating):
    """Uses `str()` of an amount, which a subclass can override."""

    async def consume_budget(self, pool_id, amount):
        return await super().consume_budget(pool_id, str(amount) if isinstance(amount, Decimal) else amount)


@breaks("APR-3")
class AsksInstantsForTheirTimestamp(Delegating):
    """Uses `timestamp()` of an instant, which a subclass can override."""

    async def expire_approvals(self, now=None):
        is_aware = isinstance(now, datetime) and type(now) is not datetime
        return await super().expire_approvals(datetime.fromtimestamp(now.timestamp(), UTC) if is_aware else now)


@breaks("REC-3", "LLM-3")
class CutsInstantsToMilliseconds(Delegating):
    """Stores instants to the millisecond."""

    async def save_llm_execution(self, session_id, node_id, result):
        at = result.timestamp
        cut = at.replace(microsecond=at.microsecond // 1000 * 1000)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, timestamp=cut))


@breaks("REC-3")
class KeepsInstantsAsFloats(Delegating):
    """Stores instants as seconds in a float, which is too coarse far from 1970."""

    async def create_session(self, session):
        seconds = min(session.created_at.timestamp(), datetime(9999, 12, 31, tzinfo=UTC).timestamp())
        await super().create_session(attrs.evolve(session, created_at=datetime.fromtimestamp(seconds, UTC)))


@breaks("REC-3")
class KeepsTimesOfDay(Delegating):
    """Stores the wall clock time without its time zone."""

    async def save_workflow(self, workflow):
        at = workflow.updated_at.astimezone(timezone(timedelta(hours=2))).replace(tzinfo=UTC)
        await super().save_workflow(attrs.evolve(workflow, updated_at=at))


@breaks("REC-3")
class KnowsNoTimeBefore1970(Delegating):
    """Stores an instant before 1970 as the first of 1970."""

    async def create_approval_request(self, request):
        at = max(request.created_at, datetime(1970, 1, 1, tzinfo=UTC))
        await super().create_approval_request(attrs.evolve(request, created_at=at))


@breaks("REC-4")
class LosesFalsyDocuments(Delegating):
    """Stores every falsy output as None."""

    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, attrs.evolve(state, output=state.output or None))


@breaks("REC-4")
class SortsKeys(Delegating):
    """Sorts the keys of a document."""

    async def save_workflow(self, workflow):
        await super().save_workflow(attrs.evolve(workflow, definition=dict(sorted(workflow.definition.items()))))


@breaks("REC-4")
class LosesEmptyObjects(Delegating):
    """Stores an empty object as None."""

    async def create_session(self, session):
        await super().create_session(attrs.evolve(session, metadata=session.metadata or None))


@breaks("REC-4")
class KeepsIntegersAsFloats(Delegating):
    """Stores the numbers in JSON as floats, as JavaScript does."""

    async def save_stream_event(self, event):
        await super().save_stream_event(attrs.evolve(event, data=json.loads(json.dumps(event.data), parse_int=float)))


@breaks("REC-4")
class LosesTheSignOfZero(Delegating):
    """Reads -0.0 as 0.0."""

    async def create_budget_pool(self, pool):
        metadata = json.loads(json.dumps(pool.metadata), parse_float=lambda text: float(text) + 0.0)
        await super().create_budget_pool(attrs.evolve(pool, metadata=metadata))


@breaks("REC-4")
class DropsNullsFromObjects(Delegating):
    """Drops a key whose value is null."""

    async def log_tool_call(self, log):
        args = {key: value for key, value in log.args.items() if value is not None}
        await super().log_tool_call(attrs.evolve(log, args=args))


@breaks("REC-4", caught_by=["test_a_record_that_its_owner_spoiled_is_not_stored"])
class StopsStringsAtNUL(Delegating):
    """Cuts a string in JSON at its first NUL."""

    async def create_approval_request(self, request):
        context = json.loads(re.sub(r"\\u0000[^\"]*", "", json.dumps(request.context)))
        await super().create_approval_request(attrs.evolve(request, context=context))


@breaks("REC-4", "SES-2")
class SharesEqualSnapshots(Delegating):
    """Shares one stored document between snapshots that Python calls equal, such as 1, 1.0 and True."""

    async def create_session(self, session):
        for other in [*await self.list_workflows(), *await self.list_sessions()]:
            document = getattr(other, "definition", None) or getattr(other, "workflow_snapshot", None)
            if document == session.workflow_snapshot:
                session = attrs.evolve(session, workflow_snapshot=document)
        await super().create_session(session)


@breaks("REC-5")
class StoresEmptyTextAsNull(Delegating):
    """Stores an empty text as null."""

    async def log_tool_call(self, log):
        await super().log_tool_call(attrs.evolve(log, error=log.error or None))


@breaks("REC-5")
class NormalizesText(Delegating):
    """Stores text in a normal form of Unicode."""

    async def save_llm_execution(self, session_id, node_id, result):
        text = result.text and unicodedata.normalize("NFC", result.text)
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, text=text))


@breaks("REC-5")
class TrimsText(Delegating):
    """Strips the white space around a text."""

    async def save_workflow(self, workflow):
        await super().save_workflow(attrs.evolve(workflow, name=workflow.name.strip()))


@breaks("REC-5")
class ReplacesWhatIsBeyond16Bits(Delegating):
    """Stores text in an encoding of three bytes, as MySQL's utf8 does."""

    async def update_node_state(self, session_id, node_id, state):
        error = state.error and "".join(each if ord(each) < 2**16 else "?" for each in state.error)
        await super().update_node_state(session_id, node_id, attrs.evolve(state, error=error))


@breaks("REC-6")
class HandsOutItsOwnRecords(Delegating):
    """Returns the same record object to every caller."""

    async def get_session(self, id):
        held = vars(self).setdefault("held", {})
        found = await super().get_session(id)
        return found if found is None else held.setdefault(found.id, found)


@breaks("REC-6")
class KeepsWhatItWasGiven(Delegating):
    """Stores the very document object that it was given."""

    async def save_workflow(self, workflow):
        await super().save_workflow(workflow)
        vars(self).setdefault("given", {})[workflow.id] = workflow

    async def get_workflow(self, id):
        found = await super().get_workflow(id)
        given = vars(self).get("given", {}).get(id)
        return found if found is None or given is None else attrs.evolve(found, definition=given.definition)


@breaks("REC-7", caught_by=["test_a_document_of_eight_mebibytes_comes_back"])
class LimitsDocuments(Delegating):
    """Refuses documents of more than a million characters."""

    async def log_tool_call(self, log):
        if len(repr(log.result)) > 1_000_000:
            raise ValidationError("ToolCallLog", "result", "is too long")
        await super().log_tool_call(log)


@breaks("REC-7")
class LimitsNesting(Delegating):
    """Refuses documents that nest deeper than 60 levels."""

    async def save_workflow(self, workflow):
        if "inner" in workflow.definition and repr(workflow.definition).count("[") > 60:
            raise ValidationError("StoredWorkflow", "definition", "nests too deep")
        await super().save_workflow(workflow)


@breaks("REC-7")
class CutsTextAt64KiB(Delegating):
    """Cuts strings in documents at 64 KiB, as a TEXT column does."""

    async def update_node_state(self, session_id, node_id, state):
        output = state.output[: 2**16] if isinstance(state.output, str) else state.output
        await super().update_node_state(session_id, node_id, attrs.evolve(state, output=output))


LONGEST_SUM = 10_000
"""The largest use of a pool that `CountsInFloats` adds up; the time that it takes for more is no mistake."""


@breaks("REC-8", caught_by=["test_sums_of_amounts_do_not_drift"])
class CountsInFloats(Delegating):
    """Adds amounts as floats."""

    async def get_budget_pool(self, id):
        pool = await super().get_budget_pool(id)
        if pool is None or pool.used_budget > LONGEST_SUM or not await self.get_child_budget_pools(id):
            return pool
        drifted = 0.0
        while drifted < float(pool.used_budget) - 0.05:
            drifted += 0.1
        return attrs.evolve(pool, used_budget=Decimal(f"{drifted:.15g}"))


@breaks("REC-8")
class KeepsSixDecimals(Delegating):
    """Stores six decimals of an amount."""

    async def create_budget_pool(self, pool):
        await super().create_budget_pool(attrs.evolve(pool, total_budget=round(pool.total_budget, 6)))


@breaks("REC-8")
class CountsInCents(Delegating):
    """Rounds the use of a pool to two decimals."""

    async def consume_budget(self, pool_id, amount):
        consumed = await super().consume_budget(pool_id, amount)
        return await self.update_budget_pool(pool_id, used_budget=round(consumed.used_budget, 2))
