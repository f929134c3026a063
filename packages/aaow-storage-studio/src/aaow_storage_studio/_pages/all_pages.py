"""All pages of the studio, and what forms on them do."""

from aaow_storage_studio._pages import (
    approval,
    approvals,
    budget,
    budgets,
    compare,
    model_call,
    model_calls,
    search,
    session,
    sessions,
    store,
    stream,
    streams,
    usage,
    workflows,
)
from aaow_storage_studio._web.pages import Action, Page

PAGES: tuple[Page, ...] = (
    *approval.PAGES,
    *approvals.PAGES,
    *budget.PAGES,
    *budgets.PAGES,
    *compare.PAGES,
    *model_call.PAGES,
    *model_calls.PAGES,
    *search.PAGES,
    *session.PAGES,
    *sessions.PAGES,
    *stream.PAGES,
    *streams.PAGES,
    *workflows.PAGES,
    *usage.PAGES,
    *store.PAGES,
)

ACTIONS: tuple[Action, ...] = (*approval.ACTIONS,)
