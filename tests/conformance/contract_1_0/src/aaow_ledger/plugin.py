"""The plugin, whose entry point is `ledger`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aaow_ledger._adapter import Ledger, LedgerAdapter
from aaow_storage import Backend, Capability, new_id
from aaow_storage.hookspecs import hookimpl

ledgers: dict[str, Ledger] = {}


def create(url: str | None = None) -> LedgerAdapter:
    return LedgerAdapter(Ledger() if url is None else ledgers.setdefault(url, Ledger()))


@contextmanager
def temporary_store(folder: Path) -> Iterator[str]:
    """Yield the URL of a new, empty store, for the conformance suite."""
    url = f"ledger://{new_id()}"
    yield url
    ledgers.pop(url, None)


@hookimpl
def aaow_storage_backend() -> Backend:
    return Backend(
        name="ledger",
        summary="rows in a dict, for one event loop",
        create=create,
        capabilities={Capability.STREAM_EVENTS},
        temporary_store=temporary_store,
    )
