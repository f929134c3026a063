"""The stores of this process, shared by name."""

import re

from aaow_storage.authoring import given_up_after_fork, redacted_url
from aaow_storage.errors import ValidationError
from aaow_storage_memory._change_feed import ChangeFeed
from aaow_storage_memory._tables import Tables
from aaow_storage_memory._write_lock import FairLock

_URL = re.compile(r"memory://([\w.~-]*)", re.IGNORECASE)


class Store:
    """What all adapters on one store share: the committed tables, and the lock of their writers."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.tables = Tables()
        self.feed: ChangeFeed | None = ChangeFeed()
        """What was changed, unless the store records no changes."""
        self.write_lock = FairLock()
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Become empty, in a forked process: a copy would silently miss what the parent saves from now on."""
        self.tables = Tables()
        self.feed = None if self.feed is None else ChangeFeed()
        self.write_lock = FairLock()

    def set_recording(self, *, wanted: bool) -> None:
        """Begin or end to record changes; the changes so far are dropped."""
        with self.write_lock.mutex:
            if wanted != (self.feed is not None):
                self.feed = ChangeFeed() if wanted else None


_stores_by_name: dict[str, Store] = {}


def store_at(url: str | None) -> Store:
    """Return the shared store that a URL names, made on first use; a new private store if it names none.

    Raises:
        ValidationError: the URL has another form.
    """
    text = "memory://" if url is None else url
    match = _URL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        shown = repr(redacted_url(text)) if isinstance(text, str) else type(text).__name__
        problem = (
            f"{shown} is no URL of this backend; use memory:// for a private store, or memory://NAME for a store that "
            "all adapters of this process share; a name has letters, digits and . _ ~ -"
        )
        raise ValidationError("memory", "url", problem)
    return _stores_by_name.setdefault(match[1], Store(match[1])) if match[1] else Store()


def forget_store(url: str) -> None:
    """Drop a named store: adapters on it keep it, and the next adapter with that name gets an empty one."""
    match = _URL.fullmatch(url)
    if match is not None:
        _stores_by_name.pop(match[1], None)
