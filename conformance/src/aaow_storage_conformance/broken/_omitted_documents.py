"""Mistakes with lists without documents."""

import attrs

from aaow_storage import QueryFilter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying


def _without(filter):
    return isinstance(filter, QueryFilter) and not filter.documents


@breaks("QRY-8")
class ListsDocumentsUnasked(Delegating):
    """Lists documents that `documents=False` should leave out."""

    async def list_sessions(self, filter=None):
        return await self.reference.list_sessions(attrs.evolve(filter, documents=True) if _without(filter) else filter)


@breaks("QRY-8")
class ListsEmptyDocuments(Delegating):
    """Lists an empty document, not OMITTED, in place of one that is left out."""

    async def list_workflows(self, filter=None):
        found = await self.reference.list_workflows(filter)
        return [attrs.evolve(each, definition={}) for each in found] if _without(filter) else found


@breaks("QRY-8")
class LeavesMetadataOutToo(Delegating):
    """Leaves out the metadata along with the documents."""

    async def list_sessions(self, filter=None):
        found = await self.reference.list_sessions(filter)
        for session in found if _without(filter) else ():
            object.__setattr__(session, "metadata", None)
        return found


@breaks("QRY-8")
class FindsNothingInWhatItLeavesOut(Querying):
    """Finds nothing by a condition that reaches into a document which it leaves out."""

    def matches(self, plan, record):
        if not plan.documents and any(
            leaf.field.name == "workflow_snapshot" for each in plan.conditions for leaf in each.leaves()
        ):
            return False
        return super().matches(plan, record)


@breaks("QRY-8")
class StoresAnEmptyDocumentForNone(Delegating):
    """Stores an empty document for a record that was listed without its own."""

    async def create_session(self, session):
        if not isinstance(getattr(session, "workflow_snapshot", {}), dict):
            object.__setattr__(session, "workflow_snapshot", {})
        await self.reference.create_session(session)
