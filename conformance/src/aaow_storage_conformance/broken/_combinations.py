"""Mistakes with two in one call: one of them has no effect."""

import attrs

from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying


@breaks("QRY-1")
class KeepsTheLastConditionOnAField(Querying):
    """Knows conditions by the column or path, so that of two on one the last is left."""

    def holds(self, conditions, record):
        return super().holds({each.field: each for each in conditions}.values(), record)


@breaks("QRY-1")
class KeepsTheFirstConditionOnAField(Querying):
    """Knows conditions by the column or path, so that of two on one the first is left."""

    def holds(self, conditions, record):
        return super().holds({each.field: each for each in reversed(conditions)}.values(), record)


@breaks("QRY-1")
class KeepsOneConditionOfAKind(Querying):
    """Names parameters by the field and operator, so that of two of one kind on one field the last is left."""

    def holds(self, conditions, record):
        named = {(each.field, each.operator, each.negated): each for each in conditions}
        return super().holds(named.values(), record)


@breaks("QRY-1")
class LooksAtFourConditions(Querying):
    """Looks at the first four conditions."""

    def holds(self, conditions, record):
        return super().holds(list(conditions)[:4], record)


@breaks("QRY-5")
class OrdersByTheLastOfAField(Querying):
    """Knows keys by their field, so that of two on one field the last is left."""

    def plan(self, kind, filter):
        if filter is None or filter.after_record is not None:
            return super().plan(kind, filter)
        last = {key.field: key for key in filter.order_by}
        return super().plan(kind, attrs.evolve(filter, order_by=tuple(last.values())))


class _DropsUnchanged(Delegating):
    """Leaves a whole update out where one of its changes changes nothing."""

    async def unchanged(self, kind, id, changes):
        stored = await getattr(self, f"get_{kind}")(id)
        if stored is not None and len(changes) > 1:
            names = [name for name, value in changes.items() if getattr(stored, name, None) == value]
            if names and names[0] == next(iter(changes)):
                return stored
        return None


@breaks("OPS-4")
class StopsAtAnUnchangedField(_DropsUnchanged):
    """Takes an update whose first field is what it was for one of nothing."""

    async def update_workflow(self, id, /, **changes):
        return await self.unchanged("workflow", id, changes) or await super().update_workflow(id, **changes)


@breaks("OPS-4")
class StopsAtAnUnchangedContext(_DropsUnchanged):
    """Takes an update of a request whose first field is what it was for one of nothing."""

    async def update_approval_request(self, id, /, **changes):
        stored = await self.unchanged("approval_request", id, changes)
        return stored or await super().update_approval_request(id, **changes)


@breaks("OPS-4")
class TakesTotalOrUse(Delegating):
    """Sets the total of a pool or what is used of it, and not both."""

    async def update_budget_pool(self, id, /, **changes):
        if "total_budget" in changes and len(changes) > 2:
            changes.pop("used_budget", None)
        return await super().update_budget_pool(id, **changes)


@breaks("OPS-3")
class KeepsCallsByTheirId(Delegating):
    """Keeps the tool calls of an answer in a table, by the id that the model gave them."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.tool_calls is not None:
            by_id = {call.tool_call_id: call for call in result.tool_calls}
            result = attrs.evolve(result, tool_calls=tuple(by_id.values()))
        await super().save_llm_execution(session_id, node_id, result)
