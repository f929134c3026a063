"""`aaow-storage stats`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaow_storage import StorageOperations, UsageSummary

MAX_NAMES = 100
"""How many workflows are shown by their names."""


async def run(
    *query: str,
    by: Annotated[str, Parameter(("--by", "-b"))] = "model",
    order: Annotated[str | None, Parameter(("--order", "-o"))] = None,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Sum up tokens, costs, failures and durations of model calls by model, workflow, node or day.

    P50 and P95 are the durations that half and 95 of 100 calls do not exceed. The budget pools that most was used of
    follow. Days are those of UTC. A sum leaves out calls whose provider reported no usage; they are counted under
    UNKNOWN.

    Args:
        query: conditions on model calls, as `list llm_execution` takes them: 'timestamp>-7d' model=large.
        by: what the groups are made by, with commas: model, provider, workflow, session, node, day, hour.
        order: the figure to order by, the largest first: calls, failed, tokens, cost, p50, p95.
    """
    from aaow_storage_tools._looking.usage import usage_of

    keys = [key.strip() for key in by.split(",") if key.strip()]
    async with options.open() as storage:
        usage = await usage_of(storage, keys, query, order=order)
        names = {} if terminal.is_json else await _workflow_names(storage, usage.groups)
    terminal.emit({"type": "stats", **usage.to_dict()})
    if terminal.is_json:
        return None
    from aaow_storage_tools.command_line.trees import budget_table

    groups = [_row([names.get(str(key), key) for key in each.keys.values()], keys, each) for each in usage.groups]
    if len(groups) != 1:
        groups.append(_row(["total"], keys[:1] or ["all"], usage.total))
    terminal.print_table(groups, yielding=keys)
    if usage.pools:
        terminal.print()
        terminal.print(budget_table([(pool, 0) for pool in usage.pools]))
    return None


async def _workflow_names(storage: "StorageOperations", groups: "Sequence[UsageSummary]") -> dict[str, str]:
    """Return the names of the first workflows that groups are made by, by id."""
    ids = dict.fromkeys(each.keys.get("workflow_id") for each in groups[:MAX_NAMES])
    found = [await storage.get_workflow(workflow_id) for workflow_id in ids if workflow_id is not None]
    return {workflow.id: f"{workflow.name} {workflow.version}" for workflow in found if workflow is not None}


def _row(values: list[Any], keys: list[str], each: "UsageSummary") -> dict[str, Any]:
    from aaow_storage_tools.command_line.columns import duration_text
    from aaow_storage_tools.command_line.trees import costs_text

    names = dict(zip(keys, ["(none)" if value is None else value for value in values], strict=False))
    row = {
        **names,
        "calls": each.executions,
        "failed": each.failed,
        "tokens": each.total_tokens,
        "cost": costs_text(dict(each.costs)),
        "p50": duration_text(each.duration_p50),
        "p95": duration_text(each.duration_p95),
    }
    if each.executions_without_usage:
        row["unknown"] = each.executions_without_usage
    return row
