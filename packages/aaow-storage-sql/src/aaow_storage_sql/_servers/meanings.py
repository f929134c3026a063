"""What an error of a database server means, whatever its code."""

from enum import Enum
from typing import Final


class Meaning(Enum):
    """What an error of a statement, of a commit or of connecting means for the operation that meets it."""

    CONFLICT = "another transaction changed the same records; this one is rolled back, and may succeed if it runs again"
    MISSING_REFERENCE = "a row that the statement refers to is missing"
    DUPLICATE = "a row with the same key is stored already"
    LATE = "the statement reached its limit of time, or was cancelled"
    LOCKED = "another session held a lock for longer than a statement waits for locks"
    LOST = "the connection is gone, or must not be used any more; it is closed"
    TOO_MANY_CONNECTIONS = "the server has no free connection"
    UNAVAILABLE = "the server cannot do it now, and may do it later"
    TOO_LARGE = "a value is larger than the server can store"
    CORRUPT = "what is stored is damaged"
    OTHER_SCHEMA = "a table, a column or a function is missing"
    BROKEN_RULE = "a row breaks a rule of its table, which no record of this release does"
    REFUSED = "the server refuses this for good, such as a login or a missing privilege"


SUCCEEDS_IF_REPEATED: Final = frozenset({Meaning.CONFLICT, Meaning.MISSING_REFERENCE, Meaning.DUPLICATE})
"""What errors mean after which the same operation may succeed at once, in another transaction."""
MAY_BE_OF_SCHEMA: Final = frozenset({Meaning.OTHER_SCHEMA, Meaning.BROKEN_RULE})
"""What errors mean that a statement for another version of the schema may meet."""
