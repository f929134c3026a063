"""Rows come out of a statement as the columns' types make them, however many there are."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from aaow_storage_sql import SQLConnection
from aaow_storage_sql._schema.tables import stream_events
from aaow_storage_sql._statements.compiled import COLUMNAR_FROM

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = sa.select(stream_events.c.id, stream_events.c.timestamp, stream_events.c.data).order_by(stream_events.c.id)
INSERT = "INSERT INTO stream_events (id, stream_id, node_id, timestamp, data, sequence) VALUES (?, 's', 'n', ?, ?, ?)"


def put_in(connection: SQLConnection, count: int) -> list[tuple]:
    """Store so many events, some of whose data is null; return what their select is to return."""
    microseconds = int(AT.timestamp()) * 1_000_000
    for number in range(count):
        data = f'{{"number":{number}}}' if number % 3 else None
        connection.driver_connection.execute(INSERT, (f"e{number:02}", microseconds, data, number))
    return [(f"e{number:02}", AT, {"number": number} if number % 3 else None) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, COLUMNAR_FROM - 1, COLUMNAR_FROM, 2 * COLUMNAR_FROM])
def test_few_rows_and_many_rows_are_converted_alike(migrated: SQLConnection, count: int):
    expected = put_in(migrated, count)
    assert migrated.rows(EVENTS) == expected


@pytest.mark.parametrize("count", [9, 10, 11, 30])
def test_all_rows_are_returned_when_they_are_fetched_in_several_steps(migrated: SQLConnection, count: int):
    migrated.fetch_size = 10
    expected = put_in(migrated, count)
    assert migrated.rows(EVENTS) == expected
