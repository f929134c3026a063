"""A log message at the start that says what a crash or a failover may lose."""

import logging

import sqlalchemy as sa

from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings

_logger = logging.getLogger("aaow_storage_postgresql")
_SETTINGS = sa.select(
    sa.func.current_setting("synchronous_commit"),
    sa.func.current_setting("synchronous_standby_names"),
    sa.func.current_setting("fsync"),
)


def report_durability(connection: PostgreSQLConnection, settings: Settings) -> None:
    """Log whether a standby confirms each commit (INFO), or whether a crash may lose commits (WARNING)."""
    row = connection.row(_SETTINGS)
    commit, standbys, fsync = ("on", "", "on") if row is None else row
    if commit == "off" or fsync == "off":
        problem = "synchronous_commit is off" if commit == "off" else "fsync is off"
        _logger.warning("%s: a crash of the server loses the last commits, since %s", settings.place, problem)
    elif standbys and commit != "local":
        _logger.info("%s: each commit is confirmed by a standby (%s)", settings.place, standbys)
    else:
        _logger.info("%s: no standby confirms commits; a failover may lose the last ones", settings.place)
