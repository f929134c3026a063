"""The page of usage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

import pytest
from studio_serving import Serve, Studio

from aaow_storage import LLMExecutionResult, Session, StorageAdapter, StoredWorkflow, TokenUsage, now
from aaow_storage_studio._pages import usage

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DEMO = "period=all"
HOSTILE = 'a "b"\\ <script>'


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no period take too long, however busy the machine is."""
    monkeypatch.setattr(usage, "USUAL_PATIENCE_S", 60.0)


async def add_call(storage: StorageAdapter, session_id: str, at: datetime, **call: Any) -> None:
    tokens = call.pop("tokens", None)
    used = None if tokens is None else TokenUsage(prompt_tokens=tokens, completion_tokens=0, total_tokens=tokens)
    took = call.pop("took", timedelta(seconds=2))
    node = call.pop("node", "write")
    result = LLMExecutionResult(
        timestamp=at, completed_at=at + took, usage=used, **{"success": True, "currency": "USD", **call}
    )
    await storage.save_llm_execution(session_id, node, result)


async def add_calls(storage: StorageAdapter) -> None:
    """Store calls of eight models on three days, in two currencies, and one without a name."""
    await storage.save_workflow(StoredWorkflow(id="w", name="Report", version="2", definition={}))
    await storage.create_session(Session(id="run", workflow_id="w", workflow_snapshot={}, created_at=NOON))
    for number in range(8):
        for day in range(3):
            at = NOON + timedelta(days=day, hours=number)
            currency = "EUR" if number == 7 else "USD"
            model = f"model-{number}"
            options = {"cost": str(10 - number), "currency": currency, "tokens": 100 * (number + 1)}
            await add_call(storage, "run", at, model=model, success=bool(number + day), **options)
    await add_call(storage, "run", NOON, model=None, currency=None)
    await add_call(storage, "run", NOON, model=HOSTILE, currency=None)


async def add_extremes(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="run", workflow_id=None, workflow_snapshot={}))
    at = now() - timedelta(hours=1)
    took = timedelta(microseconds=1)
    await add_call(storage, "run", at, model="tiny", cost="0.000000000000000001", tokens=1, took=took)
    took = timedelta(days=400)
    for _ in range(2):
        await add_call(storage, "run", at, model="huge", cost="999999999999999999", tokens=2**53, took=took)


async def add_one(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="run", workflow_id=None, workflow_snapshot={}))
    await add_call(storage, "run", now() - timedelta(days=3), model="only", cost="0.5", tokens=7)


async def add_none(storage: StorageAdapter) -> None:
    pass


def test_groups_and_totals_are_the_same_numbers_as_the_store_sums_up(studio: Studio):
    found = studio.json(f"/usage.json?by=model&{DEMO}")
    assert [(each["keys"], each["executions"], each["costs"]) for each in found["groups"]] == [
        ({"model": "large"}, 4, {"USD": "0.05"}),
        ({"model": "small"}, 4, {"USD": "0.004"}),
    ]
    assert found["total"]["costs"] == {"USD": "0.054"}
    assert found["total"]["failed"] == 1
    assert [pool["id"] for pool in found["budget_pools"]] == ["company", "team", "spent"]
    text = studio.get(f"/usage?by=model&{DEMO}").text
    for part in ("Cost in USD", "<title>large: 0.05</title>", ">0.05</td>", ">25 %</td>", "3.6 s</td>"):
        assert part in text


def test_the_period_is_a_week_unless_the_address_has_another(serve: Serve):
    studio = serve(add_one)
    week = studio.json("/usage.json")
    assert week["period"] == "7d"
    assert week["total"]["executions"] == 1
    assert studio.json("/usage.json?period=24h")["total"]["executions"] == 0
    assert "Look at all time" in studio.get("/usage?period=24h").text
    assert studio.get("/usage?by=day").text.count("<title>") >= 1


@pytest.mark.parametrize(
    ("ends", "calls"),
    [("from=2026-02-01", 16), ("to=2026-01-31", 10), ("from=2026-02-01T12:00&to=2026-02-01T13:00", 1)],
)
def test_a_period_of_its_own_has_its_last_day_whole(serve: Serve, ends: str, calls: int):
    found = serve(add_calls).json(f"/usage.json?{ends}")
    assert found["total"]["executions"] == calls
    assert found["period"] == "custom"


def days_of_first_chart(page: str) -> list[str]:
    chart = page[page.index('class="chart series"') :].partition("</section>")[0]
    return [part.partition("<")[0].rpartition(">")[2] for part in chart.split('class="time"')[1:]]


def test_a_chart_ends_with_its_period(serve: Serve):
    studio = serve(add_calls)
    days = days_of_first_chart(studio.get("/usage?from=2026-01-31&to=2026-02-02&by=day").text)
    assert days == ["01-31", "02-01", "02-02"]


def test_a_period_that_ends_in_the_future_is_drawn_up_to_now(serve: Serve):
    studio = serve(add_one)
    called = now() - timedelta(days=3)
    page = studio.get(f"/usage?from={called - timedelta(days=4):%Y-%m-%d}&to=9000-01-01&by=day").text
    assert f"<title>{called:%Y-%m-%d} · tokens: 7</title>" in page
    assert "of the period are shown" not in page


