"""Amounts as text of one width, which compares by value; PostgreSQL has exact numbers, so nothing changes there.

Amounts were decimals of 15 digits with an exponent up to 500, and are decimals below 10**18 with 18 places after the
point. So an amount that is legal on one side only keeps a store from being migrated.
"""

from collections.abc import Callable, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from aaow_storage.errors import StorageError
from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import add_constraint, drop_constraint, is_postgresql
from aaow_storage_sql._schema.revisions import VERSION_TABLE
from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0006"

DIGITS = 18
"""Before the point, and after it."""
OLD_DIGITS = 15
"""In all, without the zeros at both ends."""
FIELDS = ("total_budget", "used_budget")
MAX_SHOWN = 60
LIMIT = Decimal(10) ** DIGITS
STEP = Decimal(f"1E-{DIGITS}")
WIDTH = 2 * DIGITS + 1
PLAIN = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[InvalidOperation])
RANGE = f"below 10**{DIGITS} with at most {DIGITS} places after the point"
HOW_TO_CHANGE = "open the store with the release that it was made for, and call update_budget_pool"
TOO_WIDE = f"min_scale({{0}}) > {DIGITS} OR ({{0}} >= 1e{DIGITS} AND min_scale({{0}}) IS NOT NULL)"
"""The condition of PostgreSQL for amounts that the newer version refuses; `min_scale` is null for what is no number."""
TOO_LONG = f"length(btrim(replace(abs(trim_scale({{0}}))::text, '.', ''), '0')) > {OLD_DIGITS}"
"""The condition of PostgreSQL for amounts that the older version refuses."""


class _RefusedError(Exception):
    """An amount that the other version cannot keep."""


def upgrade(op: "Operations") -> None:
    """Write the amounts of all pools anew, in the wider form.

    Raises:
        StorageError: an amount is too large or too small for it; the error names the pool and the amount.
    """
    connection = connection_of(op)
    remedy = f"{HOW_TO_CHANGE} with an amount {RANGE}"
    if is_postgresql(connection):
        _refuse_where(connection, TOO_WIDE, remedy)
        return
    _rewrite(connection, "budget_pools", FIELDS, padded, remedy)
    # A store of a release has no costs yet, and reading all executions to see that would take long.
    found = connection.command(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a name of ours
    if found is not None and found[0] == "0005":
        _rewrite(connection, "llm_executions", ("cost",), padded, remedy)
    for field in FIELDS:
        add_constraint(connection, "budget_pools", _check(field))


def downgrade(op: "Operations") -> None:
    """Write the amounts of all pools anew, as numerals.

    Raises:
        StorageError: an amount has too many digits; the error names the pool and the amount.
    """
    connection = connection_of(op)
    remedy = f"call update_budget_pool with an amount of at most {OLD_DIGITS} digits"
    if is_postgresql(connection):
        _refuse_where(connection, TOO_LONG, remedy)
        return
    for field in FIELDS:
        drop_constraint(connection, "budget_pools", _check(field))
    _rewrite(connection, "budget_pools", FIELDS, numeral, remedy)
    _rewrite(connection, "llm_executions", ("cost",), without_padding, remedy)


def _check(field: str) -> str:
    """Return the constraint that keeps out the numerals of a process of an older release that still runs."""
    return f"CONSTRAINT ck_budget_pools_{field} CHECK (length({field}) = {WIDTH})"


def padded(text: object) -> object:
    """Return the text of one width for a numeral; what is no amount stays, as unreadable as it was.

    Raises:
        _RefusedError: the amount is too large, or too small, for that.
    """
    if type(text) is not str:
        return text
    if text.isascii() and (text.isdecimal() or text.replace(".", "", 1).isdecimal()):
        whole, _, places = text.partition(".")
        if len(whole) <= DIGITS and len(places) <= DIGITS:
            return f"{whole:0>{DIGITS}}.{places:0<{DIGITS}}"
    try:
        value = PLAIN.normalize(Decimal(text))
    except InvalidOperation:
        return text
    if not value.is_finite() or value < 0:
        return text
    if value >= LIMIT or (value and value != value.quantize(STEP, context=PLAIN)):
        raise _RefusedError
    return f"{value.copy_abs():0{WIDTH}.{DIGITS}f}"


def numeral(text: object) -> object:
    """Return the numeral for a text of one width; what is no amount stays, as unreadable as it was.

    Raises:
        _RefusedError: it has too many digits.
    """
    if type(text) is str and len(text) == WIDTH and len(text.replace(".", "").strip("0")) > OLD_DIGITS:
        raise _RefusedError
    return without_padding(text)


def without_padding(text: object) -> object:
    """Return the numeral for a text of one width, whatever the number of its digits."""
    if type(text) is not str or len(text) != WIDTH:
        return text
    whole, _, places = text.partition(".")
    whole, places = whole.lstrip("0") or "0", places.rstrip("0")
    return f"{whole}.{places}" if places else whole


def _rewrite(
    connection: SQLConnection, table: str, fields: Sequence[str], convert: Callable[[object], object], remedy: str
) -> None:
    """Replace the amounts of a table of SQLite, in one statement that calls the function."""
    refused: list[tuple[str, str, str]] = []

    def converted(id: str, field: str, text: object) -> object:
        try:
            return convert(text)
        except _RefusedError:
            refused.append((id, field, str(without_padding(text))))
            raise

    driver_connection = connection.driver_connection
    driver_connection.create_function("aaow_converted", 3, converted)
    changes = ", ".join(f"{field} = aaow_converted(id, '{field}', {field})" for field in fields)
    try:
        connection.command(f"UPDATE {table} SET {changes} WHERE {fields[0]} IS NOT NULL")  # noqa: S608 - names of ours
    except StorageError:
        if not refused:
            raise
        raise _refusal(*refused[0], remedy) from None
    finally:
        driver_connection.create_function("aaow_converted", 3, None)


def _refuse_where(connection: SQLConnection, condition: str, remedy: str) -> None:
    for field in FIELDS:
        found = connection.command(
            f"SELECT id, {field}::text FROM budget_pools WHERE {condition.format(field)} LIMIT 1"  # noqa: S608 - as above
        )
        if found is not None:
            raise _refusal(str(found[0]), field, str(found[1]), remedy)


def _refusal(id: str, field: str, amount: str, remedy: str) -> StorageError:
    text = amount if len(amount) <= MAX_SHOWN else f"{amount[: MAX_SHOWN - 3]}..."
    problem = f"the budget pool {id!r} has the {field} {text}, which the other version cannot keep"
    return StorageError(f"{problem}: {remedy}; nothing was migrated")
