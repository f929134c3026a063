"""Mistakes with large filters, and texts with characters that databases do not like."""

import attrs

from aaow_storage import Contains, QueryFilter, StartsWith, StorageError, StorageUnavailableError, ValidationError
from aaow_storage.authoring import Operator
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._querying import Querying


@breaks("QRY-5", "QRY-7")
class TakesFewerKeys(Querying):
    """Refuses an order of sixteen keys."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if len(plan.order) > 15:
            raise ValidationError("QueryFilter", "order_by", "has too many keys")
        return plan


@breaks("QRY-3", caught_by=["test_the_largest_filter_finds_what_it_describes"])
class TakesFewerConditions(Querying):
    """Fails with the maximum number of conditions, because its database limits the depth of an expression."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if len(plan.conditions) >= 100:
            raise StorageUnavailableError("stack depth limit exceeded; try again")
        return plan


@breaks("QRY-3")
class TakesFewerValues(Querying):
    """Fails with the maximum number of values, because its database has fewer parameters."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        for condition in (leaf for each in plan.conditions for leaf in each.leaves()):
            if condition.operator is Operator.IN and len(condition.operand) > 999:
                raise StorageUnavailableError("too many SQL variables; try again")
        return plan


@breaks("QRY-3", "QRY-2", caught_by=["test_the_largest_filter_finds_what_it_describes"])
class FollowsShortPaths(Querying):
    """Follows a path only ten keys deep."""

    def value_of(self, field, record):
        return super().value_of(attrs.evolve(field, path=field.path[:10]), record)


@breaks("QRY-3")
class TakesLargerFilters(Querying):
    """Ignores the conditions and the order of a filter that is too large, in place of refusing it."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            if "are allowed" not in str(error) or not isinstance(filter, QueryFilter):
                raise
            return super().plan(kind, QueryFilter(limit=filter.limit))


@breaks(
    "QRY-3",
    "QRY-1",
    caught_by=[
        "test_a_filter_may_compare_with_long_texts",
        "test_long_texts_that_differ_at_their_end_are_found_and_ordered_each_by_itself",
    ],
)
class CutsTexts(Querying):
    """Compares only the first 65,535 characters of a text."""

    def meets(self, condition, value):
        if isinstance(condition.operand, str):
            condition = attrs.evolve(condition, operand=condition.operand[:65_535])
        return super().meets(condition, value)


@breaks("QRY-5")
class OrdersByTheLastOfEqualKeys(Querying):
    """Lets a key that repeats a field overwrite the first."""

    def plan(self, kind, filter):
        if not isinstance(filter, QueryFilter) or not 1 < len(filter.order_by) <= 16:
            return super().plan(kind, filter)
        last = {str(key.field): key for key in filter.order_by}
        return super().plan(kind, attrs.evolve(filter, order_by=tuple(last.values())))


@breaks("QRY-1")
class RefusesNul(Querying):
    """Fails if a text to compare with holds NUL, because its database takes none."""

    def plan(self, kind, filter):
        for operand in filter.where.values() if isinstance(filter, QueryFilter) else ():
            text = operand.text if isinstance(operand, Contains | StartsWith) else getattr(operand, "value", operand)
            if isinstance(text, str) and "\0" in text:
                raise StorageError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return super().plan(kind, filter)


@breaks("QRY-1")
class EndsTextsAtNul(Querying):
    """Compares only what comes before a NUL, as a C string ends there."""

    def plan(self, kind, filter):
        if not isinstance(filter, QueryFilter):
            return super().plan(kind, filter)
        where = {
            name: value.partition("\0")[0] if isinstance(value, str) else value for name, value in filter.where.items()
        }
        return super().plan(kind, attrs.evolve(filter, where=where))
