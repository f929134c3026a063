"""The revisions of the schema, and the table that says which one a store has."""

import re

VERSION_TABLE = "aaow_schema_version"
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""The revisions, oldest first. A store at the last one has exactly the tables of `tables`."""
HEAD = REVISIONS[-1]
_INSTALLING = re.compile(r"installing (\S+) (\S+)")


def installing(generation: str) -> str:
    """Return the version of a store that this release is making, whose change feed gets that name.

    A store has it on a database that commits each statement that changes the schema, until all its tables are there.
    """
    return f"installing {HEAD} {generation}"


def installed_revision(version: str | None) -> str | None:
    """Return the revision that a store will have which is being made; None for any other version."""
    found = _INSTALLING.fullmatch(version or "")
    return None if found is None else found[1]


def generation_of(version: str) -> str:
    """Return the name of the change feed of a store that is being made."""
    return version.rpartition(" ")[2]
