"""The addresses of all pages, for a store that `runs.fill` has filled."""

from urllib.parse import quote

from aaow_storage_studio._pages import PAGES

PARAMETERS: dict[str, str] = {
    "session": "id=research-7f3a",
    "compare": "a=research-7f3a&b=triage-91c0",
    "model-call": "session=repair-loop-22&id=repair-loop-22/call-50",
    "workflow": "id=market-research",
    "approval": "id=refund-waiting-3/approval-3",
    "budget": "id=production",
    "stream": "id=research-7f3a/report",
    "search": "text=price",
}
"""What a page needs besides its path."""


def address_of(path: str) -> str:
    """Return the address of a page that shows something."""
    parameters = PARAMETERS.get(path)
    return f"/{quote(path)}" + (f"?{parameters}" if parameters else "")


ADDRESSES = [address_of(page.path) for page in PAGES]
