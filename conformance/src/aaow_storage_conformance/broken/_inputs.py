"""Mistakes with inputs that have messages in common."""

import json

import attrs

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction


class _KeepsMessagesOnce(Delegating):
    """Keeps a message once under a key, and stores that one in the place of every other with the same key."""

    def __init__(self, wrapped):
        super().__init__(wrapped)
        self._messages = {}

    def key(self, session_id, number, message):
        raise NotImplementedError

    async def save_llm_execution(self, session_id, node_id, result):
        if isinstance(result.input, list):
            kept = [
                self._messages.setdefault((session_id, self.key(session_id, number, each)), each)
                for number, each in enumerate(json.loads(json.dumps(result.input)))
            ]
            result = attrs.evolve(result, input=kept)
        await super().save_llm_execution(session_id, node_id, result)


@breaks("LLM-4")
class DropsEditedMessages(_KeepsMessagesOnce):
    """Takes a message for the one that was at its place before."""

    def key(self, session_id, number, message):
        return number


@breaks("LLM-4")
class IgnoresTheOrderOfKeys(_KeepsMessagesOnce):
    """Takes messages whose keys have another order for the same."""

    def key(self, session_id, number, message):
        return json.dumps(message, sort_keys=True)


@breaks("LLM-4")
class ComparesMessagesByValue(_KeepsMessagesOnce):
    """Takes messages for the same that Python finds equal: 1, 1.0 and True."""

    def key(self, session_id, number, message):
        return _hashable(message)


def _hashable(value):
    if isinstance(value, dict):
        return tuple((key, _hashable(item)) for key, item in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


@breaks("LLM-4")
class IdentifiesAnInputByItsEnd(Delegating):
    """Takes an input that ends like one before, and is as long, for the same."""

    def __init__(self, wrapped):
        super().__init__(wrapped)
        self._inputs = {}

    async def save_llm_execution(self, session_id, node_id, result):
        if isinstance(result.input, list) and result.input:
            key = session_id, len(result.input), json.dumps(result.input[-1])
            same = self._inputs.setdefault(key, json.dumps(result.input))
            result = attrs.evolve(result, input=json.loads(same))
        await super().save_llm_execution(session_id, node_id, result)


@breaks("LLM-4")
class ForgetsTheOtherBranch(Delegating):
    """Returns the beginning of an input from the longest one of its session."""

    async def get_llm_executions(self, session_id, filter=None):
        found = await super().get_llm_executions(session_id, filter)
        inputs = [each.input for each in found if isinstance(each.input, list)]
        longest = max(inputs, key=len, default=[])
        return [
            attrs.evolve(each, input=[*longest[: len(each.input) - 1], each.input[-1]])
            if isinstance(each.input, list) and each.input
            else each
            for each in found
        ]


@breaks("LLM-4")
class KeepsMessagesOnceAStore(Delegating):
    """Deletes the messages of a deleted session from the inputs of other sessions, too."""

    def __init__(self, wrapped):
        super().__init__(wrapped)
        self._gone = set()

    async def delete_session(self, id):
        for each in await self.get_llm_executions(id):
            self._gone |= {json.dumps(one) for one in each.input} if isinstance(each.input, list) else set()
        await super().delete_session(id)

    async def list_llm_executions(self, filter=None):
        found = await super().list_llm_executions(filter)
        return [
            attrs.evolve(each, input=[one for one in each.input if json.dumps(one) not in self._gone])
            if isinstance(each.input, list)
            else each
            for each in found
        ]


class _RemembersMessages(Delegating):
    """Leaves messages out that it believes to be stored."""

    def __init__(self, wrapped):
        super().__init__(wrapped)
        self.believed = set()

    async def save_llm_execution(self, session_id, node_id, result):
        if isinstance(result.input, list):
            kept = [each for each in result.input if (session_id, json.dumps(each)) not in self.believed]
            result = attrs.evolve(result, input=kept)
        await super().save_llm_execution(session_id, node_id, result)


class _Remembering(DelegatingTransaction):
    believed: set[tuple[str, str]]

    async def save_llm_execution(self, session_id, node_id, result):
        if isinstance(result.input, list):
            self.saved = [(session_id, json.dumps(each)) for each in result.input]
        await super().save_llm_execution(session_id, node_id, result)

    async def rollback(self):
        await super().rollback()
        self.believed.update(getattr(self, "saved", ()))


@breaks("LLM-4")
class RemembersWhatWasRolledBack(_RemembersMessages):
    """Takes messages for stored that were rolled back."""

    def wrap_transaction(self, transaction):
        wrapped = _Remembering(transaction)
        wrapped.believed = self.believed
        return wrapped


@breaks("LLM-4")
class RemembersDeletedSessions(_RemembersMessages):
    """Takes the messages of a deleted session for stored when a session gets its id again."""

    async def delete_session(self, id):
        for each in await self.get_llm_executions(id):
            self.believed |= {(id, json.dumps(one)) for one in each.input or ()}
        await super().delete_session(id)


@breaks("LLM-4")
class TakesAnEmptyInputForNone(Delegating):
    """Stores an empty list as no input."""

    async def save_llm_execution(self, session_id, node_id, result):
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, input=result.input or None))


@breaks("LLM-4", caught_by=["test_an_input_may_have_ten_thousand_messages"])
class CutsInputsAtAThousandMessages(Delegating):
    """Stores the last thousand messages of an input."""

    async def save_llm_execution(self, session_id, node_id, result):
        if isinstance(result.input, list):
            result = attrs.evolve(result, input=result.input[-1000:])
        await super().save_llm_execution(session_id, node_id, result)
