"""The query language: `status=running metadata.user=ada created_at>=2026-01-01 text~refund`.

A query is a list of conditions, all of which have to hold. A condition is a field, an operator and a value:

    =  !=  <  <=  >  >=     compare
    ~  !~                   contains the text, or does not; upper and lower case differ
    ^=                      begins with the text

A field may be a path into JSON, such as `metadata.user`; a key with a dot in it is quoted: `metadata."a.b"`.
With = and !=, values may be several with commas, one of which has to be equal, and `null` stands for "has no value".
A value in double quotes is a text as it stands, without a meaning of `null`, commas and dots. In JSON, `3` is the
number or the text. A range is `1..5`, both ends included. A time is `2026-01-31`, `2026-01-31T12:00`, with an offset or
in UTC, or before now: `-90s`, `-15m`, `-6h`, `-7d`, `-2w`. A day without a time is all of it: `created_at=2026-01-31`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from aaow_storage import (
    All,
    AnyOf,
    Between,
    Contains,
    Direction,
    FieldName,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    Not,
    OrderBy,
    StartsWith,
    ValidationError,
    now,
)
from aaow_storage.authoring import FieldKind, QueryField, resolve_field
from aaow_storage_tools._errors import ToolError

_CONDITION = re.compile(
    r'(?P<field>(?:[\w-]+|"(?:[^"\\]|\\.)*")(?:\.(?:[^\s".=<>!~^]+|"(?:[^"\\]|\\.)*"))*)\s*'
    r"(?P<operator>!=|<=|>=|\^=|!~|=|<|>|~)\s*(?P<value>.*)",
    re.DOTALL,
)
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+')
_VALUE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^,"][^,]*)|(?P<empty>(?=,|$))')
_AGO = re.compile(r"-(\d+(?:\.\d+)?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INTEGER = re.compile(r"-?\d{1,18}")
_DECIMAL = re.compile(r"-?\d{1,18}\.\d{1,18}")
_ONE_DAY = timedelta(days=1)
_COMPARISONS: Mapping[str, Callable[[Any], Any]] = {"<": Lt, "<=": Le, ">": Gt, ">=": Ge}

_AFTER_A_DAY: Mapping[str, Callable[[Any], Any]] = {"<=": Lt, ">": Ge}
"""What compares with the beginning of the next day, where the operator compares with a whole day."""


class QueryError(ToolError, ValueError):
    """A condition of a query cannot be understood.

    Attributes:
        condition: the condition.
        problem: what is wrong with it, and what would be right.
    """

    exit_code = 2

    def __init__(self, condition: str, problem: str) -> None:
        super().__init__(condition, problem)
        self.condition = condition
        self.problem = problem

    def __str__(self) -> str:
        return f"the condition `{self.condition}`: {self.problem}"


class _Value(NamedTuple):
    """A value of a condition, and whether it was quoted."""

    text: str
    is_quoted: bool = False


def parse_query(record: type, conditions: Iterable[str]) -> dict[FieldName, Any]:
    """Return the conditions of a query on a class of records, as `QueryFilter.where` takes them.

    Args:
        record: the class, such as `Session`.
        conditions: such as `"status=running,failed"`; the module's docstring has the language.

    Raises:
        QueryError: a condition cannot be understood, or the records have no such field.
    """
    where: dict[FieldName, Any] = {}
    for condition in conditions:
        path, operand = _parse(record, condition)
        where[path] = All(where[path], operand) if path in where else operand
    return where


def parse_order(record: type, order: str) -> tuple[OrderBy, ...]:
    """Return an order: fields with commas, each with a minus in front if it goes down, such as `-cost,id`.

    Raises:
        QueryError: the records have no such field.
    """
    keys = []
    for part in order.split(","):
        name = part.strip()
        direction = Direction.DESCENDING if name.startswith("-") else Direction.ASCENDING
        path = _path_of(name.lstrip("-"), order)
        _field_of(record, path, order, is_compared_with_none=None)
        keys.append(OrderBy(path, direction))
    return tuple(keys)


def _parse(record: type, condition: str) -> tuple[FieldName, Any]:
    match = _CONDITION.fullmatch(condition.strip())
    if match is None:
        problem = (
            "is not FIELD OPERATOR VALUE, such as status=running; operators are = != < <= > >= ~ !~ ^=, "
            "and a shell needs quotes around a condition with < or >, or with quotes"
        )
        raise QueryError(condition, problem)
    path = _path_of(match["field"], condition)
    values = list(_values_of(match["value"], condition, is_list=match["operator"] in {"=", "!="}))
    is_null = values == [_Value("null")]
    field = _field_of(record, path, condition, is_compared_with_none=is_null)
    return path, _operand(field, match["operator"], values, condition)


def _path_of(text: str, condition: str) -> FieldName:
    parts = tuple(_unquoted(part[1:-1]) if part.startswith('"') else part for part in _PART.findall(text))
    if not parts:
        raise QueryError(condition, "names no field")
    return parts[0] if len(parts) == 1 else parts


def _field_of(record: type, path: FieldName, condition: str, *, is_compared_with_none: bool | None) -> QueryField:
    try:
        return resolve_field(record, path, is_compared_with_none=is_compared_with_none)
    except ValidationError as error:
        raise QueryError(condition, f"{error.field} {error.problem}") from None


def _values_of(text: str, condition: str, *, is_list: bool) -> Iterator[_Value]:
    """Yield the values; only those that are compared for equality may be several."""
    if not is_list and not text.startswith('"'):
        yield _Value(text)
        return
    place = 0
    while True:
        match = _VALUE.match(text, place)
        if match is None or (match.end() < len(text) and text[match.end()] != ","):
            raise QueryError(condition, 'has a quote in its value; write "..." around it, and \\" for a quote in it')
        yield _Value(_unquoted(match["quoted"]), True) if match["quoted"] is not None else _Value(match[0].strip())
        if match.end() >= len(text):
            return
        place = match.end() + 1


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _operand(field: QueryField, operator: str, values: list[_Value], condition: str) -> Any:
    if operator in {"~", "!~", "^="}:
        if field.kind not in {FieldKind.TEXT, FieldKind.ENUM, FieldKind.JSON}:
            raise QueryError(condition, f"{field.name} is no text, so it cannot be searched; compare it by = or <")
        found = StartsWith(values[0].text) if operator == "^=" else Contains(values[0].text)
        return Not(found) if operator == "!~" else found
    if operator in _COMPARISONS:
        return _compared(field, operator, values[0], condition)
    wanted = [alternative for value in values for alternative in _equal_to(field, value, condition)]
    plain = [each for each in wanted if not isinstance(each, Between)]
    ranges = [each for each in wanted if isinstance(each, Between)]
    operand: Any = In(plain) if len(plain) > 1 or (not ranges and not plain) else plain[0] if plain else None
    if ranges:
        operand = AnyOf(*ranges, *([operand] if plain else [])) if plain or len(ranges) > 1 else ranges[0]
    if operator == "=":
        return operand
    return Not(operand) if isinstance(operand, In | Between | AnyOf) else Ne(operand)


def _compared(field: QueryField, operator: str, value: _Value, condition: str) -> Any:
    """Return what compares by order; a whole day ends where the next one begins."""
    if field.kind in {FieldKind.BOOL, FieldKind.ENUM}:
        raise QueryError(condition, f"{field.name} has no order; compare it by = or !=")
    converted = _alternatives(field, value, condition)
    if converted[0] is None:
        raise QueryError(condition, "null has no order; compare it by = or !=")
    if field.kind is FieldKind.INSTANT and operator in _AFTER_A_DAY and _DAY.fullmatch(value.text):
        return _AFTER_A_DAY[operator](converted[0] + _ONE_DAY)
    return _COMPARISONS[operator](converted[0])


def _equal_to(field: QueryField, value: _Value, condition: str) -> list[Any]:
    """Return the values, or the ranges, one of which the field has to have."""
    if not value.is_quoted and ".." in value.text and field.kind not in {FieldKind.TEXT, FieldKind.ENUM}:
        low, _, high = value.text.partition("..")
        low_end = _alternatives(field, _Value(low), condition)[0]
        high_end = _alternatives(field, _Value(high), condition)[0]
        if field.kind is FieldKind.INSTANT and _DAY.fullmatch(high):
            high_end = _end_of_day(high_end)
        return [Between(low_end, high_end)]
    found = _alternatives(field, value, condition)
    if field.kind is FieldKind.INSTANT and not value.is_quoted and _DAY.fullmatch(value.text):
        return [Between(found[0], _end_of_day(found[0]))]
    return found


def _end_of_day(day: datetime) -> datetime:
    return day + _ONE_DAY - timedelta(microseconds=1)


def _alternatives(field: QueryField, value: _Value, condition: str) -> list[Any]:
    """Return the value as the type of the field; in JSON, a bare `3` may be the number or the text."""
    text = value.text
    if not value.is_quoted and text == "null":
        return [None]
    match field.kind:
        case FieldKind.TEXT:
            return [text]
        case FieldKind.ENUM:
            members = [] if field.enum is None else [str(member.value) for member in field.enum]
            if text not in members:
                raise QueryError(condition, f"{field.name} is one of {', '.join(members)}, not {text!r}")
            return [text]
        case FieldKind.INSTANT:
            return [_instant(text, condition)]
        case FieldKind.BOOL:
            if text.lower() not in {"true", "false", "yes", "no"}:
                raise QueryError(condition, f"{field.name} is true or false, not {text!r}")
            return [text.lower() in {"true", "yes"}]
        case FieldKind.AMOUNT:
            return [_amount(text, field, condition)]
        case FieldKind.COUNT | FieldKind.NUMBER:
            return [_number(text, field, condition)]
    return [text] if value.is_quoted else _json_values(text)


def _json_values(text: str) -> list[Any]:
    if text in {"true", "false"}:
        return [text == "true", text]
    if _INTEGER.fullmatch(text):
        return [int(text), text]
    return [float(text), text] if _DECIMAL.fullmatch(text) else [text]


def _instant(text: str, condition: str) -> datetime:
    if (ago := _AGO.fullmatch(text)) is not None:
        try:
            return now() - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        except OverflowError:
            raise QueryError(condition, f"{text!r} is before the first year") from None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        forms = "2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00+02:00, or -7d for 7 days ago"
        problem = f"{text!r} is no time; write {forms}"
        raise QueryError(condition, problem) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _amount(text: str, field: QueryField, condition: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise QueryError(condition, f"{field.name} is an amount, such as 12.50, not {text!r}")
    return amount


def _number(text: str, field: QueryField, condition: str) -> int | float:
    try:
        return int(text) if field.kind is FieldKind.COUNT else float(text)
    except ValueError:
        kind = "a whole number" if field.kind is FieldKind.COUNT else "a number"
        raise QueryError(condition, f"{field.name} is {kind}, not {text!r}") from None
