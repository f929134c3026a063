"""Reads that wait together share one snapshot, newer than each of them; a long read delays few others."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aaow_storage.errors import StorageError
from aaow_storage_sql import Call, Job, Operation, SQLConnection, Work
from aaow_storage_sqlite._connections import open_reader, open_writer
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._readers import read_on_one_snapshot
from aaow_storage_sqlite._settings import Settings, Synchronous

pytestmark = pytest.mark.asyncio

LONG_S = 3600.0
"""However slow the machine is, no snapshot takes that long."""


@pytest.fixture
def settings(path: Path) -> Settings:
    return Settings(Location(path), Synchronous.NORMAL, busy_timeout=5)


@pytest.fixture
def writer(settings: Settings) -> Iterator[SQLConnection]:
    """A connection to a file with one number in it."""
    opened = open_writer(settings)
    opened.command("CREATE TABLE numbers (number INTEGER)")
    opened.command("INSERT INTO numbers VALUES (1)")
    yield opened
    opened.driver_connection.close()


@pytest.fixture
def reader(settings: Settings, writer: SQLConnection) -> Iterator[SQLConnection]:
    """A connection that reads the file."""
    opened = open_reader(settings)
    yield opened
    opened.driver_connection.close()


def job_of(work: Work[Any]) -> Job[Any]:
    return Job(Call(Operation(work, writes=False)))


def number(connection: SQLConnection) -> int:
    return connection.command("SELECT number FROM numbers")[0]


async def test_jobs_that_are_read_together_see_one_snapshot(reader: SQLConnection, writer: SQLConnection):
    def read_and_change(connection: SQLConnection) -> int:
        found = number(connection)
        writer.command("UPDATE numbers SET number = number + 1")
        return found

    jobs = deque([job_of(read_and_change), job_of(read_and_change)])
    assert [outcome.value for outcome in read_on_one_snapshot(reader, jobs, LONG_S)] == [1, 1]
    assert [outcome.value for outcome in read_on_one_snapshot(reader, deque([job_of(number)]), LONG_S)] == [3]


async def test_jobs_after_a_long_one_are_left_for_the_next_snapshot(reader: SQLConnection):
    jobs = deque([job_of(number), job_of(number)])
    assert len(read_on_one_snapshot(reader, jobs, 0.0)) == 1
    assert len(jobs) == 1
    assert not reader.driver_connection.in_transaction


async def test_an_abandoned_job_is_not_run(reader: SQLConnection):
    ran = []
    job = job_of(ran.append)
    job.abandon()
    assert read_on_one_snapshot(reader, deque([job]), LONG_S) == []
    assert ran == []


async def test_a_job_that_fails_leaves_the_others_alone(reader: SQLConnection):
    def fail(connection: SQLConnection) -> None:
        connection.command("SELECT nothing FROM nowhere")

    failed, read = read_on_one_snapshot(reader, deque([job_of(fail), job_of(number)]), LONG_S)
    assert isinstance(failed.error, StorageError)
    assert (read.value, read.error) == (1, None)


async def test_every_job_fails_if_no_snapshot_can_be_read(reader: SQLConnection):
    jobs = deque([job_of(number), job_of(number)])
    reader.driver_connection.close()
    outcomes = read_on_one_snapshot(reader, jobs, LONG_S)
    assert [type(outcome.error) for outcome in outcomes] == [StorageError, StorageError]
    assert not jobs
