"""The pages, one module each; `PAGES` lists them, `ACTIONS` what forms on them do."""

from aaow_storage_studio._pages.all_pages import ACTIONS, PAGES

__all__ = ["ACTIONS", "PAGES"]
