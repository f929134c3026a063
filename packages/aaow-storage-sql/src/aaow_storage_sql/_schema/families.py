"""The column types of each family of databases; no other module asks which family a database is of.

The tables and the revisions share them, so a type never changes: a new one gets a new name, since old revisions have
the old one. A type that one family alone has is given by its name, so that no SQLAlchemy dialect has to be imported.
"""

from typing import Any, Final, TypeVar

import sqlalchemy as sa

T = TypeVar("T", sa.CheckConstraint, sa.Index, sa.PrimaryKeyConstraint)

SQLITE: Final = ("sqlite",)
POSTGRESQL: Final = ("postgresql",)
MARIADB: Final = ("mariadb", "mysql")
"""The families, each by the names of its dialects in SQLAlchemy."""
SERVERS: Final = (*POSTGRESQL, *MARIADB)

ID_LENGTH = 255
WORD_LENGTH = 32
DIGEST_BYTES = 32
MESSAGE_DIGEST_BYTES = 20
AMOUNT_DIGITS = 18
"""Before the point, and after it."""

_COLLATIONS = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
"""By code point, with spaces at the end. Each column has it, since a database may have any character set."""


def is_of(dialect: sa.Dialect, family: tuple[str, ...]) -> bool:
    """Say whether a dialect of SQLAlchemy belongs to a family."""
    return dialect.name in family


def only_of(family: tuple[str, ...], item: T) -> T:
    """Return the constraint or index as one that databases of other families do not have."""
    item.ddl_if(dialect=family)  # type: ignore[arg-type]  # several names are documented, but not in its types
    item.info["family"] = family
    return item


def is_for(item: sa.Index, dialect: sa.Dialect) -> bool:
    """Say whether databases of a dialect have the index."""
    return is_of(dialect, item.info.get("family", (dialect.name,)))


class NativeType(sa.types.UserDefinedType[Any]):
    """A type of a database by its name; the driver converts its values."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **options: Any) -> str:
        """Return the name of the type."""
        return self.name


def _by_family(
    type_: sa.types.TypeEngine[Any],
    *,
    postgresql: sa.types.TypeEngine[Any] | None = None,
    mariadb: sa.types.TypeEngine[Any] | None = None,
) -> sa.types.TypeEngine[Any]:
    """Return the type, with another one for a family that needs it."""
    if postgresql is not None:
        type_ = type_.with_variant(postgresql, *POSTGRESQL)
    return type_ if mariadb is None else type_.with_variant(mariadb, *MARIADB)


def _text_of_mariadb(type_: sa.types.TypeEngine[Any], name: str) -> sa.types.TypeEngine[Any]:
    """Return the type, and for MariaDB the one of that name, which compares and sorts by code point."""
    for dialect, collation in _COLLATIONS.items():
        type_ = type_.with_variant(NativeType(f"{name} CHARACTER SET utf8mb4 COLLATE {collation}"), dialect)
    return type_


def _varchar(length: int) -> sa.types.TypeEngine[Any]:
    ordered = _by_family(sa.String(length), postgresql=sa.VARCHAR(length, collation="C"))
    return _text_of_mariadb(ordered, f"VARCHAR({length})")


ID = _varchar(ID_LENGTH)
"""Ids: they sort by code point."""
WORD = _varchar(WORD_LENGTH)
"""A word of an enumeration."""
TEXT = _text_of_mariadb(_by_family(sa.Text(), postgresql=sa.TEXT(collation="C")), "LONGTEXT")
"""Text of any length that sorts by code point."""
DOCUMENT = _text_of_mariadb(sa.Text(), "LONGTEXT")
"""Text of any length that is not compared, such as JSON."""
NAME = _text_of_mariadb(sa.String(WORD_LENGTH), f"VARCHAR({WORD_LENGTH})")
"""A short name that the storage layer makes."""
DIGEST = _by_family(sa.LargeBinary(DIGEST_BYTES), mariadb=NativeType(f"BINARY({DIGEST_BYTES})"))
MESSAGE_DIGEST = _by_family(sa.LargeBinary(MESSAGE_DIGEST_BYTES), mariadb=NativeType(f"BINARY({MESSAGE_DIGEST_BYTES})"))
DATA = _by_family(sa.LargeBinary(), mariadb=NativeType("LONGBLOB"))
"""Bytes of any number."""
INSTANT = _by_family(sa.BigInteger(), postgresql=sa.TIMESTAMP(timezone=True))
"""An instant; without a type for it, the number of microseconds since 1970."""
AMOUNT = _by_family(
    sa.Text(),
    postgresql=NativeType("NUMERIC"),
    mariadb=NativeType(f"DECIMAL({2 * AMOUNT_DIGITS}, {AMOUNT_DIGITS})"),
)
"""An exact decimal; without a type for it, text."""
NUMBER = _by_family(sa.Double(), postgresql=NativeType("DOUBLE PRECISION"))
"""A number that is not exact."""
COUNT = sa.BigInteger()
"""A whole number of 64 bits."""
TRUTH = sa.Boolean()
POSITION = sa.BigInteger().with_variant(sa.Integer(), *SQLITE)
"""A number that the database gives to each row; only an INTEGER is one in SQLite."""
