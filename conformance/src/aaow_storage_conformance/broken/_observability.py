"""Mistakes with what an owner of agents looks at: models, costs, attempts, and tool calls without an execution."""

import attrs

from aaow_storage import NotFoundError, QueryFilter, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("REC-9")
class ForgetsTheModel(Delegating):
    """Stores no provider and no model."""

    async def save_llm_execution(self, session_id, node_id, result):
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, provider=None, model=None))


@breaks("REC-9")
class SendsTextsAlone(Delegating):
    """Stores an input that is no list as a list of one."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.input is not None and not isinstance(result.input, list):
            result = attrs.evolve(result, input=[result.input])
        await super().save_llm_execution(session_id, node_id, result)


@breaks("REC-9")
class RoundsCosts(Delegating):
    """Rounds costs to four places."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.cost is not None:
            result = attrs.evolve(result, cost=round(result.cost, 4))
        await super().save_llm_execution(session_id, node_id, result)


@breaks("REC-9")
class CountsInDollars(Delegating):
    """Returns every cost as one in USD."""

    async def get_llm_executions(self, session_id, filter=None):
        found = await super().get_llm_executions(session_id, filter)
        return [each if each.cost is None else attrs.evolve(each, currency="USD") for each in found]


@breaks("REC-9")
class EndsExecutionsWhenTheyAreSaved(Delegating):
    """Takes the beginning for the end of an execution that is saved without one."""

    async def save_llm_execution(self, session_id, node_id, result):
        ended = result.timestamp if result.completed_at is None else result.completed_at
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, completed_at=ended))


@breaks("LLM-1")
class TakesZeroForUnreported(Delegating):
    """Returns 0 for a figure of the usage that was not reported."""

    async def get_llm_executions(self, session_id, filter=None):
        found = await super().get_llm_executions(session_id, filter)
        return [
            each
            if each.usage is None
            else attrs.evolve(each, usage=attrs.evolve(each.usage, reasoning_tokens=each.usage.reasoning_tokens or 0))
            for each in found
        ]


@breaks("STA-4")
class KeepsTenAttempts(Delegating):
    """Keeps the last ten attempts at a node."""

    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, attrs.evolve(state, attempts=state.attempts[-10:]))


@breaks("STA-4")
class ReturnsTheLatestAttemptFirst(Delegating):
    """Returns the attempts at a node in the opposite order."""

    async def get_execution_state(self, session_id):
        state = await super().get_execution_state(session_id)
        if state is None:
            return None
        nodes = {name: attrs.evolve(node, attempts=node.attempts[::-1]) for name, node in state.node_states.items()}
        return attrs.evolve(state, node_states=nodes)


@breaks("STA-4")
class AddsToTheAttempts(Delegating):
    """Keeps the attempts of a node that is saved without them."""

    async def update_node_state(self, session_id, node_id, state):
        before = await self.get_execution_state(session_id)
        if before is not None and node_id in before.node_states and not state.attempts:
            state = attrs.evolve(state, attempts=before.node_states[node_id].attempts)
        await super().update_node_state(session_id, node_id, state)


@breaks("TOO-2")
class ListsCallsOfExecutionsAlone(Delegating):
    """Leaves tool calls without an execution out of the session's."""

    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        return [call for call in found if call.execution_id is not None]


@breaks("TOO-2")
class TakesCallsOfNoSession(Delegating):
    """Accepts a tool call of a session that is not there, and stores nothing."""

    async def log_tool_call(self, log):
        try:
            await super().log_tool_call(log)
        except NotFoundError:
            if log.execution_id is not None:
                raise


@breaks("TOO-2")
class BelievesTheCall(Delegating):
    """Accepts a tool call that names another session or node than its execution, and stores the execution's."""

    async def log_tool_call(self, log):
        try:
            await super().log_tool_call(log)
        except ValidationError:
            await super().log_tool_call(attrs.evolve(log, session_id=None, node_id=None))


