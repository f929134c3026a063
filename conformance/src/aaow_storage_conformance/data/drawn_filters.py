"""Random filters on random records of a list, and simpler filters than one that fails."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs

from aaow_storage import (
    All,
    AnyOf,
    Between,
    Contains,
    Direction,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    Lt,
    Ne,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    StartsWith,
    TokenUsage,
)
from aaow_storage.authoring import QUERY_FIELDS, TOKEN_FIGURES, FieldKind, resolve_field
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.list_calls import Listing
from aaow_storage_conformance.data.versions import is_tested_since, later_fields

TEXTS = ("", "a", "A", "ab", "b", "a%", "a_", "%", "é", "\ue000", "\U00010000", "it's", '"', "\\")
WITH_NUL = ("\0", "a\0b", "a\0", "\1", "\1\2\2")
NUMBERS = (-1, 0, 1, 2, 10, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, 1e300)
AMOUNTS = tuple(map(Decimal, ("0", "0.3", "0.30", "1", "1.00", "9", "10", "1e-9", "123456789012345", "9e-18")))
WIDE_AMOUNTS = tuple(map(Decimal, ("123456789012345.000000000000000001", "0.300000000000000001", "999999999999999999")))
"""Amounts that the contract has since 1.1."""
CURRENCIES = ("EUR", "JPY", "USD")
COUNTS = (0, 1, 2, 9, 10, 2**53, 2**53 + 1, 2**63 - 1)
DURATIONS = (0.0, 0.5, 5.0, 40.0, 1e300)
ANY = (None, True, False, 0, 1, 1.0, "", "1", "true", "a", [1], {"a": 1})
JSON_VALUES: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("rank",): NUMBERS,
    ("a.b",): (*TEXTS, *WITH_NUL),
    ("deep", "er"): TEXTS,
    ("any",): ANY,
}
"""Values at each path in a document. Lists are ordered only by paths that hold one type of value."""
UNORDERED = ("any",)
MAX_KEYS = 16
MAX_LEVELS = 3
MAX_CONDITIONS = 6
FEW_VALUES, MANY_VALUES, MAX_VALUES = 4, 17, 40
RECORDS = 40

Draw = Callable[[random.Random], Any]
"""Draws a condition, or another part of a filter."""
Filters = tuple[QueryFilter, QueryFilter]
"""A filter that is passed to the store, and the one, with a record in place of a cursor, that says what is right."""


def random_records_of(listing: Listing, rng: random.Random) -> Iterator[Any]:
    """Make records of a list, with values that filters name."""
    for number in rng.sample(range(RECORDS), RECORDS):
        fields: dict[str, Any] = {"id": f"{rng.choice('aAbé')}{number}"}
        template = listing.make()
        for name, kind in _fields(type(template)).items():
            if (
                name in TOKEN_FIGURES
                or name in listing.scope
                or name in {"id", "sequence"}
                or (name.endswith("_id") and name != "tool_call_id")
            ):
                continue
            is_optional = attrs.fields_dict(type(template))[name].default is None
            if is_optional and rng.random() < 0.2:
                fields[name] = None
            elif name == "status" and listing.name == "list_pending_approvals":
                fields[name] = "pending"
            elif name == "expires_at":
                fields[name] = template.expires_at + timedelta(microseconds=rng.randrange(-9, 0))
            else:
                fields[name] = _random_value(kind, rng)
        if "cost" in fields:  # there are both, or none
            fields["currency"] = None if fields["cost"] is None else rng.choice(CURRENCIES)
        if isinstance(template, LLMExecution):
            fields["usage"] = _random_usage(rng)
        yield listing.make(**fields)


def _random_usage(rng: random.Random) -> TokenUsage | None:
    later = later_fields(TokenUsage)
    figures: dict[str, Any] = {name: rng.choice(COUNTS) for name in TOKEN_FIGURES if name not in later}
    optional = [name for name in figures if attrs.fields_dict(TokenUsage)[name].default is None]
    missing: dict[str, None] = {name: None for name in optional if rng.random() < 0.5}
    return None if rng.random() < 0.2 else TokenUsage(**{**figures, **missing})


def _fields(kind: type) -> dict[str, FieldKind | type[StrEnum]]:
    """Return the fields that the backend under test can filter by."""
    later = later_fields(kind)
    if later:  # a filter could not name token figures either
        later |= set(TOKEN_FIGURES)
    return {name: of for name, of in QUERY_FIELDS[kind].items() if name not in later}


def _random_value(kind: FieldKind | type[StrEnum], rng: random.Random) -> Any:
    if not isinstance(kind, FieldKind):
        return rng.choice(list(kind))
    if kind is FieldKind.INSTANT:
        return samples.instant(rng.randrange(8)) + timedelta(microseconds=rng.randrange(3))
    if kind is not FieldKind.JSON:
        choices: dict[FieldKind, tuple[Any, ...]] = {
            FieldKind.TEXT: TEXTS[1:],
            FieldKind.NUMBER: DURATIONS,
            FieldKind.COUNT: COUNTS,
            FieldKind.AMOUNT: (*AMOUNTS, *WIDE_AMOUNTS) if is_tested_since("1.1") else AMOUNTS,
            FieldKind.BOOL: (True, False),
        }
        return rng.choice(choices[kind])
    document: dict[str, Any] = {}
    for (first, *rest), values in JSON_VALUES.items():
        if rng.random() < 0.8:
            value = rng.choice((None, *values))
            document[first] = {rest[0]: value} if rest else value
    return document


def simple_filters(kind: type, records: list[Any], rng: random.Random) -> Iterator[Filters]:
    """Draw filters with conditions on up to three fields, without end."""
    names = _conditions_by_field(kind, records, is_ranged=False)
    while True:
        drawn = _filter(names, records, rng, where=_where(names, 3, rng))
        yield drawn, drawn


def combined_filters(kind: type, records: list[Any], rng: random.Random) -> Iterator[Filters]:
    """Draw filters with combined conditions, alternatives and cursors, without end."""
    simple = _conditions_by_field(kind, records, is_ranged=True)
    names = {name: _combined(draw, MAX_LEVELS) for name, draw in simple.items()}
    whole = _combined(_one_of((None, Ne(None))), MAX_LEVELS)
    fields = names | {(name,): whole for name, of in _fields(kind).items() if of is FieldKind.JSON}
    while True:
        any_of = [_where(fields, 2, rng) for _ in range(rng.randrange(3))] if rng.random() < 0.5 else None
        drawn = _filter(names, records, rng, where=_where(fields, 2, rng), any_of=any_of)
        yield (_with_cursor(drawn) if rng.random() < 0.5 else drawn), drawn


def _with_cursor(filter: QueryFilter) -> QueryFilter:
    record = filter.after_record
    return filter if record is None else attrs.evolve(filter, after_record=filter.cursor(record))


def _filter(names: Mapping[Any, Draw], records: list[Any], rng: random.Random, **parts: Any) -> QueryFilter:
    ordered = [name for name in names if not isinstance(name, tuple) or name[1:] != UNORDERED]
    keys = rng.randrange(rng.choice((2, 4, MAX_KEYS + 1)))
    places = (0, 1, len(records), *(rng.randrange(len(records) + 1) for _ in range(3)))
    return QueryFilter(
        order_by=[OrderBy(rng.choice(ordered), rng.choice(list(Direction))) for _ in range(keys)],
        limit=rng.choice(places) if rng.random() < 0.5 else None,
        offset=rng.choice(places) if rng.random() < 0.5 else 0,
        documents=rng.random() < 0.5,
        after_record=rng.choice(records) if rng.random() < 0.5 else None,
        **parts,
    )


def _where(names: Mapping[Any, Draw], most: int, rng: random.Random) -> dict[Any, Any]:
    return {name: names[name](rng) for name in rng.sample(list(names), rng.randrange(most + 1))}


def _one_of(values: Sequence[Any]) -> Draw:
    return lambda rng: rng.choice(values)


def _combined(draw: Draw, levels: int) -> Draw:
    """Draw a condition, or a combination of conditions, of up to so many levels."""
    if not levels:
        return draw
    inner = _combined(draw, levels - 1)
    some = _several(inner, 0, 2 if levels > 1 else MAX_CONDITIONS)
    ways: tuple[Draw, ...] = (
        inner,
        lambda rng: Not(inner(rng)),
        lambda rng: All(*some(rng)),
        lambda rng: AnyOf(*some(rng)),
    )
    return lambda rng: rng.choice(ways)(rng)


def _several(draw: Draw, least: int, most: int) -> Draw:
    return lambda rng: [draw(rng) for _ in range(rng.randint(least, most))]


def _conditions_by_field(kind: type, records: list[Any], *, is_ranged: bool) -> dict[Any, Draw]:
    names: dict[Any, Draw] = {}
    for name, field_kind in _fields(kind).items():
        if field_kind is FieldKind.JSON:
            for path, scalars in JSON_VALUES.items():
                operands = [value for value in scalars if not isinstance(value, list | dict)]
                names[name, *path] = _conditions(operands, is_text=True, is_ordered=True, is_ranged=is_ranged)
        else:
            found = map(resolve_field(kind, name).value_of, records)
            values = [value for value in dict.fromkeys(found) if value is not None]
            is_text = field_kind is FieldKind.TEXT or not isinstance(field_kind, FieldKind)
            if field_kind is FieldKind.INSTANT:
                values += [value + timedelta(microseconds=1) for value in values]
            is_ordered = field_kind is not FieldKind.BOOL
            names[name] = _conditions(values, is_text=is_text, is_ordered=is_ordered, is_ranged=is_ranged)
    return names


def _conditions(values: list[Any], *, is_text: bool, is_ordered: bool, is_ranged: bool) -> Draw:
    one = _one_of([None, *values])
    few, many = _several(one, 0, FEW_VALUES), _several(one, MANY_VALUES, MAX_VALUES)
    kinds: list[Draw] = [one, _made(Ne, one), *(_made(each, some) for each in (In, NotIn) for some in (few, many))]
    comparable = [value for value in values if value is not None and not isinstance(value, bool)]
    if is_ordered and comparable:
        end = _one_of(comparable)
        kinds += [_made(each, end) for each in (Lt, Le, Gt, Ge)]
        kinds += [_made(Between, end, end)] if is_ranged else []
    if is_text:
        texts = _one_of((*TEXTS, *WITH_NUL))
        kinds += [_made(each, texts) for each in (Contains, StartsWith)]
        if any(isinstance(value, str) and not isinstance(value, StrEnum) for value in values):
            some = _several(texts, 0, FEW_VALUES)
            kinds += [texts, *(_made(each, texts) for each in (Ne, Lt, Le, Gt, Ge)), _made(In, some)]
    return lambda rng: rng.choice(kinds)(rng)


def _made(operator: Callable[..., Any], *operands: Draw) -> Draw:
    return lambda rng: operator(*(draw(rng) for draw in operands))


def simpler_filters(filters: Filters) -> Iterator[Filters]:
    """Return filters with one part less, or one condition that is simpler."""
    asked, meant = filters
    is_cursor = asked.after_record is not meant.after_record
    for simpler in _simpler(meant):
        yield (_with_cursor(simpler) if is_cursor else simpler), simpler
    if is_cursor:
        yield meant, meant


def _simpler(filter: QueryFilter) -> Iterator[QueryFilter]:
    if filter.any_of is not None:
        yield attrs.evolve(filter, any_of=None)
        for number, alternative in enumerate(filter.any_of):
            before, behind = filter.any_of[:number], filter.any_of[number + 1 :]
            yield attrs.evolve(filter, any_of=[*before, *behind])
            for each in _simpler_where(alternative):
                yield attrs.evolve(filter, any_of=[*before, each, *behind])
    for where in _simpler_where(filter.where):
        yield attrs.evolve(filter, where=where)
    for number in range(len(filter.order_by)):
        yield attrs.evolve(filter, order_by=filter.order_by[:number] + filter.order_by[number + 1 :])
    without: dict[str, Any] = {"limit": None, "offset": 0, "after_record": None, "documents": True}
    for name, value in without.items():
        if getattr(filter, name) != value:
            yield attrs.evolve(filter, **{name: value})


def _simpler_where(where: Mapping[Any, Any]) -> Iterator[dict[Any, Any]]:
    for name, condition in where.items():
        yield {other: value for other, value in where.items() if other != name}
        for simpler in _simpler_conditions(condition):
            yield {**where, name: simpler}


def _simpler_conditions(condition: Any) -> Iterator[Any]:
    match condition:
        case Not():
            yield condition.condition
            yield from map(Not, _simpler_conditions(condition.condition))
        case All() | AnyOf():
            parts = condition.conditions
            yield from parts
            for number, part in enumerate(parts):
                for simpler in ((), *((each,) for each in _simpler_conditions(part))):
                    yield type(condition)(*parts[:number], *simpler, *parts[number + 1 :])
        case In() | NotIn():
            values = tuple(condition.values)
            for step in (len(values) // 2, 1):
                for first in range(0, len(values), step) if step else ():
                    yield type(condition)([*values[:first], *values[first + step :]])
