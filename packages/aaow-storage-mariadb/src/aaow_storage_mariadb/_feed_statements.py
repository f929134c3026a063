"""The change that an upsert makes, stored by the statement after it, so that both and COMMIT are one request."""

from typing import Any

import sqlalchemy as sa

from aaow_storage import now
from aaow_storage.authoring import dumps_unchecked
from aaow_storage_sql import VERSION_TABLE, metadata

_changes, _feed = metadata.tables["changes"], metadata.tables["change_feed"]
VERSION_AND_FEED = sa.select(
    sa.column("version_num", sa.Text), sa.select(_feed.c.is_recording).limit(sa.literal_column("1")).scalar_subquery()
).select_from(sa.table(VERSION_TABLE))
"""Selects which schema a store has, and whether it records changes."""
_CHANGED: sa.ColumnElement[int] = sa.literal_column("ROW_COUNT()")
"""What the statement before did: 1 if it inserted the row, 2 if it replaced it, 0 if the row was the same."""
_ONE: sa.ColumnElement[int] = sa.literal_column("1")
_action = sa.case((_CHANGED == _ONE, sa.literal_column("'created'")), else_=sa.literal_column("'updated'"))
_is_there = sa.select(_ONE).select_from(sa.table(VERSION_TABLE)).with_for_update(read=True).exists()

_CHANGE = sa.func.concat(sa.bindparam("until_action", type_=sa.Text), _action, sa.literal_column("'\"]]'"))
_AT = sa.bindparam("at", type_=_changes.c.at.type)

STORE_AFTER_UPSERT = sa.insert(_changes).from_select(
    ["at", "changes"],
    sa.select(_AT, _CHANGE).select_from(_feed).where(_feed.c.is_recording, _CHANGED >= _ONE, _is_there),
    include_defaults=False,
)
"""Stores the change, unless the upsert changed nothing, or the store records no changes."""
STORE_FOR_SURE = sa.insert(_changes).values(at=_AT, changes=_CHANGE)
"""Stores the change of an upsert that has changed something. To number the row, MariaDB locks no table."""
_END = '"]]'


def feed_values(kind: str, id: str, session_id: str | None) -> dict[str, Any]:
    """Return the parameters of that statement."""
    return {"at": now(), "until_action": dumps_unchecked([[kind, id, session_id, ""]]).removesuffix(_END)}
