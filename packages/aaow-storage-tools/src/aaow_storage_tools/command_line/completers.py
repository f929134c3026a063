"""What a shell is offered for an argument: kinds, ids of the store, profiles, statuses.

cyclopts calls these when the shell asks, with what is typed so far; an error means that nothing is offered.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.completion._engine import CompletionContext

    from aaow_storage_tools.command_line.stores import Store

MAX_OFFERED = 50
PATIENCE_S = 5.0
"""How long the store may take."""

KINDS = (
    "workflow",
    "session",
    "execution_state",
    "node_state",
    "llm_execution",
    "tool_call",
    "budget_pool",
    "approval_request",
    "stream",
    "stream_event",
)
STATUSES = (
    "queued",
    "running",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "waiting_for_human_review",
    "waiting_for_budget_approval",
    "waiting_for_workflow_approval",
)


def offer_kinds(_context: "CompletionContext") -> tuple[str, ...]:
    """Offer the kinds of records."""
    return KINDS


def offer_session_statuses(_context: "CompletionContext") -> tuple[str, ...]:
    """Offer the statuses of a session."""
    return STATUSES


def offer_profiles(_context: "CompletionContext") -> Mapping[str, str]:
    """Offer the profiles of the configuration file, with their stores."""
    from aaow_storage.authoring import redacted_url
    from aaow_storage_tools.command_line.configuration import read_configuration

    profiles = read_configuration().profiles
    return {name: redacted_url(profile.storage) for name, profile in profiles.items()}


def offer_ids(context: "CompletionContext") -> Mapping[str, str]:
    """Offer the newest ids of the kind that is typed, with what the records say."""
    kind = context["kind"].raw
    return {} if kind is None else _ids(context, kind)


def offer_sessions(context: "CompletionContext") -> Mapping[str, str]:
    """Offer the newest sessions."""
    return _ids(context, "session")


def offer_pending_approvals(context: "CompletionContext") -> Mapping[str, str]:
    """Offer the newest requests that are pending."""
    return _ids(context, "approval_request", {"status": "pending"})


def _ids(context: "CompletionContext", kind: str, where: Mapping[Any, Any] | None = None) -> Mapping[str, str]:
    import asyncio

    from aaow_storage_tools.command_line.stores import chosen_store

    store = chosen_store(*(context[name].raw if context.get(name) else None for name in ("--storage", "--profile")))
    return asyncio.run(asyncio.wait_for(_listed(store, kind, context.incomplete, where or {}), PATIENCE_S))


async def _listed(store: "Store", kind: str, beginning: str, where: Mapping[Any, Any]) -> dict[str, str]:
    from attrs import evolve

    from aaow_storage import StartsWith
    from aaow_storage_tools._looking.listing import listing_of
    from aaow_storage_tools.command_line.columns import summary_of

    listing = listing_of(kind)
    if beginning:
        where = {**where, listing.id_field: StartsWith(beginning)}
    async with store.open() as storage:
        records = await listing.list_page(storage, evolve(listing.filter(limit=MAX_OFFERED), where=where))
    return {getattr(record, listing.id_field): summary_of(listing.name, record) for record in records}
