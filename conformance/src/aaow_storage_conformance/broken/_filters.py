"""Mistakes with filters: what they match, what they refuse, and their scope."""

import re
from decimal import Decimal

import attrs

from aaow_storage import ApprovalStatus, QueryFilter, ValidationError
from aaow_storage.authoring import Operator
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying


@breaks("QRY-1")
class ComparesRegardlessOfCase(Querying):
    """Compares texts without regard to case, as some collations do."""

    def meets(self, condition, value):
        operand = condition.operand
        if condition.operator is Operator.EQ and isinstance(operand, str) and isinstance(value, str):
            return (operand.lower() == value.lower()) is not condition.negated
        return super().meets(condition, value)


@breaks("QRY-1")
class SearchesRegardlessOfCase(Querying):
    """Searches text with a LIKE that ignores case."""

    def meets(self, condition, value):
        if condition.operator in {Operator.CONTAINS, Operator.STARTS_WITH} and isinstance(value, str):
            return attrs.evolve(condition, operand=condition.operand.lower()).matches(value.lower())
        return super().meets(condition, value)


@breaks("QRY-1", "QRY-2")
class SearchesWithWildcards(Querying):
    """Searches text with a LIKE whose pattern it does not escape."""

    def meets(self, condition, value):
        searches = condition.operator in {Operator.CONTAINS, Operator.STARTS_WITH}
        if searches and isinstance(value, str):
            wildcards = {"%": ".*", "_": "."}
            pattern = "".join(wildcards.get(each) or re.escape(each) for each in condition.operand)
            search = re.search if condition.operator is Operator.CONTAINS else re.match
            return search(pattern, value, re.DOTALL) is not None
        return super().meets(condition, value)


@breaks("QRY-1")
class LosesNullsToInequality(Querying):
    """Compares with <>, which never matches null."""

    def meets(self, condition, value):
        is_ne = condition.negated and condition.operator is Operator.EQ and condition.operand is not None
        return super().meets(condition, value) and not (is_ne and value is None)


@breaks("QRY-1")
class LosesNullsToNotIn(Querying):
    """Compares with NOT IN, which never matches null, and matches nothing if a value is null."""

    def meets(self, condition, value):
        if condition.negated and condition.operator is Operator.IN and condition.operand:
            return value is not None and None not in condition.operand and super().meets(condition, value)
        return super().meets(condition, value)


@breaks("QRY-1")
class FindsNoNullsAmongValues(Querying):
    """Compares with IN, which never matches null."""

    def meets(self, condition, value):
        if condition.operator is Operator.IN and not condition.negated and value is None:
            return False
        return super().meets(condition, value)


@breaks("QRY-1")
class IgnoresConditionsOnNull(Querying):
    """Ignores a condition whose value is None."""

    def meets(self, condition, value):
        return condition.operand is None or super().meets(condition, value)


@breaks("QRY-1")
class FindsAllInNothing(Querying):
    """Ignores an In without values, which should match nothing."""

    def meets(self, condition, value):
        return condition.operand == () or super().meets(condition, value)


@breaks("QRY-1")
class HoldsAnyEntry(Querying):
    """Joins the entries of a filter with OR."""

    def meets_all(self, conditions, record):
        return not conditions or any(super(HoldsAnyEntry, self).meets_all((each,), record) for each in conditions)


@breaks("QRY-1")
class HoldsTheLastEntry(Querying):
    """Uses only the last entry of a filter."""

    def meets_all(self, conditions, record):
        return super().meets_all(conditions[-1:], record)


@breaks("QRY-1")
class StartsAnywhere(Querying):
    """Treats StartsWith like Contains."""

    def meets(self, condition, value):
        if condition.operator is Operator.STARTS_WITH:
            condition = attrs.evolve(condition, operator=Operator.CONTAINS)
        return super().meets(condition, value)


@breaks("QRY-1")
class LeavesBoundsOut(Querying):
    """Excludes the bound itself from Le and Ge."""

    def meets(self, condition, value):
        return super().meets(condition, value) and not (
            condition.operator in {Operator.LE, Operator.GE} and value == condition.operand
        )


@breaks("QRY-1")
class ComparesAmountsAsText(Querying):
    """Stores and compares amounts as text."""

    def meets(self, condition, value):
        if isinstance(value, Decimal) and isinstance(condition.operand, Decimal):
            condition, value = attrs.evolve(condition, operand=str(condition.operand)), str(value)
        return super().meets(condition, value)


@breaks("QRY-1")
class FiltersByTheSecond(Querying):
    """Compares instants without their fractions of a second."""

    def meets(self, condition, value):
        if hasattr(condition.operand, "microsecond") and value is not None:
            operand = condition.operand.replace(microsecond=0)
            condition, value = attrs.evolve(condition, operand=operand), value.replace(microsecond=0)
        return super().meets(condition, value)


