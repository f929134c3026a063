"""Mistakes with paths into JSON: where they lead, and how the value there compares."""

import json

import attrs

from aaow_storage.authoring import Operator, value_at
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._querying import Querying


@breaks("QRY-2")
class TakesTrueForOne(Querying):
    """Compares JSON as Python does, so that True equals 1."""

    def meets(self, condition, value):
        if condition.field.path and condition.operator is Operator.EQ:
            return (value == condition.operand) is not condition.negated
        return super().meets(condition, value)


@breaks("QRY-2")
class ComparesJSONByItsText(Querying):
    """Compares the text of JSON values, so that 1 differs from 1.0 and "1" equals 1."""

    def meets(self, condition, value):
        if condition.field.path and condition.operator is Operator.EQ:
            value, operand = (
                each if isinstance(each, str) else json.dumps(each) for each in (value, condition.operand)
            )
            return (value == operand) is not condition.negated
        return super().meets(condition, value)


@breaks("QRY-2")
class ComparesJSONNumbersAsFloats(Querying):
    """Compares the numbers in JSON as floats, which cannot tell large integers apart."""

    def meets(self, condition, value):
        if condition.field.path and type(value) is int and type(condition.operand) is int:
            condition, value = attrs.evolve(condition, operand=float(condition.operand)), float(value)
        return super().meets(condition, value)


@breaks("QRY-2")
class OrdersAcrossTypes(Querying):
    """Compares numbers with text at a path, as SQLite does."""

    def meets(self, condition, value):
        is_order = condition.operator in {Operator.LT, Operator.LE} and condition.field.path
        across = type(value) in {int, float} and isinstance(condition.operand, str)
        return bool(is_order and across) or super().meets(condition, value)


@breaks("QRY-2")
class TellsMissingFromNull(Querying):
    """Does not match a missing key with None."""

    def meets(self, condition, value):
        return value is not ... and super().meets(condition, value)

    def value_of(self, field, record):
        value = super().value_of(field, record)
        holder = getattr(record, field.name)
        for key in field.path[:-1]:
            holder = holder.get(key) if isinstance(holder, dict) else None
        is_missing = field.path and isinstance(holder, dict) and field.path[-1] not in holder
        return ... if is_missing else value

    def key(self, value):
        return super().key(None if value is ... else value)


@breaks("QRY-2")
class SplitsKeysAtDots(Querying):
    """Splits the keys of a path at dots."""

    def value_of(self, field, record):
        return super().value_of(
            attrs.evolve(field, path=tuple(".".join(field.path).split(".")) if field.path else ()), record
        )


@breaks("QRY-2")
class KeepsDottedNamesWhole(Querying):
    """Treats all that follows the field in a dotted name as one key."""

    def value_of(self, field, record):
        return super().value_of(attrs.evolve(field, path=(".".join(field.path),) if field.path else ()), record)


@breaks("QRY-2")
class ReachesIntoLists(Querying):
    """Treats a key of digits as an index into a list."""

    def value_of(self, field, record):
        value = getattr(record, field.name)
        for key in field.path:
            if isinstance(value, list) and key.isdecimal():
                value = value[int(key)] if int(key) < len(value) else None
            else:
                value = value_at(value, (key,))
        return value


@breaks("QRY-2")
class ParsesTextOnTheWay(Querying):
    """Follows a path into text that happens to be JSON."""

    def value_of(self, field, record):
        value = getattr(record, field.name)
        for key in field.path:
            if isinstance(value, str):
                try:
                    value = json.loads(value)
                except ValueError:
                    return None
            value = value_at(value, (key,))
        return value


@breaks("QRY-2")
class QuotesKeysInPaths(Querying):
    """Puts keys between quotes in a JSON path without escaping quotes in them."""

    def value_of(self, field, record):
        path = tuple(key.partition('"')[0] for key in field.path)
        return super().value_of(attrs.evolve(field, path=path), record)


@breaks("QRY-2")
class TakesDollarsForTheRoot(Querying):
    """Treats a dollar at the start of a key as the root of a JSON path."""

    def value_of(self, field, record):
        path = tuple(key.removeprefix("$.") for key in field.path)
        return super().value_of(attrs.evolve(field, path=path), record)


@breaks("QRY-2")
class FoldsCaseOfKeys(Querying):
    """Matches keys without regard to case."""

    def value_of(self, field, record):
        value = getattr(record, field.name)
        for key in field.path:
            value = (
                {each.lower(): one for each, one in value.items()}.get(key.lower()) if isinstance(value, dict) else None
            )
        return value
