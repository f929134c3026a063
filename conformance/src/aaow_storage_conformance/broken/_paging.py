"""Mistakes with orders and pages."""

from datetime import datetime
from decimal import Decimal

import attrs

from aaow_storage import Direction, QueryFilter
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_conformance.broken._querying import Querying

FIRST_PAGE = 1000


@breaks("QRY-5")
class LeavesTiesOpen(Querying):
    """Does not break ties by id if there is an `order_by`."""

    def sort(self, plan, records):
        if len(plan.order) > 1 and plan.order[-1][0].name == "id":
            records = super().sort(plan, records)[::-1]
            return super().sort(attrs.evolve(plan, order=plan.order[:-1]), records)
        return super().sort(plan, records)


@breaks("QRY-5")
class BreaksTiesDownwards(Querying):
    """Breaks ties in the direction of the last key."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        *keys, (last, _) = plan.order
        return attrs.evolve(plan, order=(*keys, (last, keys[-1][1]))) if keys and last.name == "id" else plan


@breaks("QRY-5")
class SortsNullsLast(Querying):
    """Sorts null after every value, as PostgreSQL does by default."""

    def key(self, value):
        return (9, 0) if value is None else super().key(value)


@breaks("QRY-5")
class SortsNullsFirstDownwardsToo(Querying):
    """Sorts null first in both directions."""

    def sort(self, plan, records):
        records = super().sort(plan, records)
        (first, _), *_ = plan.order
        return sorted(records, key=lambda record: self.value_of(first, record) is not None)


@breaks("QRY-5")
class SortsAsADictionary(Querying):
    """Sorts text without regard to case."""

    def key(self, value):
        return super().key(value.casefold() if isinstance(value, str) else value)


@breaks("QRY-5")
class SortsTextAsUTF16(Querying):
    """Sorts text by its UTF-16 units, as Java and JavaScript do."""

    def key(self, value):
        rank, key = super().key(value)
        return (rank, value.encode("utf-16-be")) if isinstance(value, str) else (rank, key)


@breaks("QRY-5")
class SortsAmountsAsText(Querying):
    """Sorts amounts as text, so that 10 comes before 9."""

    def key(self, value):
        return super().key(str(value) if isinstance(value, Decimal) else value)


@breaks("QRY-5")
class SortsJSONAsText(Querying):
    """Sorts the numbers in JSON as text."""

    def key(self, value):
        return super().key(str(value) if type(value) in {int, float} else value)


@breaks("QRY-5")
class SortsByTheMillisecond(Querying):
    """Sorts instants without their microseconds."""

    def key(self, value):
        cut = value.replace(microsecond=value.microsecond // 1000 * 1000) if isinstance(value, datetime) else value
        return super().key(cut)


@breaks("QRY-5")
class OrdersByTheFirstFieldAlone(Querying):
    """Orders by the first of several fields, and then by id."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        return attrs.evolve(plan, order=(plan.order[0], plan.order[-1])) if len(plan.order) > 2 else plan


