"""What MariaDB's errors mean, by their codes, which all drivers have, and what to do about them."""

from typing import Final

from aaow_storage_sql import ErrorTable, Meaning

_CODES: Final = {
    1213: Meaning.CONFLICT,  # a deadlock; on Galera, another node committed a change of the same rows
    1020: Meaning.CONFLICT,  # the record has changed since the transaction's snapshot
    1216: Meaning.MISSING_REFERENCE,
    1217: Meaning.MISSING_REFERENCE,  # of a row that is deleted: another transaction has inserted a child
    1451: Meaning.MISSING_REFERENCE,
    1452: Meaning.MISSING_REFERENCE,
    1062: Meaning.DUPLICATE,
    1586: Meaning.DUPLICATE,
    1317: Meaning.LATE,  # KILL QUERY
    1969: Meaning.LATE,  # max_statement_time
    3024: Meaning.LATE,
    1205: Meaning.LOCKED,
    1047: Meaning.LOST,  # the node has left the cluster
    1053: Meaning.LOST,  # the server shuts down
    1180: Meaning.LOST,  # the node left the cluster during COMMIT
    1290: Meaning.LOST,  # the server has become read-only
    1836: Meaning.LOST,
    1927: Meaning.LOST,  # the connection was killed
    2006: Meaning.LOST,
    2013: Meaning.LOST,
    2014: Meaning.LOST,
    2055: Meaning.LOST,
    1040: Meaning.TOO_MANY_CONNECTIONS,
    1203: Meaning.TOO_MANY_CONNECTIONS,
    1226: Meaning.TOO_MANY_CONNECTIONS,
    1021: Meaning.UNAVAILABLE,  # the disk is full
    1037: Meaning.UNAVAILABLE,
    1038: Meaning.UNAVAILABLE,
    1041: Meaning.UNAVAILABLE,
    1114: Meaning.UNAVAILABLE,  # the table is full
    1158: Meaning.UNAVAILABLE,
    1159: Meaning.UNAVAILABLE,
    1160: Meaning.UNAVAILABLE,
    1161: Meaning.UNAVAILABLE,
    1206: Meaning.UNAVAILABLE,  # too many locks
    2002: Meaning.UNAVAILABLE,
    2003: Meaning.UNAVAILABLE,
    2005: Meaning.UNAVAILABLE,
    1118: Meaning.TOO_LARGE,
    1153: Meaning.TOO_LARGE,
    1301: Meaning.TOO_LARGE,
    1406: Meaning.TOO_LARGE,
    1034: Meaning.CORRUPT,
    1035: Meaning.CORRUPT,
    1194: Meaning.CORRUPT,
    1195: Meaning.CORRUPT,
    1712: Meaning.CORRUPT,
    1054: Meaning.OTHER_SCHEMA,
    1091: Meaning.OTHER_SCHEMA,
    1109: Meaning.OTHER_SCHEMA,
    1146: Meaning.OTHER_SCHEMA,
    1305: Meaning.OTHER_SCHEMA,
    1048: Meaning.BROKEN_RULE,
    1264: Meaning.BROKEN_RULE,
    1364: Meaning.BROKEN_RULE,
    1366: Meaning.BROKEN_RULE,
    4025: Meaning.BROKEN_RULE,
    1044: Meaning.REFUSED,
    1045: Meaning.REFUSED,
    1049: Meaning.REFUSED,
    1142: Meaning.REFUSED,
    1143: Meaning.REFUSED,
    1227: Meaning.REFUSED,
    1251: Meaning.REFUSED,
    1665: Meaning.REFUSED,
    1698: Meaning.REFUSED,
    2026: Meaning.REFUSED,  # TLS
}
_NAME_THE_AUTHORITY: Final = (
    "name the certificate of the server's authority by ssl_ca= in the URL, and the host as its certificate has it"
)
_REMEDIES: Final = {
    1021: "free space on the server's disk",
    1040: "lower pool_size, or raise max_connections of the server",
    1044: "grant the user the missing privilege",
    1045: "check user and password",
    1047: "the node has no quorum: bring other nodes of the cluster back, or name them in the URL",
    1049: "create the database, or check its name in the URL",
    1142: "grant the user the missing privilege",
    1143: "grant the user the missing privilege",
    1153: "raise max_allowed_packet of the server",
    1203: "lower pool_size, or raise max_user_connections of the user",
    1205: "another session holds the lock: information_schema.INNODB_TRX shows it; end it, or try again",
    1226: "lower pool_size, or raise the limit of the user",
    1227: "grant the user the missing privilege",
    1290: "the server is read-only: name one that takes writes in the URL",
    1665: "set binlog_format of the server to ROW or MIXED",
    1698: "check user and password",
    1836: "the server is read-only: name one that takes writes in the URL",
    1969: "raise statement_timeout, or look up in information_schema.INNODB_TRX what it waited for",
}
_REMEDIES_OF_TEXTS: Final = {
    "CERTIFICATE_VERIFY_FAILED": _NAME_THE_AUTHORITY,
    "certificate": _NAME_THE_AUTHORITY,
    "error 2026": "let the server speak TLS, or leave the parameters ssl_ca, ssl_cert and ssl_key out of the URL",
    "Can't connect to": "check that the server runs, and its host and port",
}


def _code_of(error: Exception) -> int | None:
    code = error.args[0] if error.args else None
    return code if type(code) is int and code else None


def _describe(error: Exception) -> str:
    code = _code_of(error)
    return f"{error} ({type(error).__name__})" if code is None else f"{error.args[-1]} (error {code})"


def errors_of(*, used_after_close: type[Exception], others: type[Exception]) -> ErrorTable:
    """Return what the errors of a driver mean.

    Those without a code are of two classes: that of a connection that is used after it was closed, and that of the
    others that another attempt may not have.
    """
    return ErrorTable(
        backend="mariadb",
        database="MariaDB",
        code_of=_code_of,
        describe=_describe,
        codes=_CODES,
        classes={used_after_close: Meaning.LOST, others: Meaning.UNAVAILABLE},
        remedies=_REMEDIES,
        remedies_of_texts=_REMEDIES_OF_TEXTS,
    )