@breaks("TOO-2")
class LeavesThePlaceOfACallOut(Delegating):
    """Returns tool calls of executions without their session and node."""

    async def get_tool_calls(self, execution_id, filter=None):
        found = await super().get_tool_calls(execution_id, filter)
        return [attrs.evolve(call, session_id=None, node_id=None) for call in found]


@breaks("SES-3")
class KeepsEventsOfDeletedSessions(Delegating):
    """Keeps the stream events that name a deleted session."""

    async def save_stream_event(self, event):
        await super().save_stream_event(attrs.evolve(event, session_id=None))


@breaks("REC-9")
class TrimsModels(Delegating):
    """Strips spaces from the name of a model."""

    async def save_llm_execution(self, session_id, node_id, result):
        model = None if result.model is None else result.model.strip()
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, model=model))


@breaks("REC-9")
class ListsNodesWithoutInputs(Delegating):
    """Lists the executions of a node without their inputs."""

    async def get_node_llm_executions(self, session_id, node_id, filter=None):
        found = await super().get_node_llm_executions(session_id, node_id, filter)
        for execution in found:
            object.__setattr__(execution, "input", None)
        return found


@breaks("REC-9")
class IgnoresAnEndAtTheBeginning(Delegating):
    """Takes an execution that ended when it began, or before, for one that runs."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.completed_at is not None and result.completed_at <= result.timestamp:
            result = attrs.evolve(result, completed_at=None)
        await super().save_llm_execution(session_id, node_id, result)


@breaks("STA-4")
class KeepsEqualAttemptsOnce(Delegating):
    """Keeps one of several equal attempts."""

    async def update_node_state(self, session_id, node_id, state):
        attempts = [each for place, each in enumerate(state.attempts) if each not in state.attempts[:place]]
        await super().update_node_state(session_id, node_id, attrs.evolve(state, attempts=attempts))


@breaks("STA-4")
class ReadsOneNodeWithoutItsAttempts(Delegating):
    """Reads a single node without its attempts."""

    async def get_node_state(self, session_id, node_id):
        found = await super().get_node_state(session_id, node_id)
        return found and attrs.evolve(found, attempts=())


@breaks("TOO-2", "LLM-3")
class ListsCallsOfNodesLast(Delegating):
    """Lists the tool calls of executions before those without one."""

    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        return sorted(found, key=lambda call: call.execution_id is None)


@breaks("TOO-2")
class FiltersByTheSessionOfTheCallAlone(Delegating):
    """Filters tool calls by the session that they were logged with, which those of an execution need not name."""

    async def get_session_tool_calls(self, session_id, filter=None):
        found = await super().get_session_tool_calls(session_id, filter)
        is_named = filter is not None and "session_id" in filter.where
        return [call for call in found if call.execution_id is None or not is_named]


@breaks("TOO-2")
class RemembersWhereACallWasLogged(Delegating):
    """Lists tool calls with the session that their execution had when they were logged."""

    async def log_tool_call(self, log):
        await super().log_tool_call(log)
        (stored,) = await super().list_tool_calls(QueryFilter({"id": log.id}))
        vars(self).setdefault("places", {})[log.id] = {"session_id": stored.session_id, "node_id": stored.node_id}

    async def list_tool_calls(self, filter=None):
        places = vars(self).get("places", {})
        return [attrs.evolve(call, **places.get(call.id, {})) for call in await super().list_tool_calls(filter)]


@breaks("SES-3")
class DeletesEventsOfOneStream(Delegating):
    """Deletes the events of a session from the first of its streams alone."""

    async def delete_session(self, id):
        events = await self.list_stream_events(QueryFilter({"session_id": id}))
        await super().delete_session(id)
        for event in events:
            if event.stream_id != events[0].stream_id:
                await self.save_stream_event(attrs.evolve(event, session_id=None))
