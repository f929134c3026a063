"""Mistakes with lists over all sessions, single nodes, and the defaults of the interface."""

import attrs

from aaow_storage import NodeExecutionState, QueryFilter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("OPS-12")
class ListsTheSessionsOfTheFirstPage(Delegating):
    """Lists the executions of the first two sessions alone."""

    async def list_llm_executions(self, filter=None):
        sessions = await self.list_sessions(QueryFilter(limit=2))
        executions = [each for session in sessions for each in await self.get_llm_executions(session.id, filter)]
        return sorted(executions, key=lambda each: (each.timestamp, each.id))


@breaks("OPS-12", "OPS-9")
class ListsSessionBySession(Delegating):
    """Lists the executions of one session after those of another, not in the order of the whole list."""

    async def list_llm_executions(self, filter=None):
        found = await super().list_llm_executions(filter)
        return sorted(found, key=lambda each: each.session_id)


@breaks("OPS-12")
class CountsRequestsWithoutTheFilter(Delegating):
    """Counts all requests, whatever the filter says."""

    async def count_approval_requests(self, filter=None):
        return await super().count_approval_requests()


@breaks("OPS-12", "OPS-9")
class CountsExecutionsWithoutTheLimit(Delegating):
    """Counts the executions that meet the conditions, beyond the limit too."""

    async def count_llm_executions(self, filter=None):
        whole = filter and attrs.evolve(filter, limit=None, offset=0)
        return await super().count_llm_executions(whole)


@breaks("OPS-12", "TOO-2")
class ListsNoCallsOfNodes(Delegating):
    """Leaves out the tool calls without an execution."""

    async def list_tool_calls(self, filter=None):
        return [each for each in await super().list_tool_calls(filter) if each.execution_id is not None]


@breaks("OPS-12")
class TakesAWrongSessionForAll(Delegating):
    """Lists the requests of all sessions for a session that has none."""

    async def list_approval_requests(self, session_id=None, filter=None):
        found = await super().list_approval_requests(session_id, filter)
        return found or await super().list_approval_requests(None, filter)


@breaks("OPS-12")
class ListsStatesOfRunningSessions(Delegating):
    """Leaves out the states of sessions that are paused."""

    async def list_execution_states(self, filter=None):
        return [each for each in await super().list_execution_states(filter) if each.status != "paused"]


@breaks("OPS-12", "OPS-9")
class ListsNodesByTheirIds(Delegating):
    """Orders node states by the node id before the session id."""

    async def list_node_states(self, filter=None):
        found = await super().list_node_states(filter)
        is_ordered = filter is not None and filter.order_by
        return found if is_ordered else sorted(found, key=lambda each: (each.node_id, each.session_id))


@breaks("OPS-12")
class ForgetsHowToGoOnAfterAState(Delegating):
    """Ignores the record after which a page of states begins if the order is not the default one."""

    async def list_execution_states(self, filter=None):
        if filter is not None and filter.order_by:
            filter = attrs.evolve(filter, after_record=None)  # noqa: A001 - the argument's name
        return await super().list_execution_states(filter)


@breaks("STA-6")
class FindsNodesOfOtherSessions(Delegating):
    """Finds a node of any session that has such a node."""

    async def get_node_state(self, session_id, node_id):
        found = await super().get_node_state(session_id, node_id)
        if found is None:
            for other in await self.list_node_states(QueryFilter({"node_id": node_id}, limit=1)):
                found = await super().get_node_state(other.session_id, node_id)
        return found


@breaks("STA-6")
class ReturnsAPendingNode(Delegating):
    """Returns a pending state for a node that is not there."""

    async def get_node_state(self, session_id, node_id):
        return await super().get_node_state(session_id, node_id) or NodeExecutionState(node_id=node_id)


@breaks("STA-6")
class ReadsNodesFromACache(Delegating):
    """Reads a node once, and returns that from then on."""

    async def get_node_state(self, session_id, node_id):
        cache = vars(self).setdefault("nodes", {})
        if (session_id, node_id) not in cache:
            cache[session_id, node_id] = await super().get_node_state(session_id, node_id)
        return cache[session_id, node_id]


@breaks("LLM-5")
class ListsInputsAnyway(Delegating):
    """Ignores `documents=False` in lists of executions."""

    async def list_llm_executions(self, filter=None):
        return await super().list_llm_executions(filter and attrs.evolve(filter, documents=True))


@breaks("LLM-5")
class HasNoneForAnOmittedInput(Delegating):
    """Has None in place of the `input` that it leaves out."""

    async def get_llm_executions(self, session_id, filter=None):
        found = await super().get_llm_executions(session_id, filter)
        if filter is not None and not filter.documents:
            for each in found:
                object.__setattr__(each, "input", None)
        return found


