"""Values as they stand in the text of a statement, since the protocol of PyMySQL sends text alone.

PyMySQL's own escaping looks each character of a text up in a table. That takes 30 ms for a million characters, and
holds the interpreter's lock, and so the event loop, for as long. MariaDB needs two characters escaped, in a session
whose `sql_mode` is that of this backend: without NO_BACKSLASH_ESCAPES.
"""

import math
from collections.abc import Iterable
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
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, int):
        return str(int(value))  # of True and False, too
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "e" in text else f"{text}e0"  # without an exponent it would be an exact number
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    raise TypeError(f"no column has the value {value!r:.100}")
