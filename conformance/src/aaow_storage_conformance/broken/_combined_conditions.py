"""Mistakes with conditions that are made of others, alternatives, whole JSON fields, and counts."""

import attrs

from aaow_storage import All, AnyOf, Between, Ge, Gt, Le, Lt, Not, QueryFilter, ValidationError
from aaow_storage.authoring import Connective, FieldKind, Operator, sort_key
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying

COMPARED = {Operator.LT, Operator.LE, Operator.GT, Operator.GE}


class Rewriting(Querying):
    """Rewrites the operators of a filter before it is planned. A subclass gets that wrong."""

    def rewritten(self, condition):
        """Return a condition that is not made of others, as it is compared."""
        return condition

    def plan(self, kind, filter):
        """Rewrite the filter, if there is nothing wrong with it, and plan it."""
        plan = super().plan(kind, filter)
        if not isinstance(filter, QueryFilter):
            return plan
        where = self._mapping(filter.where)
        any_of = None if filter.any_of is None else [self._mapping(each) for each in filter.any_of]
        return super().plan(kind, attrs.evolve(filter, where=where, any_of=any_of))

    def _mapping(self, where):
        return {name: self._condition(value) for name, value in where.items()}

    def _condition(self, condition):
        if isinstance(condition, Not):
            return self.negated(condition.condition)
        if isinstance(condition, All | AnyOf):
            return type(condition)(*map(self._condition, condition.conditions))
        return self.rewritten(condition)

    def negated(self, condition):
        """Return the negation of a condition."""
        return Not(self._condition(condition))


@breaks("QRY-10")
class LeavesTheHighEndOut(Rewriting):
    """Excludes the high end from Between, as Python's ranges do."""

    def rewritten(self, condition):
        return All(Ge(condition.low), Lt(condition.high)) if isinstance(condition, Between) else condition


@breaks("QRY-10")
class LeavesTheLowEndOut(Rewriting):
    """Excludes the low end from Between."""

    def rewritten(self, condition):
        return All(Gt(condition.low), Le(condition.high)) if isinstance(condition, Between) else condition


@breaks("QRY-10")
class SwapsTheEnds(Rewriting):
    """Swaps the ends of a Between whose low end is above its high end."""

    def rewritten(self, condition):
        if isinstance(condition, Between):
            return AnyOf(condition, Between(condition.high, condition.low))
        return condition


@breaks("QRY-10")
class NegatesEachAndKeepsTheRest(Rewriting):
    """Negates the conditions inside of an All or AnyOf, without turning one into the other."""

    def negated(self, condition):
        if isinstance(condition, All | AnyOf):
            return type(condition)(*map(self.negated, condition.conditions))
        return super().negated(condition)


@breaks("QRY-10")
class NegatesTwiceAsOnce(Rewriting):
    """Takes Not(Not(...)) for Not(...)."""

    def negated(self, condition):
        return super().negated(condition.condition if isinstance(condition, Not) else condition)


@breaks("QRY-10")
class LosesNullsToNegation(Querying):
    """Negates comparisons as SQL does, where NOT of unknown is unknown, so that Not never matches null."""

    def meets(self, condition, value):
        is_unknown = value is None and condition.negated and condition.operator not in {Operator.EQ, Operator.IN}
        return super().meets(condition, value) and not is_unknown


@breaks("QRY-10")
class LosesNullsToNegatedRanges(Querying):
    """Compares with NOT BETWEEN, which never matches null."""

    def meets(self, condition, value):
        is_unknown = value is None and condition.negated and condition.operator in COMPARED
        return super().meets(condition, value) and not is_unknown


@breaks("QRY-10")
class LosesOtherTypesToNegation(Querying):
    """Negates a comparison at a path for values of the operand's type only."""

    def meets(self, condition, value):
        is_other = condition.field.path and sort_key(value)[0] != sort_key(condition.operand)[0]
        if is_other and condition.negated and condition.operator in COMPARED:
            return False
        return super().meets(condition, value)


@breaks("QRY-10")
class HoldsAllForAny(Querying):
    """Requires all conditions of an AnyOf, and all alternatives of any_of."""

    def group_holds(self, connective, results):
        return all(results)


@breaks("QRY-10")
class HoldsAnyForAll(Querying):
    """Requires one condition only of an All inside of another operator, or of an alternative of any_of."""

    def group_holds(self, connective, results):
        return any(results) or not results


@breaks("QRY-10")
class HoldsOneExactly(Querying):
    """Takes an AnyOf of which two conditions hold for one that does not hold."""

    def group_holds(self, connective, results):
        return sum(results) == 1 if connective is Connective.ANY else super().group_holds(connective, results)


@breaks("QRY-10")
class HoldsAnyOfNothing(Querying):
    """Ignores an AnyOf without conditions, and an any_of without mappings, which should match nothing."""

    def group_holds(self, connective, results):
        return super().group_holds(connective, results) or not results


