"""The catalogue of broken backends: the mistake of each, and the clauses that it breaks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from aaow_storage import Backend, Capability, DelegatingAdapter, StorageAdapter
from aaow_storage_conformance._contract import CLAUSES
from aaow_storage_conformance.harness.watchdog import TEST_S
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._stores import store_at

AdapterFactory = TypeVar("AdapterFactory", bound=Callable[..., StorageAdapter])


@attrs.frozen
class BrokenBackend:
    """A backend with one mistake that a real author could make.

    Attributes:
        name: the name of the class or function.
        mistake: what it does wrong, in one sentence.
        clauses: the ids of the clauses that it breaks; for each of them a test has to fail.
        factory: a subclass of `DelegatingAdapter`, which works on any backend; a subclass of `MemoryAdapter`; or a
            function that takes a URL and options, and makes an adapter of the backend `on`.
        on: the name of the one backend that it works on, None for any.
        needs: the capabilities that the reference backend must claim.
        options: the options of the reference backend's adapters.
        test_s: the time limit of a test, in seconds; short for a backend that never returns.
        caught_by: names of tests that fail on it; they are run before the others, which take seconds to pass.
    """

    name: str
    mistake: str
    clauses: tuple[str, ...]
    factory: Callable[..., StorageAdapter]
    on: str | None = None
    needs: frozenset[Capability] = frozenset()
    options: Mapping[str, Any] = attrs.field(factory=dict)
    test_s: float = TEST_S
    caught_by: frozenset[str] = frozenset()

    def suits(self, reference: Backend) -> bool:
        """Say whether that reference backend can be broken like this."""
        has_options = set(self.options) <= set(reference.options)
        return self.on in {None, reference.name} and self.needs <= reference.capabilities and has_options

    def create(self, reference: Backend, url: str | None = None, **options: Any) -> StorageAdapter:
        """Make a broken adapter on a store of the reference backend."""
        options = {**self.options, **options}
        if _is_kind_of(self.factory, DelegatingAdapter):
            return self.factory(reference.create(url, **options))
        if _is_kind_of(self.factory, MemoryAdapter):
            return self.factory(store_at(url))
        return self.factory(url, **options)


BROKEN: dict[str, BrokenBackend] = {}
"""Every broken backend, by its name."""


def breaks(
    *clauses: str,
    on: str | None = None,
    needs: Iterable[Capability] = (),
    options: Mapping[str, Any] | None = None,
    test_s: float = TEST_S,
    caught_by: Iterable[str] = (),
) -> Callable[[AdapterFactory], AdapterFactory]:
    """Put a class of adapters, or a function that makes one, into the catalogue as a backend that breaks the clauses.

    The first line of its docstring is the mistake, in one sentence. The tests in `caught_by` are run first; if none of
    them fails, all others are run.

    Raises:
        KeyError: there is no such clause.
        ValueError: there is a broken backend of that name.
    """
    for clause in clauses:
        CLAUSES[clause]

    def enter(factory: AdapterFactory) -> AdapterFactory:
        name = factory.__name__
        if name in BROKEN:
            raise ValueError(f"there are two broken backends {name}")
        mistake, *_ = (factory.__doc__ or "").strip().splitlines() or [""]
        only = "memory" if _is_kind_of(factory, MemoryAdapter) else on
        BROKEN[name] = BrokenBackend(
            name, mistake, clauses, factory, only, frozenset(needs), options or {}, test_s, frozenset(caught_by)
        )
        return factory

    return enter


def _is_kind_of(factory: object, kind: type) -> bool:
    return isinstance(factory, type) and issubclass(factory, kind)
