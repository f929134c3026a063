"""The page `model-calls`: the model calls of all sessions, newest first."""

from typing import Any

from attrs import frozen

from aaow_storage import LLMExecution
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.paging import Listed, count_if_asked, read_list
from aaow_storage_studio._web.visit import Visit

OUTCOMES = {"succeeded": "success=true", "failed": "success=false", "running": "success=null"}
"""How a call ended, and the condition for it."""


@frozen
class ModelCallsView:
    """What the page shows.

    Attributes:
        listed: a page of calls, without their documents.
        outcome: the outcome that the list is limited to, empty for all.
        count: how many calls match, None if nobody asked, or it takes too long.
    """

    listed: Listed[LLMExecution]
    outcome: str
    count: int | None

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that there are."""
        return tuple(OUTCOMES)

    def outcome_of(self, call: LLMExecution) -> str:
        """Return how a call ended."""
        return {True: "succeeded", False: "failed", None: "running"}[call.success]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {**self.listed.to_dict(), "count": self.count}


async def read(visit: Visit) -> ModelCallsView:
    """Read the page: `q` is the filter, `outcome` one of its conditions, `count=yes` asks how many match."""
    outcome = visit.text("outcome")
    conditions = [OUTCOMES[outcome]] if outcome in OUTCOMES else []
    listed = await read_list(visit, LLMExecution, visit.storage.list_llm_executions, conditions=conditions)
    count = await count_if_asked(visit, listed, visit.storage.count_llm_executions)
    return ModelCallsView(listed, outcome if conditions else "", count)


PAGES = (Page("model-calls", "model_calls.html", read),)
