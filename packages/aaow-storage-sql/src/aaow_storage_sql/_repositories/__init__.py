"""The operations on each kind of record, as functions of a connection: rows in, records out, no threads."""
