"""Running the quickstart again: on the same store, with a changed definition, on another backend, twice at once."""

import asyncio
import copy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from aaow_storage import create_adapter

Run = Callable[..., CompletedProcess[str]]
Write = Callable[..., Path]


@pytest.mark.asyncio
async def test_a_second_run_adds_a_second_session_and_says_so(run: Run, url: str):
    first, second = run(), run()
    assert (first.returncode, second.returncode) == (0, 0)
    assert "session 1 of this workflow" in first.stdout
    assert "session 2 of this workflow" in second.stdout
    async with create_adapter("sqlite", url) as storage:
        one, two = await storage.list_sessions()
        assert await storage.count_workflows() == 1
        assert len(await storage.list_pending_approvals()) == 2
        used = [pool.used_budget for pool in await storage.list_budget_pools() if pool.metadata["name"] == "session"]
        (whole,) = [pool for pool in await storage.list_budget_pools() if pool.parent_pool_id is None]
    assert one.id in first.stdout
    assert two.id in second.stdout
    assert whole.used_budget == sum(used, Decimal(0))


@pytest.mark.asyncio
async def test_a_changed_definition_is_stored_and_the_earlier_session_keeps_its_own(
    run: Run, write: Write, url: str, shipped: dict[str, Any]
):
    changed = copy.deepcopy(shipped) | {"version": "2.0.0"}
    changed["nodes"][1]["prompt"] = "Plan it in one line."
    run()
    assert "session 2 of this workflow" in run(write(changed)).stdout
    async with create_adapter("sqlite", url) as storage:
        workflow = await storage.get_workflow(shipped["id"])
        first, second = await storage.list_sessions()
    assert (workflow.version, workflow.definition) == ("2.0.0", changed)
    assert first.workflow_snapshot == shipped
    assert second.workflow_snapshot == changed


@pytest.mark.asyncio
async def test_runs_at_the_same_time_on_one_store_all_count(run: Run, url: str):
    runs = await asyncio.gather(*(asyncio.to_thread(run) for _ in range(3)))
    assert [result.stderr for result in runs] == ["", "", ""]
    numbers = sorted(
        line.split()[1] for result in runs for line in result.stdout.splitlines() if "of this workflow" in line
    )
    async with create_adapter("sqlite", url) as storage:
        assert await storage.count_sessions() == 3
        (whole,) = [pool for pool in await storage.list_budget_pools() if pool.parent_pool_id is None]
        used = [pool.used_budget for pool in await storage.list_budget_pools() if pool.metadata["name"] == "session"]
    assert len(numbers) == 3
    assert whole.used_budget == sum(used, Decimal(0))


def test_another_backend_runs_the_same_workflow(run: Run, url: str):
    result = run("--backend", "memory")
    assert (result.returncode, result.stderr) == (0, "")
    assert "session 1 of this workflow" in result.stdout
    assert "The store was in memory, and is gone." in result.stdout
    assert not Path(url).exists()


def test_another_file_can_be_chosen(run: Run, tmp_path: Path, url: str):
    assert run("--url", "other.db").returncode == 0
    assert (tmp_path / "other.db").is_file()
    assert not Path(url).exists()


def test_an_unknown_backend_is_refused_with_those_that_are_installed(run: Run):
    result = run("--backend", "postgrseql")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "installed: mariadb, memory, postgresql, sqlite" in result.stderr


def test_a_store_that_cannot_be_opened_is_refused_without_a_traceback(run: Run, tmp_path: Path):
    result = run("--url", str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert str(tmp_path) in result.stderr
