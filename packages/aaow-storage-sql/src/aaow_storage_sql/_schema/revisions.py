"""The revisions of the schema, and the table that says which one a store has."""

VERSION_TABLE = "aaow_schema_version"
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""The revisions, oldest first. A store at the last one has exactly the tables of `tables`."""
HEAD = REVISIONS[-1]