def test_costs_in_several_currencies_are_kept_apart(serve: Serve):
    studio = serve(add_calls)
    text = studio.get("/usage?period=all&by=model").text
    assert text.index("Cost in EUR") < text.index("Cost in USD")
    in_euro = text[text.index('aria-label="Cost in EUR in numbers"') :].partition("</table>")[0]
    assert "model-7" in in_euro
    assert "model-0" not in in_euro
    assert studio.json("/usage.json?period=all")["total"]["costs"] == {"EUR": "9", "USD": "147"}


def test_series_beyond_five_are_one_and_a_group_without_a_name_is_shown(serve: Serve):
    studio = serve(add_calls)
    text = studio.get("/usage?period=all&by=model,day&order=tokens").text
    tokens = text[text.index(">Tokens</h2>") :].partition("</section>")[0]
    legend = tokens.partition("</ul>")[0]
    assert [f"model-{number}<" in legend for number in range(8)] == [False] * 3 + [True] * 5
    assert "3 others" in legend
    assert "<title>2026-01-31 · model-7: 800</title>" in tokens
    assert "<title>2026-01-31 · 3 others: 600</title>" in tokens
    assert ">3 600</td>" in tokens.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "percentiles cannot be put together" in text
    assert "(none)" in studio.get("/usage?period=all&by=model").text


def test_a_group_leads_to_its_own_days_and_a_day_to_its_hours(serve: Serve):
    studio = serve(add_calls)
    text = studio.get("/usage?period=all&by=model").text
    links = [part.partition('"')[0].replace("&amp;", "&") for part in text.split('<th scope="row"')[1:]]
    assert len(links) > 8
    hostile = next(part for part in text.split('href="') if "script" in unquote_plus(part.partition('"')[0]))
    address = hostile.partition('"')[0].replace("&amp;", "&")
    path, _, query = address.partition("?")
    assert studio.json(f"{path}.json?{query}")["total"]["executions"] == 1
    assert studio.json("/usage.json?period=all&by=day&q=model%3Dnull")["total"]["executions"] == 1
    day = studio.get("/usage?period=all&by=day").text
    assert "by=hour&amp;from=2026-02-01&amp;to=2026-02-01" in day
    assert "<script>" not in text.replace("<script src", "")
    assert "Report 2" in studio.get("/usage?period=all&by=workflow").text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("by=colour", "groups are made by"),
        ("by=day,hour", "two that are not both times"),
        ("by=model,node,day", "by one key, or by two"),
        ("order=size", "groups are ordered by"),
        ("period=1y", "is none of"),
        ("from=tomorrow", "is no time"),
        ("from=9999-12-31&to=9999-12-31", "is no time"),
        ("q=colour%3Dred", "colour"),
        ("q=model%3D%22a", "a quote that is not closed"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_on_the_page(studio: Studio, address: str, said: str):
    answer = studio.get(f"/usage?{address}")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert said in studio.json(f"/usage.json?{address}")["problem"]


def test_tiny_and_huge_figures_are_drawn_and_exact(serve: Serve):
    studio = serve(add_extremes)
    found = studio.json("/usage.json")
    assert Decimal(found["total"]["costs"]["USD"]) == Decimal("1999999999999999998.000000000000000001")
    for by in ("model", "hour", "model,day", "day"):
        text = studio.get(f"/usage?by={by}").text
        assert "nan" not in text
        assert "inf" not in text.replace("information", "")
    assert "0.000000000000000001 USD" in studio.get("/usage?by=model").text


@pytest.mark.parametrize("by", ["model", "day", "hour", "day,node", "workflow,provider"])
def test_a_store_without_calls_and_one_with_a_single_call_have_a_page(serve: Serve, by: str):
    empty = serve(add_none, store="memory")
    assert "No model call matches" in empty.get(f"/usage?by={by}").text
    one = serve(add_one, store="memory")
    assert one.get(f"/usage?by={by}").status_code == 200
    assert one.get(f"/usage?by={by}&period=all").text.count("<svg") > 2


def test_a_week_that_takes_too_long_is_made_shorter_and_the_page_says_so(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    studio = serve(add_one)
    monkeypatch.setattr(usage, "USUAL_PATIENCE_S", 0.0)
    assert studio.json("/usage.json")["period"] == "24h"
    assert "Sum up 7 days" in studio.get("/usage").text
    assert studio.json("/usage.json?period=7d")["total"]["executions"] == 1
    monkeypatch.setattr(usage, "PATIENCE_S", 0.0)
    assert "choose a shorter period" in studio.json("/usage.json?period=7d")["problem"]


def test_usage_is_the_same_on_every_database(serve: Serve, store_url: str):
    studio = serve(add_calls, store=store_url)
    found = studio.json("/usage.json?period=all&by=model,day&q=success=false")
    assert [each["keys"] for each in found["groups"]] == [{"model": "model-0", "day": "2026-01-31"}]


def test_charts_fit_their_place_and_keep_their_colours(serve: Serve, page: Any):
    studio = serve(add_calls)
    page.goto(f"{studio.url}/usage?period=all&by=model,day")
    chart = page.locator("svg.series").first
    assert chart.bounding_box()["width"] > 300
    fills = page.eval_on_selector_all("svg.series rect", "all => all.map(each => getComputedStyle(each).fill)")
    assert len(set(fills)) > 5
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
