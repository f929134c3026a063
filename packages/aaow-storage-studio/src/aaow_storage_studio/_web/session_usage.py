"""What the model calls of several sessions used, in one question to the store."""

from collections.abc import Sequence

from aaow_storage import In, QueryFilter, StorageAdapter, UsageSummary


async def usage_of_sessions(storage: StorageAdapter, session_ids: Sequence[str]) -> dict[str, UsageSummary]:
    """Return what the model calls of sessions used, by the id of the session."""
    if not session_ids:
        return {}
    summaries = await storage.summarize_usage(["session_id"], QueryFilter({"session_id": In(session_ids)}))
    return {str(summary.keys["session_id"]): summary for summary in summaries}
