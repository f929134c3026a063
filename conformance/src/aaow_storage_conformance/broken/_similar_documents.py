"""Mistakes with comparison of documents that are almost equal."""

import json
from contextlib import suppress

import attrs

from aaow_storage import LLMExecutionResult, StorageError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating

COMPARED_LENGTH = 4096


class SharingDocuments(Delegating):
    """Stores equal documents once; a subclass decides which are equal."""

    def __init__(self, reference):
        super().__init__(reference)
        self.known = {}

    def shared(self, document):
        """Return the document that was first stored under the same key; a short document is its own."""
        try:
            text = json.dumps(document)
        except (TypeError, ValueError, RecursionError):
            return document
        return document if len(text) < COMPARED_LENGTH else json.loads(self.known.setdefault(self.key(text), text))


@breaks("REC-4", "SES-2")
class KnowsSnapshotsByTheirBeginning(SharingDocuments):
    """Treats snapshots as equal if their lengths and their first 4 KiB are."""

    def key(self, text):
        return len(text), text[:COMPARED_LENGTH]

    async def create_session(self, session):
        if attrs.has(type(session)):
            session = attrs.evolve(session, workflow_snapshot=self.shared(session.workflow_snapshot))
        await super().create_session(session)


@breaks("REC-4", "SES-2")
class KnowsDefinitionsByTheirEnds(SharingDocuments):
    """Treats definitions as equal if their lengths and their first and last 4 KiB are."""

    def key(self, text):
        return len(text), text[:COMPARED_LENGTH], text[-COMPARED_LENGTH:]

    async def save_workflow(self, workflow):
        if attrs.has(type(workflow)):
            workflow = attrs.evolve(workflow, definition=self.shared(workflow.definition))
        await super().save_workflow(workflow)


@breaks("REC-4")
class KnowsEventsByTheirBeginning(SharingDocuments):
    """Treats the data of events as equal if the first 4 KiB are."""

    def key(self, text):
        return text[:COMPARED_LENGTH]

    async def save_stream_event(self, event):
        if attrs.has(type(event)):
            event = attrs.evolve(event, data=self.shared(event.data))
        await super().save_stream_event(event)


@breaks("OPS-3")
class SavesNoNodeThatIsEqual(Delegating):
    """Does not save a node state that Python calls equal to the stored one."""

    async def update_node_state(self, session_id, node_id, state):
        with suppress(StorageError):
            stored = await self.get_execution_state(session_id)
            if stored is not None and stored.node_states.get(node_id) == state:
                return
        await super().update_node_state(session_id, node_id, state)


@breaks("OPS-3")
class SavesNoExecutionThatIsEqual(Delegating):
    """Does not save an execution that Python calls equal to the stored one."""

    async def save_llm_execution(self, session_id, node_id, result):
        with suppress(StorageError):
            names = [field.name for field in attrs.fields(LLMExecutionResult)]
            for stored in await self.get_node_llm_executions(session_id, node_id):
                if all(getattr(stored, name) == getattr(result, name, ...) for name in names):
                    return
        await super().save_llm_execution(session_id, node_id, result)


@breaks("OPS-4")
class KeepsAnEqualContext(Delegating):
    """Does not update a context that Python calls equal to the stored one."""

    async def update_approval_request(self, id, /, **changes):
        stored = None
        with suppress(StorageError):
            stored = await self.get_approval_request(id)
        if stored is not None and changes.get("context") == stored.context:
            changes["context"] = stored.context
        return await super().update_approval_request(id, **changes)


@breaks("STA-1")
class SavesNoStateThatIsEqual(Delegating):
    """Does not save a state that Python calls equal to the stored one."""

    async def save_execution_state(self, state):
        with suppress(StorageError, AttributeError):
            if await self.get_execution_state(state.session_id) == state:
                return
        await super().save_execution_state(state)


@breaks("SES-2")
class ReadsAnEqualDefinition(Delegating):
    """Returns the definition in place of a snapshot that Python calls equal to it."""

    async def get_session(self, id):
        session = await super().get_session(id)
        workflow = None if session is None else await self.get_workflow(session.workflow_id or "none")
        if workflow is None or workflow.definition != session.workflow_snapshot:
            return session
        return attrs.evolve(session, workflow_snapshot=workflow.definition)


@breaks("OPS-4")
class MergesMetadata(Delegating):
    """Merges new metadata of one key into old metadata of one key."""

    async def update_budget_pool(self, id, /, **changes):
        stored = None
        with suppress(StorageError):
            stored = await self.get_budget_pool(id)
        old, new = stored and stored.metadata, changes.get("metadata")
        if isinstance(old, dict) and isinstance(new, dict) and len(old) == len(new) == 1:
            changes["metadata"] = {**old, **new}
        return await super().update_budget_pool(id, **changes)
