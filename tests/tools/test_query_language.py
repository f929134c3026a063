"""The query language: what each form means, and what a mistake is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aaow_storage import (
    All,
    AnyOf,
    Between,
    BudgetPool,
    Contains,
    Ge,
    Gt,
    In,
    Le,
    LLMExecution,
    Lt,
    Ne,
    Not,
    OrderBy,
    QueryFilter,
    Session,
    StartsWith,
    ToolCallLog,
    now,
    open_adapter,
)
from aaow_storage_mariadb import testing as mariadb
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_tools._looking.query_language import QueryError, parse_order, parse_query

DAY = datetime(2026, 1, 1, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
LAST_INSTANT = NEXT_DAY - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ("status=running", {"status": "running"}),
        ("status = running", {"status": "running"}),
        ("status=running,failed", {"status": In(["running", "failed"])}),
        ("status!=running", {"status": Ne("running")}),
        ("status!=running,failed", {"status": Not(In(["running", "failed"]))}),
        ("workflow_id=null", {"workflow_id": None}),
        ("workflow_id!=null", {"workflow_id": Ne(None)}),
        ('workflow_id="null"', {"workflow_id": "null"}),
        ("id^=01a2", {"id": StartsWith("01a2")}),
        ("id~a,b", {"id": Contains("a,b")}),
        ("id!~a", {"id": Not(Contains("a"))}),
        ("metadata.user=ada", {("metadata", "user"): "ada"}),
        ('metadata."a.b"=x', {("metadata", "a.b"): "x"}),
        ('metadata.user="a,b"', {("metadata", "user"): "a,b"}),
        ('metadata.user="say \\"a\\""', {("metadata", "user"): 'say "a"'}),
        ("metadata.user=", {("metadata", "user"): ""}),
        ("metadata.n=3", {("metadata", "n"): In([3, "3"])}),
        ("metadata.n=1.5", {("metadata", "n"): In([1.5, "1.5"])}),
        ("metadata.n=true", {("metadata", "n"): In([True, "true"])}),
        ('metadata.n="3"', {("metadata", "n"): "3"}),
        ("metadata.n>=3", {("metadata", "n"): Ge(3)}),
        ("metadata=null", {"metadata": None}),
        ("created_at>=2026-01-01", {"created_at": Ge(DAY)}),
        ("created_at<2026-01-01", {"created_at": Lt(DAY)}),
        ("created_at>2026-01-01", {"created_at": Ge(NEXT_DAY)}),
        ("created_at<=2026-01-01", {"created_at": Lt(NEXT_DAY)}),
        ("created_at=2026-01-01", {"created_at": Between(DAY, LAST_INSTANT)}),
        ("created_at!=2026-01-01", {"created_at": Not(Between(DAY, LAST_INSTANT))}),
        ("created_at=2025-12-31..2026-01-01", {"created_at": Between(DAY - timedelta(days=1), LAST_INSTANT)}),
        ("created_at>2026-01-01T12:00", {"created_at": Gt(DAY + timedelta(hours=12))}),
        ("created_at<=2026-01-01T12:00+02:00", {"created_at": Le(DAY + timedelta(hours=10))}),
        ("created_at=2026-01-01T00:00:00Z", {"created_at": DAY}),
    ],
)
def test_a_condition_on_sessions(condition: str, where: dict[object, object]):
    assert parse_query(Session, [condition]) == where


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ("cost>0.50", {"cost": Gt(Decimal("0.50"))}),
        ("cost=0.5..2", {"cost": Between(Decimal("0.5"), Decimal(2))}),
        ("total_tokens=1..5,9", {"total_tokens": AnyOf(Between(1, 5), 9)}),
        ("total_tokens=9", {"total_tokens": 9}),
        ("success=false", {"success": False}),
        ("success=null,false", {"success": In([None, False])}),
        ("text~refund the order", {"text": Contains("refund the order")}),
    ],
)
def test_a_condition_on_model_calls(condition: str, where: dict[object, object]):
    assert parse_query(LLMExecution, [condition]) == where


def test_a_duration_is_a_number():
    assert parse_query(ToolCallLog, ["duration_ms>12.5"]) == {"duration_ms": Gt(12.5)}


def test_conditions_on_one_field_all_have_to_hold():
    where = parse_query(BudgetPool, ["used_budget>1", "status=active", "used_budget<5"])
    assert where == {"used_budget": All(Gt(Decimal(1)), Lt(Decimal(5))), "status": "active"}


@pytest.mark.parametrize(
    ("text", "ago"), [("-90s", timedelta(seconds=90)), ("-1.5h", timedelta(minutes=90)), ("-2w", timedelta(weeks=2))]
)
def test_a_time_before_now(text: str, ago: timedelta):
    (condition,) = parse_query(Session, [f"created_at>{text}"]).values()
    assert abs(now() - ago - condition.value) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("status", "is not FIELD OPERATOR VALUE"),
        ("=running", "is not FIELD OPERATOR VALUE"),
        ("metadata.a b=3", "is not FIELD OPERATOR VALUE"),
        ("status=runing", "status is one of queued, running,"),
        ("status<running", "status has no order"),
        ("nope=1", "nope is not a field that a filter may name; there are id, workflow_id,"),
        ("id.x=1", "is a path, but id is not JSON"),
        ("metadata=3", "metadata is JSON, so a filter needs a path into it"),
        ("created_at=yesterday", "is no time; write 2026-01-31"),
        ("created_at>-999999999w", "is before the first year"),
        ("created_at<null", "null has no order"),
        ("created_at~2026", "created_at is no text"),
        ('metadata.user="', "has a quote in its value"),
        ('metadata.user="a"b', "has a quote in its value"),
    ],
)
def test_a_mistake_is_explained(condition: str, problem: str):
    with pytest.raises(QueryError) as raised:
        parse_query(Session, [condition])
    assert str(raised.value).startswith(f"the condition `{condition}`: ")
    assert problem in str(raised.value)


@pytest.mark.parametrize("condition", ["cost=x", "cost=NaN", "total_tokens=1.5", "success=maybe", "total_tokens~1"])
def test_a_mistake_in_a_value_is_explained(condition: str):
    with pytest.raises(QueryError, match=condition.partition("=")[0].partition("~")[0]):
        parse_query(LLMExecution, [condition])


def test_an_order_has_fields_and_directions():
    assert parse_order(LLMExecution, "-cost, id") == (OrderBy("cost", "desc"), OrderBy("id", "asc"))
    assert parse_order(Session, "metadata.user") == (OrderBy(("metadata", "user"), "asc"),)
    with pytest.raises(QueryError, match="nope is not a field"):
        parse_order(Session, "nope")


CASES = [
    ("status=completed", {"session-0", "session-4"}),
    ("metadata.user=ada", {"session-1", "session-3"}),
    ("metadata.priority=3", {"session-3"}),
    ("metadata.priority>2", {"session-3", "session-4"}),
    ("metadata.priority!=3", {"session-0", "session-1", "session-2", "session-4"}),
    ("created_at>=2026-01-01T15:00", {"session-3", "session-4"}),
    ("created_at=2026-01-01", {f"session-{number}" for number in range(5)}),
    ("created_at!=2026-01-01", set()),
    ("parent_session_id!=null", {"session-4"}),
]


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest):
    """The URL of an empty store."""
    if request.param == "postgresql":
        with skipped_where_missing(), temporary_database() as url:
            yield url
    elif request.param == "mariadb":
        with skipped_where_missing(), mariadb.temporary_database() as url:
            yield url
    else:
        yield f"{request.param}://"


@pytest.mark.asyncio
async def test_the_backends_find_what_a_query_means(url: str):
    import demo_store  # noqa: PLC0415 - the conftest makes it importable

    async with open_adapter(url) as storage:
        await demo_store.fill(storage)
        for condition, expected in CASES:
            found = await storage.list_sessions(QueryFilter(parse_query(Session, [condition])))
            assert {session.id for session in found} == expected, condition
