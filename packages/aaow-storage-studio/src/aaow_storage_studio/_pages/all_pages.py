"""All pages of the studio."""

from aaow_storage_studio._pages import (
    budget,
    budgets,
    compare,
    model_call,
    model_calls,
    sessions,
    stream,
    streams,
    usage,
    workflows,
)
from aaow_storage_studio._web.pages import Page

PAGES: tuple[Page, ...] = (
    *budget.PAGES,
    *budgets.PAGES,
    *compare.PAGES,
    *model_call.PAGES,
    *model_calls.PAGES,
    *sessions.PAGES,
    *stream.PAGES,
    *streams.PAGES,
    *workflows.PAGES,
    *usage.PAGES,
)