@breaks("QRY-5")
class OrdersAllFieldsInOneDirection(Querying):
    """Orders all fields in the direction of the first."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        (_, direction), *_ = plan.order
        return attrs.evolve(plan, order=tuple((field, direction) for field, _ in plan.order))


@breaks("QRY-6")
class LimitsBeforeItFilters(Querying):
    """Cuts the page out before it filters."""

    def select(self, plan, records):
        page = self.cut(plan, self.sort(plan, records))
        return [record for record in page if self.matches(plan, record)]


@breaks("QRY-6")
class TakesNoLimitForZero(Querying):
    """Treats a limit of 0 as no limit."""

    def cut(self, plan, records):
        return super().cut(attrs.evolve(plan, limit=plan.limit or None), records)


@breaks("QRY-6")
class IgnoresAnOffsetWithoutALimit(Querying):
    """Ignores an offset without a limit, as SQL needs a LIMIT before an OFFSET."""

    def cut(self, plan, records):
        return records if plan.limit is None else super().cut(plan, records)


@breaks("QRY-6")
class LimitsBeforeItSkips(Querying):
    """Applies the limit before the offset."""

    def cut(self, plan, records):
        return records[: plan.limit][plan.offset :]


@breaks("QRY-6")
class CountsPagesForOffsets(Querying):
    """Treats an offset as a number of pages."""

    def cut(self, plan, records):
        return super().cut(attrs.evolve(plan, offset=plan.offset * (plan.limit or 1)), records)


@breaks("QRY-6")
class CountsBeyondThePage(Delegating):
    """Ignores limit and offset when it counts."""

    async def count_sessions(self, filter=None):
        if isinstance(filter, QueryFilter):
            return await super().count_sessions(attrs.evolve(filter, limit=None, offset=0))
        return await super().count_sessions(filter)


@breaks("QRY-6")
class CountsWithoutTheFilter(Delegating):
    """Ignores the filter when it counts."""

    async def count_workflows(self, filter=None):
        await super().count_workflows(filter)
        return await super().count_workflows()


@breaks("QRY-7")
class GoesOnByTimeAlone(Querying):
    """Continues after the time of a record, so that it skips others of the same time."""

    def is_after(self, plan, record):
        (first, direction), *_ = plan.order
        key, mark = self.key(self.value_of(first, record)), self.key(plan.after[0])
        return key > mark if direction is Direction.ASCENDING else key < mark


@breaks("QRY-7")
class GoesOnFromTheSameRecord(Querying):
    """Starts a page with the last record of the page before."""

    def is_after(self, plan, record):
        values = tuple(self.value_of(field, record) for field, _ in plan.order)
        return values == plan.after or super().is_after(plan, record)


@breaks("QRY-7")
class GoesOnUpwards(Querying):
    """Continues with greater values in both directions."""

    def is_after(self, plan, record):
        upwards = tuple((field, Direction.ASCENDING) for field, _ in plan.order)
        return super().is_after(attrs.evolve(plan, order=upwards), record)


@breaks("QRY-7")
class GoesOnBehindEveryKey(Querying):
    """Continues with records that are greater in every key, not in the first that differs."""

    def is_after(self, plan, record):
        pairs = zip(plan.order, plan.after, strict=True)
        return all(
            super(GoesOnBehindEveryKey, self).is_after(attrs.evolve(plan, order=(key,), after=(mark,)), record)
            or (key[0].name != "id" and self.value_of(key[0], record) == mark)
            for key, mark in pairs
        )


@breaks("QRY-7", caught_by=["test_walking_page_by_page_visits_the_whole_list_in_order"])
class LosesNullsOnTheWay(Querying):
    """Compares with the cursor as SQL does, where null is neither less nor greater."""

    def is_after(self, plan, record):
        for (field, _), mark in zip(plan.order, plan.after, strict=True):
            value = self.value_of(field, record)
            if (value is None) is not (mark is None):
                return False
            if value != mark:
                break
        return super().is_after(plan, record)


@breaks("QRY-7")
class GoesOnAtAPlace(Querying):
    """Looks the record up to continue after it, and starts over if it was deleted."""

    def select(self, plan, records):
        whole = super().select(attrs.evolve(plan, after=None, limit=None, offset=0), records)
        marks = [tuple(self.value_of(field, record) for field, _ in plan.order) for record in whole]
        place = marks.index(plan.after) + 1 if plan.after in marks else 0
        return self.cut(plan, whole[place:])


@breaks("QRY-7")
class GoesOnFromItsOwnCopy(Querying):
    """Continues after the current position of a record, not after the one it had."""

    def select(self, plan, records):
        for record in records:
            if plan.after is not None and record.id == plan.after[-1]:
                plan = attrs.evolve(plan, after=tuple(self.value_of(field, record) for field, _ in plan.order))
        return super().select(plan, records)


@breaks("QRY-6")
class ListsOnePage(Querying):
    """Lists at most a thousand records if there is no limit."""

    def cut(self, plan, records):
        return super().cut(attrs.evolve(plan, limit=FIRST_PAGE if plan.limit is None else plan.limit), records)


@breaks("QRY-6")
class TakesALargeLimitForAnEnd(Querying):
    """Treats a limit above five as an end position."""

    def cut(self, plan, records):
        if plan.limit is None or plan.limit <= 5:
            return super().cut(plan, records)
        return records[plan.offset : max(plan.offset, plan.limit)]


@breaks("QRY-5")
class SortsAmountsAsFloats(Querying):
    """Compares amounts as floats, which cannot tell very large ones apart."""

    def key(self, value):
        return super().key(float(value) if isinstance(value, Decimal) else value)
