"""Mistakes with cursors."""

import attrs

from aaow_storage import QueryFilter, ValidationError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._querying import Querying


def has_cursor(filter):
    """Say whether a filter goes on behind a cursor."""
    return isinstance(filter, QueryFilter) and isinstance(filter.after_record, str)


@breaks("QRY-11")
class ForgetsWhatBreaksTies(Querying):
    """Goes on behind all records with the values of the order, because its cursors hold no id."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if has_cursor(filter):
            return attrs.evolve(plan, after=(*plan.after[:-1], "\U0010ffff"))
        return plan


@breaks("QRY-11")
class GoesOnByIdAlone(Querying):
    """Goes on behind the id of a cursor, whatever the order is."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        return attrs.evolve(plan, order=plan.order[-1:], after=plan.after[-1:]) if has_cursor(filter) else plan


@breaks("QRY-11")
class IgnoresCursors(Querying):
    """Lists the first page again for a cursor."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        return attrs.evolve(plan, after=None) if has_cursor(filter) else plan


@breaks("QRY-11")
class StartsOverForWhatIsNoCursor(Querying):
    """Lists the first page for a text that is no cursor, in place of refusing it."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            if not has_cursor(filter) or error.field != "after":
                raise
            return super().plan(kind, attrs.evolve(filter, after_record=None))


@breaks("QRY-11")
class TakesWhatIsNoCursorForTheEnd(Querying):
    """Lists nothing for a text that is no cursor, in place of refusing it."""

    def plan(self, kind, filter):
        try:
            return super().plan(kind, filter)
        except ValidationError as error:
            if not has_cursor(filter) or error.field != "after":
                raise
            return super().plan(kind, attrs.evolve(filter, after_record=None, limit=0))


@breaks("QRY-11")
class RepairsCursors(Querying):
    """Strips white space and padding from a text, and takes it for a cursor then."""

    def plan(self, kind, filter):
        if has_cursor(filter):
            stripped = filter.after_record.strip().rstrip("=")
            return super().plan(kind, attrs.evolve(filter, after_record=stripped))
        return super().plan(kind, filter)


@breaks("QRY-11")
class StartsOverIfTheRecordIsGone(Querying):
    """Looks up the record of a cursor to go on behind it, and starts over if it was deleted."""

    def select(self, plan, records):
        if plan.after is not None and all(record.id != plan.after[-1] for record in records):
            plan = attrs.evolve(plan, after=None)
        return super().select(plan, records)


@breaks("QRY-11")
class GoesOnFromWhereTheRecordIs(Querying):
    """Goes on from where the record of a cursor is now, not from where it was."""

    def select(self, plan, records):
        for record in records:
            if plan.after is not None and record.id == plan.after[-1]:
                plan = attrs.evolve(plan, after=tuple(self.value_of(field, record) for field, _ in plan.order))
        return super().select(plan, records)


@breaks("QRY-11")
class LosesWhatIsBelowMilliseconds(Querying):
    """Keeps the instants of cursors to the millisecond."""

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if not has_cursor(filter):
            return plan
        cut = [
            value.replace(microsecond=value.microsecond // 1000 * 1000) if hasattr(value, "microsecond") else value
            for value in plan.after
        ]
        return attrs.evolve(plan, after=tuple(cut))


@breaks("QRY-11")
class TakesCursorsOfThisProcessAlone(Querying):
    """Knows the cursors only that its own process has seen records for."""

    seen: set[str] = set()  # noqa: RUF012 - of the process, on purpose

    def plan(self, kind, filter):
        plan = super().plan(kind, filter)
        if has_cursor(filter) and plan.after[-1] not in self.seen:
            raise ValidationError("QueryFilter", "after", "is not known here; start from the first page")
        return plan

    def select(self, plan, records):
        selected = super().select(plan, records)
        self.seen.update(record.id for record in selected)
        return selected
