"""Whether a transaction is open, by the statements that the server has confirmed.

A driver that hides the status that each answer of the server has needs this. It holds for what this backend sends: no
procedure is called, `autocommit` stays on, and a compound statement that begins or ends a transaction does nothing else
after it.
"""

from typing import Final

_ENDINGS: Final = ("COMMIT", "ROLLBACK")
_BEGINNINGS: Final = ("START TRANSACTION", "BEGIN NOT ATOMIC START TRANSACTION")
_COMPOUND: Final = "BEGIN NOT ATOMIC "
_COMPOUND_COMMIT: Final = ";COMMIT;END"
_COMMITTING: Final = ("ALTER ", "ANALYZE ", "CHECK ", "CREATE ", "DROP ", "OPTIMIZE ", "RENAME ", "TRUNCATE ")
"""How statements begin that commit the open transaction first."""


def is_open_after(query: str, *, was_open: bool) -> bool:
    """Return whether a transaction is open after a statement that succeeded."""
    if query in _ENDINGS or (query.startswith(_COMPOUND) and query.endswith(_COMPOUND_COMMIT)):
        return False
    if query.startswith(_BEGINNINGS):
        return True
    return was_open and not query.lstrip().startswith(_COMMITTING)
