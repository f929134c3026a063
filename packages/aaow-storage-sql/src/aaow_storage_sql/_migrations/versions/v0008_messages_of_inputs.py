"""The messages of long inputs, once a session. An input that is stored stays in the row of its execution."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aaow_storage.errors import CorruptDataError
from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._schema.families import DATA, ID, MESSAGE_DIGEST

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0008"

DIGEST_BYTES = 20
WINDOW_BITS = -12
PLAIN = b"\xff"

_executions = sa.table("llm_executions", *map(sa.column, ("id", "session_id", "input", "input_digest")))
_messages = sa.table("messages", *map(sa.column, ("session_id", "digest", "previous", "body")))
_IS_CHAINED = _executions.c.input_digest.is_not(None)
_NEXT_SESSION = sa.select(sa.func.min(_executions.c.session_id)).where(
    _IS_CHAINED, _executions.c.session_id > sa.bindparam("after", type_=sa.Text)
)
_OF_SESSION = sa.bindparam("session_id", type_=sa.Text)
_CHAINED = sa.select(_executions.c.id, _executions.c.input_digest).where(
    _IS_CHAINED, _executions.c.session_id == _OF_SESSION
)
_ROWS = sa.select(_messages.c.digest, _messages.c.previous, _messages.c.body).where(
    _messages.c.session_id == _OF_SESSION
)
_RESTORE = (
    sa.update(_executions)
    .where(_executions.c.id == sa.bindparam("of_id", type_=sa.Text))
    .values(input=sa.bindparam("text", type_=sa.Text))
)


def upgrade(op: "Operations") -> None:
    """Add the table and the column, which changes no row."""
    op.create_table(
        "messages",
        sa.Column("session_id", ID, nullable=False),
        sa.Column("digest", MESSAGE_DIGEST, nullable=False),
        sa.Column("previous", MESSAGE_DIGEST),
        sa.Column("body", DATA, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_messages_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", "digest", name=op.f("pk_messages")),
    )
    op.add_column("llm_executions", sa.Column("input_digest", MESSAGE_DIGEST))


def downgrade(op: "Operations") -> None:
    """Put each input back into the row of its execution, one session after the other.

    Raises:
        CorruptDataError: a message is missing, or is not what was stored; the error names the execution.
    """
    connection = connection_of(op)
    session_id = ""
    while (found := connection.row(_NEXT_SESSION, {"after": session_id})) is not None and found[0] is not None:
        session_id = str(found[0])
        rows = {
            digest: (previous, _text(body))
            for digest, previous, body in connection.rows(_ROWS, {"session_id": session_id})
        }
        for key, digest in connection.rows(_CHAINED, {"session_id": session_id}):
            connection.run(_RESTORE, {"of_id": key, "text": _input(rows, digest, key)})
    op.drop_column("llm_executions", "input_digest")
    op.drop_table("messages")


def _input(rows: Mapping[bytes, tuple[bytes | None, Any]], digest: bytes, id: str) -> str:
    """Return the text of an input that ends with the message of that digest."""
    bodies: list[str] = []
    following: bytes | None = digest
    while following is not None:
        previous, body = rows.get(following, (None, None))
        if type(body) is not str or _digest_after(previous, body) != following:
            problem = "is missing" if following not in rows else "is not what was stored"
            raise CorruptDataError(
                f"a message of the input of the LLM execution {id!r} {problem}; nothing was migrated"
            )
        bodies.append(body)
        following = previous
    return "[" + ",".join(reversed(bodies)).replace("\n", ",") + "]"


def _digest_after(previous: bytes | None, body: str) -> bytes:
    digest = previous or bytes(DIGEST_BYTES)
    for text in body.split("\n"):
        digest = hashlib.sha256(digest + text.encode()).digest()[:DIGEST_BYTES]
    return digest


def _text(body: Any) -> Any:
    """Return the text of messages, which may be compressed."""
    if type(body) is not bytes:
        return body
    try:
        plain = body[1:] if body.startswith(PLAIN) else zlib.decompress(body, WINDOW_BITS)
        return plain.decode()
    except (zlib.error, UnicodeDecodeError):
        return None
