"""What PostgreSQL's errors mean, by their SQLSTATE, and what to do about them."""

from typing import Final

import psycopg

from aaow_storage_sql import ErrorTable, Meaning

_CODES: Final = {
    "40001": Meaning.CONFLICT,  # serialization_failure
    "40P01": Meaning.CONFLICT,  # deadlock_detected
    "23503": Meaning.MISSING_REFERENCE,  # foreign_key_violation
    "23505": Meaning.DUPLICATE,  # unique_violation
    "57014": Meaning.LATE,  # query_canceled
    "55P03": Meaning.LOCKED,  # lock_not_available
    "57P01": Meaning.LOST,  # admin_shutdown
    "57P02": Meaning.LOST,  # crash_shutdown
    "57P05": Meaning.LOST,  # idle_session_timeout
    "25P03": Meaning.LOST,  # idle_in_transaction_session_timeout
    "53300": Meaning.TOO_MANY_CONNECTIONS,  # too_many_connections
    "25006": Meaning.UNAVAILABLE,  # read_only_sql_transaction
    "53000": Meaning.UNAVAILABLE,  # insufficient_resources
    "53100": Meaning.UNAVAILABLE,  # disk_full
    "53200": Meaning.UNAVAILABLE,  # out_of_memory
    "55006": Meaning.UNAVAILABLE,  # object_in_use
    "57P03": Meaning.UNAVAILABLE,  # cannot_connect_now
    "58030": Meaning.UNAVAILABLE,  # io_error
    "22001": Meaning.TOO_LARGE,  # string_data_right_truncation
    "54000": Meaning.TOO_LARGE,  # program_limit_exceeded
    "22P02": Meaning.CORRUPT,  # invalid_text_representation
    "58P01": Meaning.CORRUPT,  # undefined_file
    "XX001": Meaning.CORRUPT,  # data_corrupted
    "XX002": Meaning.CORRUPT,  # index_corrupted
    "3F000": Meaning.OTHER_SCHEMA,  # invalid_schema_name
    "42703": Meaning.OTHER_SCHEMA,  # undefined_column
    "42704": Meaning.OTHER_SCHEMA,  # undefined_object
    "42883": Meaning.OTHER_SCHEMA,  # undefined_function
    "42P01": Meaning.OTHER_SCHEMA,  # undefined_table
    "42P10": Meaning.OTHER_SCHEMA,  # invalid_column_reference
    "23502": Meaning.BROKEN_RULE,  # not_null_violation
    "23514": Meaning.BROKEN_RULE,  # check_violation
    "42804": Meaning.BROKEN_RULE,  # datatype_mismatch
    "28000": Meaning.REFUSED,  # invalid_authorization_specification
    "28P01": Meaning.REFUSED,  # invalid_password
    "3D000": Meaning.REFUSED,  # invalid_catalog_name
    "42501": Meaning.REFUSED,  # insufficient_privilege
}
_CONNECTING: Final = {
    "password authentication failed": Meaning.REFUSED,
    "no password supplied": Meaning.REFUSED,
    "no pg_hba.conf entry": Meaning.REFUSED,
    "does not exist": Meaning.REFUSED,
    "permission denied": Meaning.REFUSED,
    "too many clients": Meaning.TOO_MANY_CONNECTIONS,
    "too many connections": Meaning.TOO_MANY_CONNECTIONS,
    "remaining connection slots": Meaning.TOO_MANY_CONNECTIONS,
}
"""libpq passes on the text of a server that refuses a connection, without its code."""
_REMEDIES: Final = {
    "22P02": "a stored document is not JSON: restore a backup",
    "55P03": "another session holds the lock: pg_locks and pg_stat_activity show it; end it, or try again",
}
_REMEDIES_OF_TEXTS: Final = {
    "password authentication failed": "check user and password",
    "no password supplied": "give the password in the URL, in PGPASSWORD or in a password file",
    "no pg_hba.conf entry": "allow this user and host in the server's pg_hba.conf",
    "does not exist": "check the names of the database and the role",
    "permission denied": "grant the role the missing privilege",
    "statement timeout": "raise statement_timeout, or look up in pg_locks what it waited for",
    "read-only transaction": "connect to the primary, for example with target_session_attrs=read-write",
    "too many c": "lower pool_size, or raise max_connections of the server",
    "remaining connection slots": "lower pool_size, or raise max_connections of the server",
    "No space left": "free space on the server's disk",
    "Connection refused": "check that the server runs, and its host and port",
}

ERRORS: Final = ErrorTable(
    backend="postgresql",
    database="PostgreSQL",
    code_of=lambda error: getattr(error, "sqlstate", None),
    describe=lambda error: f"{error} ({type(error).__name__})",
    codes=_CODES,
    texts=_CONNECTING,
    classes={psycopg.OperationalError: Meaning.UNAVAILABLE, psycopg.InterfaceError: Meaning.UNAVAILABLE},
    remedies=_REMEDIES,
    remedies_of_texts=_REMEDIES_OF_TEXTS,
)
