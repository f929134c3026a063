"""The benchmarks run, with sizes that say nothing about time."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aaow_storage import create_adapter
from aaow_storage_postgresql.testing import Server, skipped_where_missing
from benchmarks import __main__ as program
from benchmarks import against_peers as comparing
from benchmarks import growth as growing
from benchmarks.against_peers import Peer
from benchmarks.baselines import open_bare
from benchmarks.beside_writer import beside_writer
from benchmarks.busy_loop import busy_loop
from benchmarks.cases import READS, WRITES, Case
from benchmarks.handover import CASES, handover
from benchmarks.measuring import percentile
from benchmarks.migrating import migrating
from benchmarks.on_mariadb import flushing_server as flushing_mariadb
from benchmarks.on_mariadb import on_mariadb
from benchmarks.on_postgresql import flushing_server, on_postgresql
from benchmarks.options import parsed
from benchmarks.plot import throughput_svg
from benchmarks.processes import processes
from benchmarks.results import Bound, Ratio, Report
from benchmarks.rounds import compared
from benchmarks.startup import startup
from benchmarks.sustained import sustained
from benchmarks.table import aligned, bound_cells

each_case = pytest.mark.parametrize("case", [*WRITES, *READS], ids=lambda case: case.name)
each_read = pytest.mark.parametrize("case", READS, ids=lambda case: case.name)


@each_case
def test_a_case_runs_beside_its_baseline(case: Case, tmp_path: Path):
    callers = min(2, case.most_callers)
    (ratio,) = compared(case, tmp_path, callers=[callers], synchronous="NORMAL", rounds=1, share=0.001)
    assert (ratio.case, ratio.callers) == (case.name, callers)
    assert ratio.ratio == pytest.approx(ratio.rate / ratio.baseline_rate)


@each_read
@pytest.mark.asyncio
async def test_a_baseline_reads_what_the_adapter_reads(case: Case, tmp_path: Path):
    path = tmp_path / "store.db"
    async with create_adapter("sqlite", str(path)) as storage:
        await case.fill(storage)
        ours = await case.ours(storage)(7)
    with closing(open_bare(path, "NORMAL")) as connection:
        assert case.baseline(connection)(7) == ours


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("save_llm_execution", "llm_executions"),
        ("update_node_state", "node_execution_states"),
        ("save_execution_state, 20 nodes", "node_execution_states"),
    ],
)
@pytest.mark.asyncio
async def test_a_baseline_writes_what_the_adapter_writes(name: str, table: str, tmp_path: Path):
    (case,) = (case for case in WRITES if case.name == name)
    path, bare = tmp_path / "store.db", tmp_path / "bare.db"
    async with create_adapter("sqlite", str(path)) as storage:
        await case.fill(storage)
    shutil.copy(path, bare)
    async with create_adapter("sqlite", str(path)) as storage:
        await case.ours(storage)(7)
    with closing(open_bare(bare, "NORMAL")) as connection:
        case.baseline(connection)(7)
    assert rows(bare, table) == rows(path, table)


def rows(path: Path, table: str) -> list[dict]:
    """All rows of a table, without what is new each time."""
    with closing(open_bare(path, "NORMAL")) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY session_id, node_id")
        names = [name for name, *_ in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    return [{name: value for name, value in row.items() if name not in {"id", "timestamp"}} for row in found]


def test_a_thread_is_handed_what_the_baseline_does(tmp_path: Path):
    bounds = list(handover(tmp_path, rounds=1, share=0.005))
    assert len(bounds) == 2 * len(CASES)
    assert all(bound.measured > 0 for bound in bounds)


def test_reads_run_beside_a_writing_process(tmp_path: Path):
    (bound,) = beside_writer(tmp_path, seconds=0.02, rounds=1)
    assert bound.measured > 0


def test_four_processes_write(tmp_path: Path):
    alone, ratio, _, longest = processes(tmp_path, seconds=0.05)
    assert min(alone.measured, ratio.measured, longest.measured) > 0


def test_writes_go_on_beside_readers(tmp_path: Path):
    saves, *_ = sustained(tmp_path, seconds=0.05)
    assert saves.measured > 0


def test_a_file_is_opened_without_alembic(tmp_path: Path):
    bounds = {bound.name: bound for bound in startup(tmp_path, times=1)}
    assert bounds["processes that imported alembic for it"].measured == 0


def test_saves_go_on_beside_a_loop_that_is_always_busy(tmp_path: Path):
    assert [bound.measured > 0 for bound in busy_loop(tmp_path, seconds=0.05)] == [True, True]


def test_the_program_prints_a_table_and_writes_json_and_a_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["--only", "get_budget_pool", "--quick", "--rounds", "1", "--callers", "1", "2"]
    files = ["--folder", str(tmp_path), "--json", str(tmp_path / "r.json"), "--plot", str(tmp_path / "r.svg")]
    files += ["--markdown", str(tmp_path / "r.md")]
    program.main([*arguments, *files])
    assert capsys.readouterr().out.count("get_budget_pool") == 2
    written = json.loads((tmp_path / "r.json").read_text())
    assert [ratio["callers"] for ratio in written["ratios"]] == [1, 2]
    assert (tmp_path / "r.md").read_text().count("| get_budget_pool |") == 2
    assert ET.parse(tmp_path / "r.svg").getroot().tag.endswith("svg")


def test_every_name_of_only_runs_what_has_it_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(program, "SCENARIOS", {"one": lambda *_: [Bound("1", 1)], "other": lambda *_: [Bound("2", 2)]})
    report = Report({})
    assert list(program.measured(report, tmp_path, parsed(["--only", "other"]))) == ["other"]
    assert report.bounds == [Bound("2", 2)]


def test_a_bound_holds_where_it_is_met():
    assert Bound("x", 5, at_least=5).holds
    assert not Bound("x", 5, at_most=4).holds
    assert Bound("x", 5).holds is None
    assert bound_cells(Bound("x", 5, "ms", at_most=4)) == ["x", "5 ms", "<= 4", "MISSED"]


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (51, 100, 100)
    assert percentile([], 0.5) == 0


def test_columns_are_as_wide_as_what_is_in_them():
    assert aligned(["name", "n"], [["a", "100"], ["long", "1"]]) == "name    n\na     100\nlong    1"


def test_a_drawing_leaves_out_what_ran_with_one_number_of_callers():
    assert "nothing ran" in throughput_svg([ratio("one", 1)], "FULL")
    drawn = throughput_svg([ratio("one", 1), ratio("a & b", 1), ratio("a & b", 64)], "FULL")
    assert "a &amp; b" in drawn
    assert ">one<" not in drawn


def ratio(case: str, callers: int) -> Ratio:
    """A ratio of which only case and callers matter."""
    return Ratio(case, "FULL", callers, 2.0, None, *[1.0] * 8, None, None)


def test_a_store_is_filled_and_compared_with_a_smaller_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growing, "SMALL", 300)
    monkeypatch.setattr(growing, "OPERATIONS", 2)
    bounds = list(growing.growth(tmp_path, 600, 1))
    assert len(bounds) == 15
    assert min(bound.measured for bound in bounds) >= 0


def test_a_peer_that_does_not_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparing, "_python", lambda peer: Path(sys.executable))
    monkeypatch.setattr(comparing, "PEERS", [Peer("nobody", (), "no_such_program.py")])
    (bound,) = comparing.against_peers(tmp_path, 1, 1)
    assert "nobody could not be measured" in bound.name
    assert "no_such_program.py" in bound.name


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own."""
    with skipped_where_missing(), flushing_server() as started:
        yield started


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that appends nothing, the only one there is."""
    program = tmp_path / "sleeper.py"
    program.write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(comparing.PROGRAMS))
    monkeypatch.setattr(comparing, "_python", lambda peer: Path(sys.executable))
    monkeypatch.setattr(comparing, "PEERS", [Peer("sleeper", (), str(program))])


@pytest.mark.usefixtures("sleeper")
def test_the_program_of_a_peer_reports_its_ratios(tmp_path: Path):
    one, many = comparing.against_peers(tmp_path, 1, 4)
    assert "journal delete" in one.name
    assert min(one.measured, many.measured) > 0


@pytest.mark.usefixtures("sleeper")
def test_a_peer_is_measured_on_a_server_too(tmp_path: Path, server: Server):
    one, many = comparing.against_peers(tmp_path, 1, 4, server=server.url("").rstrip("/"))
    assert "synchronous_commit on" in one.name
    assert min(one.measured, many.measured) > 0


SLEEPER = """
import asyncio
from contextlib import asynccontextmanager

