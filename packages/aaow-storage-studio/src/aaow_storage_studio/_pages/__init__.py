"""The pages, one module each; `PAGES` lists them."""

from aaow_storage_studio._pages.all_pages import PAGES

__all__ = ["PAGES"]
