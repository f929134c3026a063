"""Conditions made of others, and the records that they find, written by hand, for the records of `query_tables`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs

from aaow_storage import (
    All,
    AnyOf,
    Between,
    Contains,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    Not,
    NotIn,
    StartsWith,
    TokenUsage,
)
from aaow_storage_conformance.data import query_tables
from aaow_storage_conformance.data.kinds import LLM_EXECUTION, SESSION_ID
from aaow_storage_conformance.data.query_tables import Cases, QueryTable, but

_NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
_NOON_ELSEWHERE = _NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
_SOON = _NOON + timedelta(microseconds=1)


def _with(table: QueryTable, *cases: tuple[Any, str]) -> QueryTable:
    return attrs.evolve(table, cases=cases)


def _texts(records: Mapping[str, Any]) -> Cases:
    return (
        (Between("alpha", "alphabet"), "plain plus"),
        (Between("alpha", "alpha"), "plain"),
        (Between("alphabet", "alpha"), ""),
        (Between("", "*"), "empty star"),
        (Between("\uffff", "\U0001f600"), "face top"),
        (Not(Between("alpha", "\uffff")), "all big empty face null star under"),
        (Not(Between("b", "a")), but(records)),
        (Not("alpha"), but(records, "plain")),
        (Not(None), but(records, "null")),
        (Not(Ne("alpha")), "plain"),
        (Not(Ne(None)), "null"),
        (Not(Lt("alpha")), but(records, "all", "big", "empty", "star", "under")),
        (Not(Le("alpha")), but(records, "all", "big", "empty", "plain", "star", "under")),
        (Not(Gt("alpha")), "all big empty null plain star under"),
        (Not(Ge("alpha")), "all big empty null star under"),
        (Not(Contains("lph")), but(records, "big", "plain", "plus")),
        (Not(StartsWith("al")), but(records, "plain", "plus")),
        (Not(In(["alpha", None])), but(records, "plain", "null")),
        (Not(In(["alpha"])), but(records, "plain")),
        (Not(In([])), but(records)),
        (Not(NotIn(["alpha", None])), "null plain"),
        (Not(NotIn([])), ""),
        (Not(Not(Lt("alpha"))), "all big empty star under"),
        (All(), but(records)),
        (All("alpha"), "plain"),
        (All("alpha", "alphabet"), ""),
        (All(Ge("alpha"), Lt("b")), "plain plus"),
        (All(Contains("lph"), Not(StartsWith("A"))), "plain plus"),
        (All(Ne(None), Not("")), but(records, "null", "empty")),
        (AnyOf(), ""),
        (AnyOf("alpha"), "plain"),
        (AnyOf("alpha", None), "null plain"),
        (AnyOf(None, Ne(None)), but(records)),
        (AnyOf(StartsWith("al"), Gt("\uffff")), "face plain plus"),
        (AnyOf(All(Ge("a"), Le("b")), ""), "empty plain plus under"),
        (AnyOf(In(["*", "it's"]), Not(Ne("alpha"))), "plain quote star"),
        (All(AnyOf("alpha", "alphabet", None), AnyOf("alpha", None)), "null plain"),
        (Not(AnyOf(None, Lt("alpha"))), "back face low plain plus quote top upper"),
        (Not(AnyOf("alpha", "alphabet")), but(records, "plain", "plus")),
        (Not(AnyOf()), but(records)),
        (Not(All()), ""),
        (Not(All(Ge("alpha"), Lt("b"))), but(records, "plain", "plus")),
        (Not(All(Ne(None), Contains("lph"))), but(records, "big", "plain", "plus")),
        (Not(AnyOf(Not("alpha"))), "plain"),
        (Not(All(AnyOf("alpha", Gt("b")), Not("it's"))), "all big empty null plus quote star under"),
        (Between("\0", "alpha\0"), "all big plain star under"),
        (AnyOf("alpha\0", "alpha"), "plain"),
        (Not("alpha\0"), but(records)),
        (Not(Lt("\0")), but(records, "empty")),
        (Not(Contains("\0")), but(records)),
    )


def _flags(records: Mapping[str, Any]) -> Cases:
    return (
        (Between(0, 1), "one onef zero zerof"),
        (Between(1.0, 2**53 + 1), "big one onef"),
        (Between(1, 2**53), "one onef"),
        (Between("1", "true"), "cased text yestext"),
        (Between(0, "9"), ""),
        (Not(Between(0, 1)), but(records, "one", "onef", "zero", "zerof")),
        (Not(Between(0, "9")), but(records)),
        (Not(1), but(records, "one", "onef")),
        (Not(True), but(records, "yes")),
        (Not(None), but(records, "missing", "null", "unsaid")),
        (Not(Gt(0)), but(records, "big", "one", "onef")),
        (Not(Lt("2")), but(records, "empty", "text")),
        (Not(Contains("rue")), but(records, "cased", "yestext")),
        (Not(StartsWith("T")), but(records, "cased")),
        (Not(In([0, None])), but(records, "missing", "null", "unsaid", "zero", "zerof")),
        (Not(NotIn([False])), "no"),
        (AnyOf(True, Lt(1)), "yes zero zerof"),
        (AnyOf(None, "1"), "missing null text unsaid"),
        (AnyOf(), ""),
        (All(), but(records)),
        (All(Ge(0), Not(Gt(1))), "one onef zero zerof"),
        (All(Ge(0), Ge("")), ""),
        (Not(AnyOf(None, Ge(0))), but(records, "big", "one", "onef", "zero", "zerof", "missing", "null", "unsaid")),
        (Not(All(Ge(0), Lt(1))), but(records, "zero", "zerof")),
    )


JSON = _with(query_tables.JSON, *_flags(query_tables.JSON.records))

TABLES = (
    _with(query_tables.TEXT, *_texts(query_tables.TEXT.records)),
    _with(
        query_tables.BOOL,
        (Not(True), "no running"),
        (Not(None), "no yes"),
        (AnyOf(True, None), "running yes"),
        (All(Ne(None), Not(True)), "no"),
    ),
    _with(
        query_tables.INSTANT,
        (Between(_NOON_ELSEWHERE, _SOON), "noon soon"),
        (Between(_SOON, _NOON), ""),
        (Not(Between(_NOON, _SOON)), "early late never second"),
        (Not(Gt(_NOON_ELSEWHERE)), "early never noon"),
        (AnyOf(_NOON_ELSEWHERE, None), "never noon"),
    ),
    _with(
        query_tables.AMOUNT,
        (Between(9, "10.00"), "nine ten tens"),
        (Between("1E-9", Decimal("0.30")), "small tiny"),
        (Not(Between(9, 10)), "big hundred small tiny"),
        (Not(Lt(10)), "big hundred ten tens"),
        (AnyOf("0.30", Gt(100)), "big small"),
    ),
    _with(
        query_tables.NUMBER,
        (Between(0, 5), "five half zero"),
        (Between(2.5, 1e300), "five forty half huge"),
        (Not(Between(0, 5)), "forty huge null"),
        (Not(Gt(5)), "five half null zero"),
        (AnyOf(None, 40), "forty null"),
    ),
    _with(
        query_tables.ENUM,
        (Between("paused", "running"), "held on"),
        (AnyOf("running", StartsWith("waiting")), "human on"),
        (Not(AnyOf("running", "paused")), "done human"),
    ),
)
"""The tables of scalar fields."""

_CLOSE, _BIG, _MOST = 2**53, 2**53 + 1, 2**63 - 1
_ATTEMPTS: dict[str, Any] = {"big": _BIG, "close": _CLOSE, "most": _MOST, "one": 1, "zero": 0}
ATTEMPTS = QueryTable(
    name="attempt",
    kind=LLM_EXECUTION,
    field="attempt",
    records=_ATTEMPTS,
    find=lambda storage, query: storage.get_llm_executions(SESSION_ID, query),
    cases=(
        (0, "zero"),
        (_BIG, "big"),
        (_CLOSE, "close"),
        (_MOST, "most"),
        (_MOST - 1, ""),
        (None, ""),
        (Ne(1), "big close most zero"),
        (Lt(_BIG), "close one zero"),
        (Gt(_CLOSE), "big most"),
        (Ge(-1), but(_ATTEMPTS)),
        (Between(1, _CLOSE), "close one"),
        (In([_BIG, 0, _MOST]), "big most zero"),
        (In([*range(40), _BIG]), "big one zero"),
        (NotIn([_CLOSE]), but(_ATTEMPTS, "close")),
        (Not(Gt(1)), "one zero"),
    ),
)


def _usage(value: Any) -> dict[str, Any]:
    if value is ...:
        return {"usage": None}
    return {"usage": TokenUsage(prompt_tokens=7, completion_tokens=0, total_tokens=7, cache_read_tokens=value)}


_READ: dict[str, Any] = {**_ATTEMPTS, "null": None, "unused": ...}
TOKENS = QueryTable(
    name="tokens",
    kind=LLM_EXECUTION,
    field="cache_read_tokens",
    records=_READ,
    make=_usage,
    find=lambda storage, query: storage.get_node_llm_executions(SESSION_ID, "draft", query),
    cases=(
        (0, "zero"),
        (_BIG, "big"),
        (None, "null unused"),
        (Ne(None), but(_READ, "null", "unused")),
        (Ne(0), but(_READ, "zero")),
        (Lt(_BIG), "close one zero"),
        (Not(Lt(_BIG)), "big most null unused"),
        (Between(0, 1), "one zero"),
        (In([None, _MOST]), "most null unused"),
        (In([*range(40), _CLOSE]), "close one zero"),
        (NotIn([0, None]), but(_READ, "zero", "null", "unused")),
        (AnyOf(None, Gt(_BIG)), "most null unused"),
    ),
)
COUNT_TABLES = (ATTEMPTS, TOKENS)
"""The tables of counts."""
