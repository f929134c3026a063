"""Cursors: the place of a record in an order, as a text that goes into a URL and is read by another process.

A cursor is a version, two checksums, and the JSON of the values, in base64 for URLs. The first checksum is that of the
kind of record and the fields of the order, the second that of the values. They find what was cut off or mistaken, and
not what was forged: who reads a cursor can make another.

zlib and binascii are imported by the functions that need them: programs without cursors need not wait for that.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aaow_storage import _json
from aaow_storage._enums import Direction
from aaow_storage._filter_limits import MAX_TEXT_LENGTH
from aaow_storage._operators import OrderBy
from aaow_storage._query_fields import (
    KEY_FIELDS,
    QUERY_FIELDS,
    operand_of,
    shown_name,
    total_order,
    value_to_go_on_after,
)
from aaow_storage._query_plan import FieldKind, QueryField
from aaow_storage._values import exact_text
from aaow_storage.errors import CorruptDataError, ValidationError

_VERSION = 1
_SUM_BYTES = 4
_HEAD_BYTES = 1 + 2 * _SUM_BYTES
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_DAMAGED = "is not what QueryFilter.cursor() returned, or was changed or cut off on the way"

_Order = tuple[tuple[QueryField, Direction], ...]


def cursor_of(record: object, order_by: tuple[OrderBy, ...]) -> str:
    """Return the cursor of a record in an order.

    Raises:
        ValidationError: the record is not one that can be listed, the order names a field that it does not have, or the
            cursor would be too long.
    """
    kind = next((each for each in type(record).__mro__ if each in QUERY_FIELDS), None)
    if kind is None:
        problem = f"must be given a record of a list, such as a Session, not {type(record).__name__}"
        raise ValidationError("QueryFilter", "cursor", problem)
    order = total_order(kind, order_by)
    values = [_as_json(value_to_go_on_after(record, field)) for field, _ in order]
    body = _json.dumps(values, record="QueryFilter", field="cursor").encode()
    text = _encoded(bytes((_VERSION,)) + _sum(_described(kind, order)) + _sum(body) + body)
    if len(text) > MAX_TEXT_LENGTH:
        problem = f"would have {len(text)} characters, at most {MAX_TEXT_LENGTH} are allowed; order by shorter values"
        raise ValidationError("QueryFilter", "cursor", problem)
    return text


def values_of(cursor: str, kind: type, order: _Order) -> tuple[Any, ...]:
    """Return the values in a cursor, one for each key of the order; the directions may be others than it was made for.

    Raises:
        ValidationError: the text is no cursor, was changed, or was made for other records or other fields of order.
    """
    whole = _decoded(exact_text(cursor))
    if whole is None or len(whole) <= _HEAD_BYTES:
        raise _refused(_DAMAGED)
    if whole[0] != _VERSION:
        raise _refused(f"is a cursor of version {whole[0]}, not {_VERSION}, or was changed on the way")
    order_sum, body_sum, body = whole[1 : 1 + _SUM_BYTES], whole[1 + _SUM_BYTES : _HEAD_BYTES], whole[_HEAD_BYTES:]
    if _sum(body) != body_sum:
        raise _refused(_DAMAGED)
    if order_sum != _sum(_described(kind, order)):
        fields = ", ".join(shown_name(field) for field, _ in order)
        raise _refused(f"is a cursor for other records, or another order, than {kind.__name__} by {fields}")
    try:
        values = _json.loads(body)
    except CorruptDataError:
        values = None
    if not isinstance(values, list) or len(values) != len(order):
        raise _refused(_DAMAGED)
    return tuple(_value(kind, field, value) for (field, _), value in zip(order, values, strict=True))


def _refused(problem: str) -> ValidationError:
    return ValidationError("QueryFilter", "after", f"{problem}; start from the first page")


def _described(kind: type, order: _Order) -> bytes:
    """Return a text that differs for other records and other fields of order."""
    fields: list[Any] = [[field.name, *field.path] for field, _ in order]
    return _json.dumps([kind.__name__, *fields]).encode()


def _sum(text: bytes) -> bytes:
    import zlib  # noqa: PLC0415 - see above

    return zlib.crc32(text).to_bytes(_SUM_BYTES, "big")


def _encoded(whole: bytes) -> str:
    import binascii  # noqa: PLC0415 - see above

    return binascii.b2a_base64(whole, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def _decoded(cursor: str) -> bytes | None:
    """Return the bytes of a cursor; None if it is not exactly what `_encoded` makes of them."""
    import binascii  # noqa: PLC0415 - see above

    try:
        padded = cursor.encode("ascii").translate(_FROM_URL) + b"=" * (-len(cursor) % 4)
        whole = binascii.a2b_base64(padded)
    except ValueError:  # the errors of both are
        return None
    return whole if _encoded(whole) == cursor else None


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, Decimal):
        return str(value)
    return exact_text(value) if isinstance(value, str) else value


def _value(kind: type, field: QueryField, value: Any) -> Any:
    """Return the value of a field from that in a cursor.

    Raises:
        ValidationError: the field cannot have it.
    """
    try:
        if value is None:
            is_possible = field.name not in KEY_FIELDS[kind]
        elif field.kind is FieldKind.JSON:
            _json.check_json(value)
            is_possible = True
        else:
            value = operand_of(field, _EPOCH + value * _MICROSECOND if field.kind is FieldKind.INSTANT else value)
            is_possible = not (isinstance(value, str) and "\0" in value)
    except (OverflowError, TypeError, ValidationError):
        is_possible = False
    if not is_possible:
        raise _refused(f"has a value that {shown_name(field)} cannot have")
    return value
