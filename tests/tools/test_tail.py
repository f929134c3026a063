"""`tail`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from aaow_storage import DelegatingAdapter, QueryFilter, Session, open_adapter
from aaow_storage_tools import follow_changes
from aaow_storage_tools.command_line.exit_codes import ExitCode


async def last_position(url: str) -> str:
    async with open_adapter(url) as storage:
        change = await storage.last_change()
        assert change is not None
        return change.position


async def write(url: str) -> None:
    async with open_adapter(url) as storage:
        await storage.create_session(Session(id="new", workflow_id=None, workflow_snapshot={"nodes": []}))
        await storage.update_session("new", status="completed")
        await storage.delete_session("session-3")


def test_changes_are_followed_while_they_are_made(run, store):
    url = f"file:{store}"
    after = asyncio.run(last_position(url))
    with ThreadPoolExecutor() as thread:
        following = thread.submit(run, "tail", "--after", after, "--count", "3", "--json")
        asyncio.run(write(url))
        done = following.result(30)
    assert (done.code, done.err) == (ExitCode.DONE, "")
    *changes, result = done.lines
    told = [(line["change"]["action"], line["change"]["kind"], line["change"]["id"]) for line in changes]
    assert told == [("created", "session", "new"), ("updated", "session", "new"), ("deleted", "session", "session-3")]
    assert changes[1]["record"]["status"] == "completed"
    assert changes[2]["record"] is None
    assert result == {"schema": 1, "type": "result", "count": 3, "next": changes[-1]["change"]["position"]}


def test_the_stored_changes_of_a_session_are_told(run, store):
    lines = run("tail", "session-1", "--from-start", "--once").out.splitlines()
    assert [line.split()[1:3] for line in lines[:2]] == [["created", "session"], ["created", "execution"]]
    assert [line for line in lines if "large, failed, 3.60 s, 121 tokens, the model refused [to] answer" in line]
    assert "1 nodes failed" in lines[1]
    assert not [line for line in lines if "session-2" in line]


def test_kinds_can_be_chosen(run, store):
    lines = run("tail", "--from-start", "--once", "--kind", "approvals,budget").out.splitlines()
    assert len(lines) == 9
    assert lines[-1].endswith("approval request approval-4  human_review pending")


def test_reading_goes_on_after_a_position(run, store):
    first = run("tail", "--from-start", "--once", "-n", "10", "--json").lines
    rest = run("tail", "--once", "--json", "--after", first[-1]["next"]).lines
    whole = run("tail", "--from-start", "--once", "--json").lines
    assert [*first[:-1], *rest[:-1]] == whole[:-1]


def test_nothing_new_is_no_error(run, store):
    done = run("tail", "--once")
    assert (done.code, done.out) == (ExitCode.DONE, "")


def test_a_wrong_beginning_is_a_usage_error(run, store):
    assert run("tail", "--after", "yesterday").code == ExitCode.USAGE
    assert run("tail", "--after", "yesterday", "--from-start").code == ExitCode.USAGE


def test_a_session_that_is_not_there_fails(run, store):
    assert run("tail", "nope", "--once").code == ExitCode.FAILED


class CountingAdapter(DelegatingAdapter):
    lists = 0

    async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        self.lists += 1
        return await super().list_sessions(filter)


@pytest.mark.asyncio
async def test_the_records_of_a_page_of_changes_are_read_together():
    async with open_adapter("memory") as wrapped:
        storage = CountingAdapter(wrapped)
        for number in range(1000):
            await storage.create_session(Session(id=f"{number}", workflow_id=None, workflow_snapshot={}))
        told = [each async for each in follow_changes(storage, only_stored=True)]
        assert [(each.change.id, each.record.id) for each in told] == [(f"{n}", f"{n}") for n in range(1000)]
        assert storage.lists <= 10


@pytest.mark.asyncio
async def test_a_record_that_is_read_later_than_its_change_is_newer():
    async with open_adapter("memory") as storage:
        for name in ("kept", "gone"):
            await storage.create_session(Session(id=name, workflow_id=None, workflow_snapshot={}))
        await storage.update_session("kept", status="completed")
        await storage.delete_session("gone")
        told = [each async for each in follow_changes(storage, only_stored=True)]
        assert [each.record and each.record.status.value for each in told] == ["completed", None, "completed", None]


@pytest.mark.asyncio
async def test_changes_that_come_are_told_after_the_stored_ones():
    async with open_adapter("memory") as storage, aclosing(follow_changes(storage)) as changes:
        for number in range(50):
            await storage.create_session(Session(id=f"{number}", workflow_id=None, workflow_snapshot={}))
            if number % 10 == 0:
                while (await anext(changes)).change.id != f"{number}":
                    continue
        told = [await anext(changes) for _ in range(9)]
        assert [each.change.id for each in told] == [f"{number}" for number in range(41, 50)]
