"""The column types of the revisions. They never change: a new type gets a new name, since old revisions use them."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

ID = sa.String(255).with_variant(postgresql.VARCHAR(255, collation="C"), "postgresql")
WORD = sa.String(32).with_variant(postgresql.VARCHAR(32, collation="C"), "postgresql")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
INSTANT = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
AMOUNT = sa.Text().with_variant(postgresql.NUMERIC(), "postgresql")
