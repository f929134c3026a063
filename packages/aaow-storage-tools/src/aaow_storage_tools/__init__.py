"""The jobs of the command line `aaow-storage`, as functions: each is imported when it is first used."""

from importlib import import_module

__all__: list[str] = []

_MODULES: dict[str, str] = {}
"""The module of each public name; importing this package imports none of them, so that the command line starts fast."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
