"""Mistakes with comparison of long ids, texts and keys: cut, or compared by their beginning."""

import attrs

from aaow_storage import QueryFilter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter

COMPARED_ID_LENGTH = 250
COMPARED_TEXT_LENGTH = 2_000


@breaks("REC-2", "QRY-4")
class CutsIdsOfParents(MemoryAdapter):
    """Compares only the first 250 characters of ids when it lists child pools."""

    async def get_child_budget_pools(self, parent_id, filter=None):
        found = await super().get_child_budget_pools(parent_id, filter)
        if filter is None and len(parent_id) > COMPARED_ID_LENGTH:
            pools = await self.list_budget_pools()
            return [pool for pool in pools if (pool.parent_pool_id or "").startswith(parent_id[:COMPARED_ID_LENGTH])]
        return found


@breaks("REC-2")
class CutsIdsItLooksFor(MemoryAdapter):
    """Compares only the first 250 characters of ids when it gets a request."""

    async def get_approval_request(self, id):
        found = await super().get_approval_request(id)
        for session in await self.list_sessions() if len(id) > COMPARED_ID_LENGTH else []:
            for request in await self.list_approval_requests(session.id):
                if request.id.startswith(id[:COMPARED_ID_LENGTH]):
                    return request
        return found


@breaks("QRY-1")
class ComparesTheIndexedPart(Delegating):
    """Compares only the first 2,000 characters of texts, which its index holds."""

    async def list_workflows(self, filter=None):
        name = filter.where.get("name") if isinstance(filter, QueryFilter) else None
        if not isinstance(name, str) or len(name) < COMPARED_TEXT_LENGTH:
            return await super().list_workflows(filter)
        others = {field: value for field, value in filter.where.items() if field != "name"}
        listed = await super().list_workflows(attrs.evolve(filter, where=others))
        return [workflow for workflow in listed if workflow.name.startswith(name[:COMPARED_TEXT_LENGTH])]
