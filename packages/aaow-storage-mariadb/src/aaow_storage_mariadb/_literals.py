"""Values as they stand in the text of a statement, since the drivers send text alone.

PyMySQL's own escaping looks each character of a text up in a table. That takes 30 ms for a million characters, and
holds the interpreter's lock, and so the event loop, for as long. MariaDB needs two characters escaped, in a session
whose `sql_mode` is that of this backend: without NO_BACKSLASH_ESCAPES.
"""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any


def with_values(text: str, values: Iterable[Any]) -> str:
    """Return a statement with its values in the places of `%s`.

    Raises:
        TypeError: a value is of a type that no column has.
    """
    return text % tuple(map(literal, values))


def literal(value: Any) -> str:
    """Return the text of a value.

    Raises:
        TypeError: it is of a type that no column has.
    """
    write = _OF_TYPE.get(type(value)) or _of_subclass(value)
    return write(value)


def _of_text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _of_float(value: float) -> str:
    if not math.isfinite(value):
        raise _unknown(value)
    text = repr(value)
    return text if "e" in text else f"{text}e0"  # without an exponent it would be an exact number


def _of_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _unknown(value)
    return format(value, "f")


def _of_subclass(value: Any) -> Callable[[Any], str]:
    for kind, write in _OF_TYPE.items():
        if isinstance(value, kind):
            return write
    raise _unknown(value)


def _unknown(value: Any) -> TypeError:
    return TypeError(f"no column has the value {value!r:.100}")


_OF_TYPE: dict[type, Callable[[Any], str]] = {
    str: _of_text,
    int: lambda value: str(int(value)),  # of True and False, too
    type(None): lambda _: "NULL",
    bytes: lambda value: f"X'{value.hex()}'",
    float: _of_float,
    Decimal: _of_decimal,
}
