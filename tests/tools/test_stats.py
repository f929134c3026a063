"""`stats`."""

import pytest

from aaow_storage_tools.command_line.exit_codes import ExitCode


def test_model_calls_are_summed_up_by_model(run, store):
    document = run("stats", "--json").document
    large, small = document["groups"]
    assert (large["keys"], large["executions"], large["failed"]) == ({"model": "large"}, 4, 1)
    assert large["costs"] == {"USD": "0.05"}
    assert small["total_tokens"] == 487
    assert document["total"]["executions"] == 8
    lines = [line.split() for line in run("stats").out.splitlines()]
    assert lines[0] == ["MODEL", "CALLS", "FAILED", "TOKENS", "COST", "P50", "P95"]
    assert lines[1] == ["large", "4", "1", "487", "0.05", "USD", "3.60", "s", "5.40", "s"]
    assert lines[3][:4] == ["total", "8", "1", "974"]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("day", [{"day": "2026-01-01"}]),
        ("workflow,node", [{"workflow_id": "refunds", "node_id": node} for node in ("decide", "read")]),
        ("provider", [{"provider": "acme"}]),
        ("hour", [{"hour": f"2026-01-01T{hour}:00:00Z"} for hour in (12, 13, 14, 16)]),
    ],
)
def test_groups_are_made_by_other_keys(by: str, keys: list[dict[str, str]], run, store):
    assert [group["keys"] for group in run("stats", "--by", by, "--json").document["groups"]] == keys
    assert run("stats", "--by", by).code == ExitCode.DONE


def test_stats_take_a_query_and_an_order(run, store):
    document = run(
        "stats", "model=large", "timestamp<2026-01-01T14:00", "--by=session", "-o", "failed", "--json"
    ).document
    assert [group["keys"]["session_id"] for group in document["groups"]] == ["session-1", "session-0"]


def test_stats_show_the_budgets_by_use(run, store):
    pools = run("stats", "--json").document["budget_pools"]
    assert [pool["id"] for pool in pools] == ["company", "team", "spent"]
    assert "Company (company)  #####.........   42%  42.5  100  active" in run("stats").out


@pytest.mark.parametrize("arguments", [["--by", "color"], ["--order", "color"], ["model<3", "nope=1"]])
def test_an_unknown_key_is_a_usage_error(arguments: list[str], run, store):
    done = run("stats", words=arguments)
    assert (done.code, done.out) == (ExitCode.USAGE, "")


def test_stats_of_nothing_are_no_error(run, store):
    done = run("stats", "model=none")
    assert (done.code, done.out.splitlines()[1].split()) == (ExitCode.DONE, ["total", "0", "0"])