@breaks("LLM-5")
class CannotFilterByWhatItLeavesOut(Delegating):
    """Does not look into inputs that a list leaves out."""

    async def list_llm_executions(self, filter=None):
        if filter is not None and not filter.documents:
            where = {name: each for name, each in filter.where.items() if not str(name).startswith("input.")}
            filter = attrs.evolve(filter, where=where)  # noqa: A001 - the argument's name
        return await super().list_llm_executions(filter)


@breaks("OPS-9")
class HasNodesThatDifferFromTheState(Delegating):
    """Has another version of a node than the state that it is in."""

    async def get_node_state(self, session_id, node_id):
        found = await super().get_node_state(session_id, node_id)
        return found and attrs.evolve(found, metadata=None)


@breaks("OPS-9", "OPS-12")
class ListsTheLastCallFirst(Delegating):
    """Orders tool calls by time, the last one first."""

    async def list_tool_calls(self, filter=None):
        found = await super().list_tool_calls(filter)
        is_default = filter is None or not filter.order_by
        return sorted(found, key=lambda each: (each.timestamp, each.id), reverse=True) if is_default else found


@breaks("OPS-12")
class ListsExecutionsOfOnePage(Delegating):
    """Lists 500 executions at most."""

    async def list_llm_executions(self, filter=None):
        return (await super().list_llm_executions(filter))[:500]


@breaks("OPS-12")
class ListsNoExpiredRequests(Delegating):
    """Leaves expired requests out of a list over all sessions."""

    async def list_approval_requests(self, session_id=None, filter=None):
        found = await super().list_approval_requests(session_id, filter)
        return [each for each in found if session_id is not None or each.status != "expired"]


@breaks("OPS-12", caught_by=["test_random_filters_of_states_and_streams_find_what_their_plan_selects"])
class ListsNodesWithoutAlternatives(Delegating):
    """Ignores `any_of` in lists of node states."""

    async def list_node_states(self, filter=None):
        return await super().list_node_states(filter and attrs.evolve(filter, any_of=None))


@breaks("QRY-10", "OPS-12")
class CountsExecutionsWithoutAlternatives(Delegating):
    """Ignores `any_of` in counts of executions."""

    async def count_llm_executions(self, filter=None):
        await super().count_llm_executions(filter)
        return await super().count_llm_executions(filter and attrs.evolve(filter, any_of=None))


@breaks("LLM-5")
class HasNoneForAMissingInput(Delegating):
    """Has None, not OMITTED, where an execution has no input."""

    async def list_llm_executions(self, filter=None):
        found = await super().list_llm_executions(filter)
        if filter is not None and not filter.documents:
            missing = {each.id for each in await super().list_llm_executions(QueryFilter({"input": None}))}
            for each in found:
                if each.id in missing:
                    object.__setattr__(each, "input", None)
        return found


@breaks("LLM-5")
class HasNoPagesWithoutDocuments(Delegating):
    """Ignores the limit of a list without documents."""

    async def get_llm_executions(self, session_id, filter=None):
        if filter is not None and not filter.documents:
            filter = attrs.evolve(filter, limit=None)  # noqa: A001 - the argument's name
        return await super().get_llm_executions(session_id, filter)


@breaks("STA-6", "TXN-2")
class ReadsNodesPastTheTransaction(Delegating):
    """Reads a node as it was when the transaction began."""

    async def begin_transaction(self, timeout=30.0):
        nodes = {(node.session_id, node.node_id): node for node in await self.list_node_states()}
        states = {place: await self.get_node_state(*place) for place in nodes}
        transaction = await super().begin_transaction(timeout)

        async def get_node_state(session_id, node_id):
            return states.get((session_id, node_id))

        transaction.get_node_state = get_node_state
        return transaction


@breaks("OPS-12", "QRY-11", caught_by=["test_random_filters_of_states_and_streams_find_what_their_plan_selects"])
class StartsStatesOverAtACursor(Delegating):
    """Lists the first page of states again for a cursor."""

    async def list_execution_states(self, filter=None):
        found = await super().list_execution_states(filter)
        if filter is not None and isinstance(filter.after_record, str):
            return await super().list_execution_states(attrs.evolve(filter, after_record=None))
        return found


@breaks("TOO-2")
class ListsCallsOfTheNodeToo(Delegating):
    """Lists the calls of a node among those of its execution."""

    async def get_tool_calls(self, execution_id, filter=None):
        found = await super().get_tool_calls(execution_id, filter)
        for execution in await self.list_llm_executions(QueryFilter({"id": execution_id})):
            place = {"session_id": execution.session_id, "node_id": execution.node_id}
            found += await self.list_tool_calls(QueryFilter({"execution_id": None, **place}))
        return found
