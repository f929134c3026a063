"""`aaow-storage prune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions, Yes

if TYPE_CHECKING:
    from aaow_storage_tools._pruning.policy import PrunePolicy
    from aaow_storage_tools._pruning.prune import PruneReport
    from aaow_storage_tools.command_line.terminal import Terminal

_Flag = Parameter(negative="", show_default=False)
_Age = Annotated[str | None, Parameter(metavar="AGE")]


async def run(
    *query: str,
    older_than: _Age = None,
    status: Annotated[str | None, Parameter(metavar="STATUSES")] = None,
    workflow: Annotated[tuple[str, ...], Parameter(show_default=False, negative="", metavar="ID")] = (),
    keep_last: Annotated[int, Parameter(metavar="NUMBER")] = 0,
    hold: Annotated[str, Parameter(metavar="FIELD")] = "metadata.hold",
    pending_approvals: Annotated[bool, _Flag] = False,
    changes_older_than: _Age = None,
    policy: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    reclaim: Annotated[bool, _Flag] = False,
    yes: Yes = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Delete the sessions that a policy gives up, with all that belongs to them.

    Without --yes, it only counts. A session goes with all of its child sessions, or none of them does: they stay as
    long as one has not ended, is younger, is held, or waits for a decision. Others may go on writing; if it is
    interrupted, the same command goes on.

    Args:
        query: conditions that the sessions have to meet, as in `list`.
        older_than: how long ago the last change has to be, such as 90d, 12h or 2w.
        status: statuses with commas; default: completed,failed,cancelled.
        workflow: the id of a workflow whose sessions go; may be given several times; default: all.
        keep_last: how many of the newest sessions of each workflow stay.
        hold: what holds a session if it is neither null nor false.
        pending_approvals: delete also sessions with a request that somebody could still decide.
        changes_older_than: delete what the change feed recorded longer ago, too.
        policy: a file in TOML with rules, instead of these options.
        reclaim: give the space back at the end; writers may wait for that.
    """
    from aaow_storage_tools._pruning.policy import read_policy
    from aaow_storage_tools._pruning.prune import prune
    from aaow_storage_tools.command_line.usage_error import UsageError

    ruled = bool(query or older_than or status or workflow or keep_last or pending_approvals or changes_older_than)
    if policy is not None and ruled:
        raise UsageError("--policy says all of it; give a policy or the options of a rule, not both")
    if policy is not None:
        chosen = read_policy(policy)
    else:
        chosen = _policy_of(
            query,
            older_than,
            status=status,
            workflow=workflow,
            keep_last=keep_last,
            hold=hold,
            pending_approvals=pending_approvals,
            changes_older_than=changes_older_than,
        )
    store = options.store
    maintenance = await store.offered_maintenance()
    with terminal.progress() as progress:
        async with store.open() as storage:
            report = await prune(
                storage, chosen, dry_run=not yes, maintenance=maintenance, reclaim=reclaim, progress=progress
            )
    _print(terminal, report)
    terminal.emit_line("result", report.to_dict())
    if not yes:
        terminal.note("Nothing was deleted; --yes does it.")
    return None


def _policy_of(
    query: tuple[str, ...],
    older_than: str | None,
    *,
    status: str | None,
    workflow: tuple[str, ...],
    keep_last: int,
    hold: str,
    pending_approvals: bool,
    changes_older_than: str | None,
) -> "PrunePolicy":
    from aaow_storage import Session
    from aaow_storage_tools._looking.query_language import parse_query
    from aaow_storage_tools._pruning.policy import PrunePolicy, PruneRule, parse_age
    from aaow_storage_tools.command_line.usage_error import UsageError

    if older_than is None and (query or status or workflow or keep_last or changes_older_than is None):
        raise UsageError("give --older-than, such as --older-than 90d, or a file by --policy")
    rules = []
    if older_than is not None:
        more: dict[str, Any] = {} if status is None else {"status": status.split(",")}
        rules.append(
            PruneRule(
                older_than=parse_age(older_than),
                workflows=workflow or None,
                keep_last=keep_last,
                where=parse_query(Session, query),
                **more,
            )
        )
    return PrunePolicy(
        rules=rules,
        hold=hold or None,
        pending_approvals=pending_approvals,
        changes_older_than=None if changes_older_than is None else parse_age(changes_older_than, "changes_older_than"),
    )


def _print(terminal: "Terminal", report: "PruneReport") -> None:
    from aaow_storage_tools.command_line.tables import size_text

    if report.counts:
        done = "to delete" if report.is_dry_run else "deleted"
        rows = [{"kind": kind.replace("_", " "), done: number} for kind, number in report.counts.items()]
        terminal.print_table(rows)
        terminal.print()
    told: dict[str, Any] = {}
    if report.stored_bytes is not None:
        told["size"] = size_text(report.stored_bytes)
    if report.changes is not None:
        told["changes of the feed"] = report.changes
    if report.reclaimed is not None:
        told["space given back"] = size_text(report.reclaimed)
    for reason, number in report.kept.items():
        told[f"kept, {reason.replace('_', ' ')}"] = number
    terminal.print_record(told)
