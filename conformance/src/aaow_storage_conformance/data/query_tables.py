"""Conditions and the records that they find, written by hand, independent of code that a backend may share."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs

from aaow_storage import (
    Contains,
    Ge,
    Gt,
    In,
    Le,
    Lt,
    Ne,
    NotIn,
    QueryFilter,
    SessionStatus,
    StartsWith,
    StorageOperations,
)
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.kinds import (
    APPROVAL_REQUEST,
    BUDGET_POOL,
    EXECUTION_ID,
    LLM_EXECUTION,
    SESSION,
    SESSION_ID,
    TOOL_CALL,
    WORKFLOW,
    Kind,
    prepare,
)

Cases = tuple[tuple[Any, str], ...]


@attrs.frozen(kw_only=True)
class QueryTable:
    """Records that differ in one field, and conditions on it with the ids of the records that meet them.

    Attributes:
        records: values of the field, by record id.
        cases: a value or operator, and the ids that it finds, sorted and separated by spaces.
    """

    name: str
    kind: Kind
    field: str
    records: dict[str, Any]
    find: Callable[[StorageOperations, QueryFilter], Awaitable[list[Any]]]
    cases: Cases
    make: Callable[[Any], dict[str, Any]] | None = None

    async def fill(self, storage: StorageOperations) -> None:
        """Store the records, the last first."""
        if self.kind in {TOOL_CALL, APPROVAL_REQUEST}:
            await prepare(storage)
        elif self.kind is LLM_EXECUTION:
            await samples.stored_session(storage, id=SESSION_ID)
        for id, value in reversed(self.records.items()):  # noqa: A001 - it is the field's name
            fields = {self.field: value} if self.make is None else self.make(value)
            await self.kind.store(storage, self.kind.make(**{"id": id, **fields}))


def but(table: Mapping[str, Any], *ids: str) -> str:
    """Return all ids of a table but the given ones."""
    return " ".join(sorted(set(table) - set(ids)))


_TEXTS: dict[str, Any] = {
    "all": "100%",
    "back": "back\\slash",
    "big": "Alpha",
    "empty": "",
    "face": "\U0001f600",
    "low": "ärger",
    "null": None,
    "plain": "alpha",
    "plus": "alphabet",
    "quote": "it's",
    "star": "*",
    "top": "\uffff",
    "under": "a_pha",
    "upper": "Ärger",
}
TEXT = QueryTable(
    name="text",
    kind=LLM_EXECUTION,
    field="text",
    records=_TEXTS,
    find=lambda storage, query: storage.get_llm_executions(SESSION_ID, query),
    cases=(
        ("alpha", "plain"),
        ("ALPHA", ""),
        ("alpha ", ""),
        ("alpha%", ""),
        ("alpha' OR '1'='1", ""),
        ("", "empty"),
        (None, "null"),
        ("it's", "quote"),
        (Ne("alpha"), but(_TEXTS, "plain")),
        (Ne("absent"), but(_TEXTS)),
        (Ne(None), but(_TEXTS, "null")),
        (In(["alpha", "", "absent"]), "empty plain"),
        (In(["alpha", None]), "null plain"),
        (In({None}), "null"),
        (In([]), ""),
        (NotIn([]), but(_TEXTS)),
        (NotIn(["alpha"]), but(_TEXTS, "plain")),
        (NotIn(["alpha", None]), but(_TEXTS, "plain", "null")),
        (NotIn([None]), but(_TEXTS, "null")),
        (Lt("alpha"), "all big empty star under"),
        (Le("alpha"), "all big empty plain star under"),
        (Gt("alpha"), "back face low plus quote top upper"),
        (Ge("alpha"), "back face low plain plus quote top upper"),
        (Gt("\uffff"), "face"),
        (Lt("\U0001f600"), but(_TEXTS, "face", "null")),
        (Ge(""), but(_TEXTS, "null")),
        (Contains("lph"), "big plain plus"),
        (Contains("LPH"), ""),
        (Contains("%"), "all"),
        (Contains("_"), "under"),
        (Contains("a_pha"), "under"),
        (Contains("\\"), "back"),
        (Contains("*"), "star"),
        (Contains("'"), "quote"),
        (Contains("ä"), "low"),
        (Contains("rger"), "low upper"),
        (Contains(""), but(_TEXTS, "null")),
        (StartsWith("al"), "plain plus"),
        (StartsWith("lph"), ""),
        (StartsWith("a_"), "under"),
        (StartsWith("%"), ""),
        (StartsWith("100%"), "all"),
        (StartsWith("*"), "star"),
        (StartsWith("Ä"), "upper"),
        (StartsWith("\U0001f600"), "face"),
        (StartsWith(""), but(_TEXTS, "null")),
        ("alpha\0", ""),
        ("\0", ""),
        (Ne("alpha\0"), but(_TEXTS)),
        (In(["alpha", "alph\0", "\0"]), "plain"),
        (In(["\0", None]), "null"),
        (NotIn(["alpha", "\0"]), but(_TEXTS, "plain")),
        (Lt("alpha\0x"), "all big empty plain star under"),
        (Le("\0"), "empty"),
        (Gt("alpha\0"), "back face low plus quote top upper"),
        (Ge("\0"), but(_TEXTS, "empty", "null")),
        (Contains("\0"), ""),
        (StartsWith("alpha\0"), ""),
    ),
)

_BOOLS = {"no": False, "running": None, "yes": True}
BOOL = QueryTable(
    name="bool",
    kind=LLM_EXECUTION,
    field="success",
    records=_BOOLS,
    find=lambda storage, query: storage.get_node_llm_executions(SESSION_ID, "draft", query),
    cases=(
        (True, "yes"),
        (False, "no"),
        (None, "running"),
        (Ne(True), "no running"),
        (Ne(None), "no yes"),
        (In([True, None]), "running yes"),
        (In([]), ""),
        (NotIn([False]), "running yes"),
        (NotIn([False, None]), "yes"),
    ),
)

_NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
_NOON_ELSEWHERE = _NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
_MICRO = timedelta(microseconds=1)
_INSTANTS = {
    "early": datetime(9, 1, 1, tzinfo=UTC),
    "late": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "never": None,
    "noon": _NOON,
    "second": _NOON + timedelta(seconds=1),
    "soon": _NOON + _MICRO,
}
INSTANT = QueryTable(
    name="instant",
    kind=APPROVAL_REQUEST,
    field="expires_at",
    records=_INSTANTS,
    find=lambda storage, query: storage.list_approval_requests(SESSION_ID, query),
    cases=(
        (_NOON, "noon"),
        (_NOON_ELSEWHERE, "noon"),
        (_NOON + 2 * _MICRO, ""),
        (None, "never"),
        (Ne(_NOON_ELSEWHERE), "early late never second soon"),
        (Gt(_NOON_ELSEWHERE), "late second soon"),
        (Ge(_NOON), "late noon second soon"),
        (Lt(_NOON + _MICRO), "early noon"),
        (Le(_NOON_ELSEWHERE + _MICRO), "early noon soon"),
        (In([_NOON_ELSEWHERE, None]), "never noon"),
        (NotIn([_NOON, None]), "early late second soon"),
        (Lt(datetime(100, 1, 1, tzinfo=UTC)), "early"),
    ),
)

_AMOUNTS: dict[str, Any] = {
    "big": "123456789012345",
    "hundred": 100,
    "nine": 9,
    "small": 0.3,
    "ten": 10,
    "tens": "10.00",
    "tiny": "1e-9",
}
AMOUNT = QueryTable(
    name="amount",
    kind=BUDGET_POOL,
    field="total_budget",
    records=_AMOUNTS,
    find=lambda storage, query: storage.list_budget_pools(query),
    cases=(
        (10, "ten tens"),
        ("10.0", "ten tens"),
        (Decimal("1E+1"), "ten tens"),
        (0.3, "small"),
        (Decimal("0.30"), "small"),
        ("0.000000001", "tiny"),
        (None, ""),
        (Ne(10), "big hundred nine small tiny"),
        (Ne(None), but(_AMOUNTS)),
        (Lt(10), "nine small tiny"),
        (Le("10.000"), "nine small ten tens tiny"),
        (Gt(9), "big hundred ten tens"),
        (Ge(100.0), "big hundred"),
        (Gt("123456789012344"), "big"),
        (Lt("0.30"), "tiny"),
        (In([9, "1e-9", 10]), "nine ten tens tiny"),
        (NotIn(["9.0", Decimal(10)]), "big hundred small tiny"),
    ),
)

_DURATIONS: dict[str, Any] = {"five": 5.0, "forty": 40, "half": 2.5, "huge": 1e300, "null": None, "zero": 0}
NUMBER = QueryTable(
    name="number",
    kind=TOOL_CALL,
    field="duration_ms",
    records=_DURATIONS,
    find=lambda storage, query: storage.get_tool_calls(EXECUTION_ID, query),
    cases=(
        (5, "five"),
        (5.0, "five"),
        (0, "zero"),
        (None, "null"),
        (Lt(5), "half zero"),
        (Gt(5), "forty huge"),
        (Le(5), "five half zero"),
        (Ge(0), but(_DURATIONS, "null")),
        (Ne(5), but(_DURATIONS, "five")),
        (In([2.5, 40, None]), "forty half null"),
        (NotIn([0, 40]), "five half huge null"),
    ),
)

_STATUSES = {"done": "completed", "held": "paused", "human": "waiting_for_human_review", "on": "running"}
ENUM = QueryTable(
    name="enum",
    kind=SESSION,
    field="status",
    records=_STATUSES,
    find=lambda storage, query: storage.list_sessions(query),
    cases=(
        ("running", "on"),
        (SessionStatus.RUNNING, "on"),
        ("failed", ""),
        (None, ""),
        (Ne("running"), "done held human"),
        (In(["running", SessionStatus.PAUSED]), "held on"),
        (NotIn(["running"]), "done held human"),
        (StartsWith("waiting"), "human"),
        (StartsWith("Waiting"), ""),
        (Contains("_"), "human"),
        (Gt("paused"), "human on"),
    ),
)

_FLAGS: dict[str, Any] = {
    "big": 2**53 + 1,
    "cased": "True",
    "empty": "",
    "list": [1],
    "missing": ...,
    "no": False,
    "null": None,
    "object": {"a": 1},
    "one": 1,
    "onef": 1.0,
    "text": "1",
    "unsaid": None,
    "yes": True,
    "yestext": "true",
    "zero": 0,
    "zerof": -0.0,
}
JSON = QueryTable(
    name="json",
    kind=WORKFLOW,
    field="metadata.flag",
    records=_FLAGS,
    make=lambda value: {"metadata": {"flags": True} if value is ... else {"flag": value}},
    find=lambda storage, query: storage.list_workflows(query),
    cases=(
        (True, "yes"),
        (1, "one onef"),
        (1.0, "one onef"),
        ("1", "text"),
        ("true", "yestext"),
        (False, "no"),
        (0, "zero zerof"),
        (-0.0, "zero zerof"),
        ("", "empty"),
        (None, "missing null unsaid"),
        (2**53 + 1, "big"),
        (2**53, ""),
        (Ne(1), but(_FLAGS, "one", "onef")),
        (Ne(True), but(_FLAGS, "yes")),
        (Ne(None), but(_FLAGS, "missing", "null", "unsaid")),
        (In([True, "1"]), "text yes"),
        (In([0, None]), "missing null unsaid zero zerof"),
        (In([]), ""),
        (NotIn([]), but(_FLAGS)),
        (NotIn([1, None]), but(_FLAGS, "one", "onef", "missing", "null", "unsaid")),
        (NotIn([False]), but(_FLAGS, "no")),
        (Gt(0), "big one onef"),
        (Ge(0), "big one onef zero zerof"),
        (Lt(1), "zero zerof"),
        (Gt(2**53), "big"),
        (Lt("2"), "empty text"),
        (Ge(""), "cased empty text yestext"),
        (Contains("rue"), "cased yestext"),
        (Contains("%"), ""),
        (Contains(""), "cased empty text yestext"),
        (StartsWith("T"), "cased"),
    ),
)

TABLES = (TEXT, BOOL, INSTANT, AMOUNT, NUMBER, ENUM)
"""The tables of scalar fields."""

KEYS: tuple[str, ...] = (
    *("plain", "a.b", "a.b.c", "a b", "", " ", ".", "..", "0", "1", "-1"),
    *("$", "$.plain", "$[0]", "[0]", "a[0]", "#", "#-1", "*", "[*]", "$**", "@", "?"),
    *("it's", "'", "''", '"', '"plain"', '""', "\\", "\\\\", 'a\\"b', "a\\u0062", "`plain`"),
    *("' OR '1'='1", "'; DROP TABLE workflows; --", "plain') OR (1=1", "%", "_", "pl%", "PLAIN", ":plain", "%s", "{}"),
    *("plain\x00", "\x00", "\n", "é", "e\u0301", "\N{GRINNING FACE}", "null", "None", "k" * 300),
)
"""Keys that a path must take literally."""