@breaks("QRY-10")
class IgnoresAlternatives(Querying):
    """Ignores any_of."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        return super().plan(kind, attrs.evolve(filter, any_of=None)) if isinstance(filter, QueryFilter) else plan


@breaks("QRY-10")
class IgnoresAnEmptyListOfAlternatives(Querying):
    """Takes an empty any_of for none, so that a list that nobody may see is shown whole."""

    def plan(self, kind, filter):
        is_empty = isinstance(filter, QueryFilter) and not filter.any_of
        return super().plan(kind, attrs.evolve(filter, any_of=None) if is_empty else filter)


@breaks("QRY-10")
class LooksAtTheFirstAlternative(Querying):
    """Uses only the first mapping of any_of."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if isinstance(filter, QueryFilter) and filter.any_of:
            return super().plan(kind, attrs.evolve(filter, any_of=filter.any_of[:1]))
        return plan


@breaks("QRY-10")
class JoinsAlternativesWithTheRest(Querying):
    """Takes where for one more alternative beside those of any_of."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if isinstance(filter, QueryFilter) and filter.any_of and filter.where:
            return super().plan(kind, attrs.evolve(filter, where={}, any_of=[filter.where, *filter.any_of]))
        return plan


@breaks("QRY-10")
class CountsWithoutAlternatives(Delegating):
    """Ignores any_of when it counts."""

    async def count_workflows(self, filter=None):
        count = await super().count_workflows(filter)
        if isinstance(filter, QueryFilter) and filter.any_of is not None:
            return await super().count_workflows(attrs.evolve(filter, any_of=None))
        return count


@breaks("QRY-10", "QRY-4")
class LetsAlternativesOutOfTheScope(Delegating):
    """Joins the scope of a list to the first mapping of any_of alone."""

    async def get_child_budget_pools(self, parent_id, filter=None):
        if not isinstance(filter, QueryFilter) or not filter.any_of or len(filter.any_of) < 2:
            return await super().get_child_budget_pools(parent_id, filter)
        await super().get_child_budget_pools(parent_id, filter)
        first, *others = filter.any_of
        any_of = [{**first, "parent_pool_id": parent_id}, *others]
        return await self.list_budget_pools(attrs.evolve(filter, any_of=any_of))


@breaks("QRY-9")
class TakesEmptyForNull(Querying):
    """Takes an empty array or object for null."""

    def value_of(self, field, record):
        value = super().value_of(field, record)
        return None if field.kind is FieldKind.JSON and not field.path and value in ([], {}) else value


@breaks("QRY-9")
class TakesFalseForNull(Querying):
    """Takes false, 0 and an empty text in a JSON field for null."""

    def value_of(self, field, record):
        value = super().value_of(field, record)
        return value or None if field.kind is FieldKind.JSON and not field.path else value


@breaks("QRY-9")
class ComparesWholeDocuments(Querying):
    """Ignores a condition on a JSON field without a path, in place of refusing it."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            names = ("metadata", "definition", "context", "data", "args", "result", "input", "output")
            if not isinstance(filter, QueryFilter) or error.field not in names or error.field not in filter.where:
                raise
            where = {name: value for name, value in filter.where.items() if name != error.field}
            return super().plan(kind, attrs.evolve(filter, where=where))


@breaks("QRY-9")
class CountsTheOuterConditionsAlone(Querying):
    """Counts the entries of a filter, and not the conditions in them, towards the limit."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            if "conditions or more" in str(error):
                return super().plan(kind, attrs.evolve(filter, where={}, any_of=None))
            raise


@breaks("QRY-9")
class TakesAnyNumberOfAlternatives(Querying):
    """Ignores the mappings of any_of that are too many, in place of refusing the filter."""

    def plan(self, kind, filter):
        if isinstance(filter, QueryFilter) and filter.any_of and len(filter.any_of) > 100:
            return super().plan(kind, attrs.evolve(filter, any_of=filter.any_of[:100]))
        return super().plan(kind, filter)


@breaks("QRY-12")
class ComparesCountsAsFloats(Querying):
    """Compares counts as floats, which cannot tell large ones apart."""

    def meets(self, condition, value):
        if condition.field.kind is FieldKind.COUNT and type(value) is int and type(condition.operand) is int:
            condition, value = attrs.evolve(condition, operand=float(condition.operand)), float(value)
        return super().meets(condition, value)


@breaks("QRY-12")
class SortsCountsAsFloats(Querying):
    """Sorts whole numbers as floats."""

    def key(self, value):
        return super().key(float(value) if type(value) is int else value)


@breaks("QRY-12")
class TakesNoUsageForZero(Querying):
    """Takes the token figures of an execution without usage for 0."""

    def value_of(self, field, record):
        value = super().value_of(field, record)
        return 0 if value is None and field.part is not None else value


@breaks("QRY-12")
class MixesTokenFiguresUp(Querying):
    """Reads the tokens written to the cache where those read from it are asked for."""

    def value_of(self, field, record):
        if field.name == "cache_read_tokens":
            field = attrs.evolve(field, name="cache_write_tokens")
        return super().value_of(field, record)
