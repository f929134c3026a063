"""Mistakes with combinations: of two conditions, keys or changes in one call, only one has an effect."""

import attrs

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying


@breaks("QRY-1")
class KeepsTheLastConditionOnAField(Querying):
    """Keys conditions by the column or path, so only the last of two on one field counts."""

    def meets_all(self, conditions, record):
        return super().meets_all({each.field: each for each in conditions}.values(), record)


@breaks("QRY-1")
class KeepsTheFirstConditionOnAField(Querying):
    """Keys conditions by the column or path, so only the first of two on one field counts."""

    def meets_all(self, conditions, record):
        return super().meets_all({each.field: each for each in reversed(conditions)}.values(), record)


@breaks("QRY-1")
class KeepsOneConditionOfAKind(Querying):
    """Names parameters by field and operator, so only the last of two alike counts."""

    def meets_all(self, conditions, record):
        named = {(each.field, each.operator, each.negated): each for each in conditions}
        return super().meets_all(named.values(), record)


@breaks("QRY-1")
class LooksAtFourConditions(Querying):
    """Ignores all conditions after the fourth."""

    def meets_all(self, conditions, record):
        return super().meets_all(list(conditions)[:4], record)


@breaks("QRY-5")
class OrdersByTheLastOfAField(Querying):
    """Keys the order by field, so only the last key on a field counts."""

    def plan(self, kind, filter):
        if filter is None or filter.after_record is not None:
            return super().plan(kind, filter)
        last = {key.field: key for key in filter.order_by}
        return super().plan(kind, attrs.evolve(filter, order_by=tuple(last.values())))


class _DropsUnchanged(Delegating):
    """Can tell that the first field of an update does not change."""

    async def unchanged(self, kind, id, changes):
        stored = await getattr(self, f"get_{kind}")(id)
        if stored is not None and len(changes) > 1:
            names = [name for name, value in changes.items() if getattr(stored, name, None) == value]
            if names and names[0] == next(iter(changes)):
                return stored
        return None


@breaks("OPS-4")
class StopsAtAnUnchangedField(_DropsUnchanged):
    """Drops a whole update if its first field does not change."""

    async def update_workflow(self, id, /, **changes):
        return await self.unchanged("workflow", id, changes) or await super().update_workflow(id, **changes)


@breaks("OPS-4")
class StopsAtAnUnchangedContext(_DropsUnchanged):
    """Drops a whole update of a request if its first field does not change."""

    async def update_approval_request(self, id, /, **changes):
        stored = await self.unchanged("approval_request", id, changes)
        return stored or await super().update_approval_request(id, **changes)


@breaks("OPS-4")
class TakesTotalOrUse(Delegating):
    """Sets the total of a pool or its use, but not both in one update."""

    async def update_budget_pool(self, id, /, **changes):
        if "total_budget" in changes and len(changes) > 2:
            changes.pop("used_budget", None)
        return await super().update_budget_pool(id, **changes)


@breaks("OPS-3")
class KeepsCallsByTheirId(Delegating):
    """Keys the tool calls of an execution by the id that the model gave, so equal ids overwrite each other."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.tool_calls is not None:
            by_id = {call.tool_call_id: call for call in result.tool_calls}
            result = attrs.evolve(result, tool_calls=tuple(by_id.values()))
        await super().save_llm_execution(session_id, node_id, result)
