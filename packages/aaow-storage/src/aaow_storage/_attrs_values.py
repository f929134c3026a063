"""`Value`: how the values of the interface are compared, hashed and shown."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import attrs


class Value:
    """A frozen class of attrs, with equality, hash and representation as attrs makes them.

    attrs compiles three functions for them in each class, which would be a third of the time that the import of this
    package takes. So the classes say `eq=False, repr=False`, and have these.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Say whether the other is of the same class, and its fields are equal."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        kind: Any = self.__class__
        compared = _compared(kind)
        return bool(compared(self) == compared(other))

    def __hash__(self) -> int:
        """Return a hash of the fields, all of which need one."""
        kind: Any = self.__class__
        return hash((kind, _compared(kind)(self)))

    def __repr__(self) -> str:
        """Return the class and its fields, as it would be called."""
        kind: Any = self.__class__
        fields = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(kind) if field.repr)
        return f"{kind.__qualname__.rsplit('>.', 1)[-1]}({fields})"


@cache
def _compared(kind: Any) -> Callable[[Any], Any]:
    """Return the function that returns the values of the fields that count for equality."""
    return attrgetter(*(field.name for field in attrs.fields(kind) if field.eq))
