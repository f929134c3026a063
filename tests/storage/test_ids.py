"""New identifiers, and the clock."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import RFC_4122, UUID

import pytest

from aaow_storage import _ids, new_id, now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The milliseconds that the clock shows, as the only item."""
    shown = [1_800_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: shown[0] * 1_000_000)
    monkeypatch.setattr(_ids, "_last_millisecond", 0)
    return shown


def millisecond(id: str) -> int:
    return UUID(id).int >> 80


def test_a_new_id_is_a_uuid_of_version_7_of_this_millisecond():
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert UUID(made).version == 7
    assert UUID(made).variant == RFC_4122
    assert str(UUID(made)) == made
    assert before <= millisecond(made) <= time.time_ns() // 1_000_000 + 1


def test_ids_of_all_threads_differ_and_those_of_each_thread_are_in_order():
    with ThreadPoolExecutor(8) as pool:
        threads = list(pool.map(lambda count: [new_id() for _ in range(count)], [2000] * 8))
    assert all(ids == sorted(ids) for ids in threads)
    assert len(set(chain(*threads))) == 16_000


def test_ids_of_one_millisecond_are_in_order(clock: list[int]):
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert set(map(millisecond, ids)) == {clock[0]}


def test_a_clock_that_steps_back_does_not_break_the_order(clock: list[int]):
    first = new_id()
    clock[0] -= 60_000
    second = new_id()
    clock[0] += 120_000
    third = new_id()
    assert first < second < third
    assert millisecond(third) == clock[0]


def test_ids_are_in_order_where_more_than_the_last_part_changes(clock: list[int], monkeypatch: pytest.MonkeyPatch):
    first = new_id()
    monkeypatch.setattr(_ids, "_counter", _ids._counter | 0xFFFF)
    second, third = new_id(), new_id()
    assert first < second < third
    assert first.rpartition("-")[0] != second.rpartition("-")[0] == third.rpartition("-")[0]
    assert set(map(millisecond, (first, second, third))) == {clock[0]}


def test_a_counter_that_is_used_up_goes_on_in_the_next_millisecond(clock: list[int], monkeypatch: pytest.MonkeyPatch):
    first = new_id()
    monkeypatch.setattr(_ids, "_counter", 2**42 - 1)
    second, third = new_id(), new_id()
    assert first < second < third
    assert millisecond(second) == millisecond(third) == clock[0] + 1


def test_now_is_aware_and_in_utc():
    instant = now()
    assert instant.tzinfo is UTC
    assert abs(datetime.now(UTC) - instant) < timedelta(seconds=10)


FORKING = """
import os
from aaow_storage import new_id
new_id()
reads, writes = os.pipe()
if os.fork() == 0:
    os.write(writes, new_id().encode())
    os._exit(0)
print(new_id(), os.read(reads, 36).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_takes_other_random_bits_than_its_parent():
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    parents, childs = ran.stdout.split()
    assert UUID(parents).int & 0xFFFF_FFFF != UUID(childs).int & 0xFFFF_FFFF
