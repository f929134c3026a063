"""The pages of budget pools, and of one."""

from typing import Any

from studio_serving import Serve, Studio

from aaow_storage import BudgetPool, Session, StorageAdapter, WorkflowExecutionState
from aaow_storage_studio._pages.budget import MAX_POOLS
from aaow_storage_studio._web.pool_trees import MAX_DEPTH, MAX_INSIDE

MANY = 60


async def add_hostile_pools(storage: StorageAdapter) -> None:
    await storage.create_budget_pool(
        BudgetPool(id="a&b=<i>", total_budget="2", used_budget="5.5", metadata={"name": "<b>Big</b>"})
    )
    await storage.create_budget_pool(BudgetPool(id="nothing", total_budget="0"))
    tiny = "0.000000000000000001"
    await storage.create_budget_pool(BudgetPool(id="tiny", total_budget="999999999999999999", used_budget=tiny))


async def add_many_pools(storage: StorageAdapter) -> None:
    for number in range(MANY):
        await storage.create_budget_pool(BudgetPool(id=f"root-{number:02}", total_budget="1"))
    for number in range(MAX_INSIDE + 1):
        child = BudgetPool(id=f"child-{number:03}", parent_pool_id="root-59", total_budget="1", used_budget="0.5")
        await storage.create_budget_pool(child)


async def add_deep_pools(storage: StorageAdapter) -> None:
    parent = None
    for depth in range(MAX_DEPTH + 2):
        await storage.create_budget_pool(BudgetPool(id=f"pool-{depth}", parent_pool_id=parent, total_budget="1"))
        parent = f"pool-{depth}"


async def add_consumers(storage: StorageAdapter) -> None:
    await storage.create_budget_pool(BudgetPool(id="pool", total_budget="1"))
    await storage.create_budget_pool(BudgetPool(id="inside", parent_pool_id="pool", total_budget="1"))
    for number in range(MANY):
        session = Session(id=f"run-{number:02}", workflow_id=None, workflow_snapshot={})
        await storage.create_session(session)
        pool_id = "inside" if number % 2 else "pool"
        state = WorkflowExecutionState(session_id=session.id, status="running", budget_pool_id=pool_id)
        await storage.save_execution_state(state)


def places_of(found: Any) -> list[tuple[str, int, str | None]]:
    return [(pool["id"], pool["depth"], pool["used_by_children"]) for pool in found]


def test_pools_come_as_trees_with_what_is_used_inside(studio: Studio):
    found = studio.json("/budgets.json")
    assert places_of(found["records"]) == [
        ("company", 0, "42.5"),
        ("team", 1, "2"),
        ("spent", 2, "0"),
        ("other", 1, "0"),
    ]
    assert found["records"][1]["remaining_budget"] == "7.5"
    text = studio.get("/budgets").text
    assert "<title>42.5 of 100 used, 42.5 by the pools inside</title>" in text
    assert "levels of pools inside" not in text


def test_exhausted_pools_are_listed_by_themselves_with_what_they_are_part_of(studio: Studio):
    found = studio.json("/budgets.json?status=exhausted")
    assert places_of(found["records"]) == [("spent", 0, None)]
    assert "/budget?id=team" in studio.get("/budgets?status=exhausted").text
    assert [pool["id"] for pool in studio.json("/budgets.json?q=used_budget>10&order=id")["records"]] == [
        "company",
        "team",
    ]


def test_outermost_pools_come_in_pages_and_no_more_of_a_level_than_is_said(serve: Serve):
    studio = serve(add_many_pools)
    first = studio.json("/budgets.json")
    assert first["records"][0]["id"] == "root-59"
    assert first["records"][0]["hides_pools"]
    assert first["records"][0]["used_by_children"] is None
    second = studio.json(f"/budgets.json?after={first['next']}")
    roots = [pool["id"] for pool in first["records"] + second["records"] if pool["depth"] == 0]
    assert roots == [f"root-{number:02}" for number in reversed(range(MANY))]
    assert len(first["records"]) == 50 + MAX_INSIDE
    assert "At most" in studio.get("/budgets").text
    whole = studio.json("/budget.json?id=root-59")
    assert not whole["is_complete"]
    assert len(whole["pools"]) == 1 + MAX_POOLS


def test_a_tree_that_is_deeper_than_a_list_shows_says_so(serve: Serve):
    studio = serve(add_deep_pools)
    assert [pool["hides_pools"] for pool in studio.json("/budgets.json")["records"]] == [False, False, True]
    deepest = studio.json(f"/budget.json?id=pool-{MAX_DEPTH + 1}")
    assert [pool["depth"] for pool in deepest["pools"]] == [0, 1, 2, 3]
    assert deepest["is_complete"]


def test_amounts_are_exact_and_hostile_names_are_escaped(serve: Serve):
    studio = serve(add_hostile_pools)
    text = studio.get("/budgets").text
    assert "<b>Big" not in text
    assert "&lt;b&gt;Big&lt;/b&gt;" in text
    assert "0.000000000000000001 of 999999999999999999 used" in text
    over = studio.get("/budget?id=a%26b%3D%3Ci%3E")
    assert over.status_code == 200
    assert "More is used than the pool has" in over.text
    assert "-3.5" in over.text
    assert studio.get("/budget?id=nothing").status_code == 200


def test_a_pool_names_the_sessions_that_take_from_it_or_from_a_pool_inside(studio: Studio):
    company = studio.json("/budget.json?id=company")
    assert [each["session"]["id"] for each in company["sessions"]] == [f"session-{each}" for each in (4, 2, 1, 0)]
    assert {each["budget_pool_id"] for each in company["sessions"]} == {"team"}
    assert company["sessions"][0]["usage"]["costs"] == {"USD": "0.0135"}
    assert company["sessions_of"] == "the newest 500"
    assert studio.json("/budget.json?id=other")["sessions"] == []
    assert studio.get("/budget?id=none").status_code == 404
    assert studio.get("/budget").status_code == 400


def test_all_sessions_that_take_from_a_pool_come_in_pages_if_they_are_asked_for(serve: Serve, store_url: str):
    studio = serve(add_consumers, store=store_url)
    newest = studio.json("/budget.json?id=pool")
    assert newest["has_more"]
    assert newest["next"] is None
    found, after = [], ""
    while after is not None:
        answer = studio.json(f"/budget.json?id=pool&sessions=all&after={after}")
        found += [each["session"]["id"] for each in answer["sessions"]]
        after = answer["next"]
    assert found == [f"run-{number:02}" for number in reversed(range(MANY))]


def test_bars_are_patched_while_a_pool_is_used(studio: Studio, page: Any):
    page.goto(f"{studio.url}/budgets")
    page.wait_for_selector("text=Company")
    studio.do(lambda storage: storage.consume_budget("team", "5"))
    page.wait_for_selector("td:text-is('47.5')")
    assert page.locator("svg.meter").count() == 4