from harness import measure


@asynccontextmanager
async def opened(path):
    yield asyncio.sleep_briefly


asyncio.sleep_briefly = lambda number: asyncio.sleep(0)
measure("pytest", opened)
"""


def test_every_peer_has_a_program():
    assert {peer.program for peer in comparing.PEERS} | {"harness.py"} == {
        path.name for path in comparing.PROGRAMS.glob("*.py")
    }


def test_postgresql_is_measured_beside_its_bare_driver(server: Server):
    ratios = list(on_postgresql(server, callers=(1, 4), rounds=1, share=0.01))
    assert [(ratio.case, ratio.callers) for ratio in ratios] == [
        ("save_llm_execution", 1),
        ("save_llm_execution", 4),
        ("get_session", 1),
        ("get_session", 4),
    ]
    assert all(ratio.ratio > 0 for ratio in ratios)


def test_mariadb_is_measured_beside_its_bare_driver():
    with skipped_where_missing(), flushing_mariadb() as started:
        ratios = list(on_mariadb(started, callers=(1, 4), rounds=1, share=0.01))
    assert [(ratio.case, ratio.callers) for ratio in ratios] == [
        ("save_llm_execution", 1),
        ("save_llm_execution", 4),
        ("get_session", 1),
        ("get_session", 4),
    ]
    assert all(ratio.ratio > 0 for ratio in ratios)


def test_a_store_is_migrated_step_by_step_and_back(tmp_path: Path):
    lines = list(migrating(tmp_path, 100))
    assert lines[0].startswith("to 0002:")
    assert lines[-1].startswith("to 0001:")
