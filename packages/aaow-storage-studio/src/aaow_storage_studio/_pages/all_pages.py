"""All pages of the studio."""

from aaow_storage_studio._pages import (
    budget,
    budgets,
    compare,
    sessions,
    workflows,
)
from aaow_storage_studio._web.pages import Page

PAGES: tuple[Page, ...] = (
    *sessions.PAGES,
    *workflows.PAGES,
    *compare.PAGES,
    *budgets.PAGES,
    *budget.PAGES,
)
