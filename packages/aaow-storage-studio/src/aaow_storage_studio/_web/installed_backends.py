"""The installed backends, and which of them a store is of."""

from importlib.metadata import entry_points
from typing import Any

from attrs import frozen

from aaow_storage import Backend, DelegatingAdapter, StorageAdapter, available_backends
from aaow_storage.authoring import StoreMaintenance

GROUP = "aaow_storage"


@frozen(kw_only=True)
class InstalledBackend:
    """An installed backend.

    Attributes:
        backend: what its plugin says of it.
        distribution: the distribution that provides it, with its version; None if it was registered by a program.
        is_of_store: whether the store is of this backend.
    """

    backend: Backend
    distribution: str | None
    is_of_store: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "name": self.backend.name,
            "distribution": self.distribution,
            "contract": None if self.backend.problem else self.backend.contract,
            "capabilities": sorted(map(str, self.backend.capabilities)),
            "problem": self.backend.problem,
            "summary": self.backend.summary,
            "is_of_store": self.is_of_store,
        }


def installed_backends(storage: StorageAdapter, maintenance: StoreMaintenance | None) -> list[InstalledBackend]:
    """Return the installed backends by name. A store is of the one whose package its adapter or maintenance is in."""
    adapter = storage
    while isinstance(adapter, DelegatingAdapter):
        adapter = adapter.wrapped
    packages = {_package(type(each)) for each in (adapter, maintenance) if each is not None}
    distributions = {point.name: point.dist for point in entry_points(group=GROUP)}
    found = []
    for name, backend in available_backends().items():
        distribution = distributions.get(name)
        found.append(
            InstalledBackend(
                backend=backend,
                distribution=None if distribution is None else f"{distribution.name} {distribution.version}",
                is_of_store=backend.problem is None and _package(backend.create) in packages,
            )
        )
    return found


def _package(value: Any) -> str:
    return str(getattr(value, "__module__", "")).partition(".")[0]
