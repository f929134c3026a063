"""`Backend`: the description of a backend that its plugin returns."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from aaow_storage._adapter import StorageAdapter
from aaow_storage._attrs_values import Value
from aaow_storage._enums import Capability
from aaow_storage._validators import Named, invalid
from aaow_storage._values import shown

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from aaow_storage._maintenance import StoreMaintenance

_NAME = re.compile(r"[a-z][a-z0-9+.\-]*")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


def _is_name(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        rule = "must be lower-case letters, digits and + . - as in the scheme of a URL"
        raise invalid(instance, attribute, f"{rule}, not {shown(value)}")


def _is_version(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, str) or _VERSION.fullmatch(value) is None:
        raise invalid(instance, attribute, f"must be a version of the contract, such as '1.0', not {shown(value)}")


def _is_callable(instance: object, attribute: Named, value: Any) -> None:
    if not callable(value):
        raise invalid(instance, attribute, f"must be callable, not {type(value).__name__}")


def _are_options(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise invalid(instance, attribute, f"must map names to descriptions, not be {type(value).__name__}")


def _capabilities(value: Iterable[Capability]) -> frozenset[Capability]:
    return frozenset(value)


@frozen(kw_only=True, eq=False, repr=False)
class Backend(Value):
    """The description of a backend that its plugin returns.

    Attributes:
        name: the name of the entry point, which is also the URL scheme.
        summary: one line for people.
        create: returns a new adapter for a URL (None for the backend's default) and the options.
        options: the names of the options of `create`, each with one line of description.
        capabilities: what the backend can do beyond what every backend must.
        temporary_store: a context manager that makes an empty store, perhaps in the folder that is its argument,
            returns its URL, and removes it at the end. The conformance suite runs on it.
        newer_schema: a context manager that marks the store at a URL (with the options of `create`) as migrated by a
            later release, and undoes this at the end. The conformance suite checks that the store is refused meanwhile.
        maintenance: returns the maintenance of the store at a URL (with the options of `create`), for the tools of
            operators; None if the backend offers none. `maintenance_of` calls it.
        contract: the version of the storage contract that the backend was written for.
        problem: why the backend cannot be used, None if it can.
    """

    name: str = field(validator=_is_name)
    summary: str
    create: Callable[..., StorageAdapter] = field(repr=False, validator=_is_callable)
    options: Mapping[str, str] = field(factory=dict, validator=_are_options)
    capabilities: frozenset[Capability] = field(default=frozenset(), converter=_capabilities)
    temporary_store: "Callable[[Path], AbstractContextManager[str]] | None" = field(default=None, repr=False)
    newer_schema: "Callable[..., AbstractContextManager[None]] | None" = field(default=None, repr=False)
    maintenance: "Callable[..., StoreMaintenance] | None" = field(default=None, repr=False)
    contract: str = field(default="1.0", validator=_is_version)
    problem: str | None = None