@breaks("QRY-3")
class IgnoresUnknownConditions(Querying):
    """Ignores a condition on an unknown field."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError:
            if not isinstance(filter, QueryFilter):
                raise
            names = {field.name for field in attrs.fields(kind)}
            known = {name: value for name, value in filter.where.items() if str(name).split(".")[0] in names}
            return super().plan(kind, attrs.evolve(filter, where=known))


@breaks("QRY-3")
class IgnoresUnknownOrders(Querying):
    """Uses the default order if it does not know the field."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError:
            if not isinstance(filter, QueryFilter) or not filter.order_by:
                raise
            return super().plan(kind, attrs.evolve(filter, order_by=()))


@breaks("QRY-3")
class ConvertsValues(Querying):
    """Converts a value of the wrong type to text and compares that."""

    def plan(self, kind, filter):
        if isinstance(filter, QueryFilter) and type(filter.where.get("id")) is int:
            return super().plan(kind, attrs.evolve(filter, where={**filter.where, "id": str(filter.where["id"])}))
        return super().plan(kind, filter)


@breaks("QRY-3")
class ChecksFiltersRecordByRecord(Querying):
    """Checks a filter only when it compares the first record."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            return error

    def select(self, plan, records):
        if isinstance(plan, ValidationError) and records:
            raise plan
        return super().select(plan, records) if records else []


@breaks("QRY-3")
class ChecksNoFilterForNothing(Querying):
    """Returns nothing for a limit of 0 without checking the rest of the filter."""

    def plan(self, kind, filter):
        is_for_nothing = isinstance(filter, QueryFilter) and filter.limit == 0
        return super().plan(kind, QueryFilter(limit=0) if is_for_nothing else filter)


@breaks("QRY-3")
class TakesDictsForFilters(Querying):
    """Accepts a plain dict as a filter."""

    def plan(self, kind, filter):
        return super().plan(kind, QueryFilter(filter) if isinstance(filter, dict) else filter)


@breaks("QRY-3")
class CountsWithoutChecking(Delegating):
    """Counts everything if the filter is wrong."""

    async def count_workflows(self, filter=None):
        try:
            return await super().count_workflows(filter)
        except ValidationError:
            return await super().count_workflows()


@breaks("QRY-4")
class OverwritesTheSession(Delegating):
    """Lets a condition on `session_id` replace the session whose executions are listed."""

    async def get_llm_executions(self, session_id, filter=None):
        other = filter.where.get("session_id") if isinstance(filter, QueryFilter) else None
        return await super().get_llm_executions(other if isinstance(other, str) else session_id, filter)


@breaks("QRY-4")
class OverwritesTheExecution(Delegating):
    """Lets a condition on `execution_id` replace the execution whose tool calls are listed."""

    async def get_tool_calls(self, execution_id, filter=None):
        other = filter.where.get("execution_id") if isinstance(filter, QueryFilter) else None
        return await super().get_tool_calls(other if isinstance(other, str) else execution_id, filter)


@breaks("QRY-4", "APR-5")
class OverwritesPending(Delegating):
    """Lets a condition on `status` replace that of the pending approvals."""

    async def list_pending_approvals(self, filter=None):
        if not isinstance(filter, QueryFilter) or "status" not in filter.where:
            return await super().list_pending_approvals(filter)
        sessions = await self.list_sessions()
        return [each for session in sessions for each in await self.list_approval_requests(session.id, filter)]


@breaks("QRY-4")
class ForgetsTheScopeOfChildren(Delegating):
    """Lists pools of other parents if there is a filter."""

    async def get_child_budget_pools(self, parent_id, filter=None):
        if filter is None:
            return await super().get_child_budget_pools(parent_id)
        return await self.list_budget_pools(filter)


@breaks("QRY-4")
class ForgetsTheNode(Delegating):
    """Lists the executions of every node of the session if there is a filter."""

    async def get_node_llm_executions(self, session_id, node_id, filter=None):
        if filter is None:
            return await super().get_node_llm_executions(session_id, node_id)
        return await self.get_llm_executions(session_id, filter)


@breaks("QRY-4")
class GoesOnInTheScopeOfTheRecord(Delegating):
    """Takes the scope of a list from the record that `after` continues from."""

    async def list_approval_requests(self, session_id, filter=None):
        if isinstance(filter, QueryFilter) and hasattr(filter.after_record, "session_id"):
            session_id = filter.after_record.session_id
        return await super().list_approval_requests(session_id, filter)


@breaks("QRY-4")
class ExpiredMayStillBePending(Delegating):
    """Lists requests after their `expires_at` as pending if there is a filter."""

    async def list_pending_approvals(self, filter=None):
        found = await super().list_pending_approvals(filter)
        if not isinstance(filter, QueryFilter) or filter.limit is not None or filter.after_record is not None:
            return found
        for session in await self.list_sessions():
            for request in await self.list_approval_requests(session.id, filter):
                is_new = all(request.id != other.id for other in found)
                found += [request] if is_new and request.status is ApprovalStatus.PENDING else []
        return found
