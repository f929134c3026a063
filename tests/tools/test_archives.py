"""Exporting a store to an archive, and importing it."""

import asyncio
import hashlib
import json
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_stores import contents_of, random_writes, write_first

from aaow_storage import StorageError, create_adapter
from aaow_storage_conformance.data.kinds import fill_store
from aaow_storage_tools import (
    InvalidArchiveError,
    NotEmptyError,
    compare_stores,
    export_store,
    import_store,
)
from aaow_storage_tools._archives import importing
from aaow_storage_tools._errors import AlreadyThereError, ResumableError

quick = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@quick
@given(random_writes)
def test_what_is_exported_and_imported_has_every_field_of_every_record(tmp_path_factory, calls):
    async def run() -> None:
        folder = tmp_path_factory.mktemp("archive")
        async with create_adapter("memory") as source, create_adapter("memory") as target:
            await write_first(source, *calls)
            exported = await export_store(source, folder / "a.jsonl.zst")
            imported = await import_store(folder / "a.jsonl.zst", target)
            assert imported.counts == exported.counts
            assert imported.comparison is not None
            assert imported.comparison.differences == ()
            assert await contents_of(target) == await contents_of(source)

    asyncio.run(run())


@pytest.fixture
def archive(tmp_path):
    """An archive of a store with a little of everything."""

    async def export() -> None:
        async with create_adapter("memory") as source:
            await fill_store(source)
            await export_store(source, tmp_path / "store.jsonl")

    asyncio.run(export())
    return tmp_path / "store.jsonl"


def lines_of(archive):
    return archive.read_bytes().splitlines(keepends=True)


def write_lines(archive, lines):
    """Write lines to the archive, with an end that fits if the last line is one."""
    end = json.loads(lines[-1])
    if end["type"] == "end":
        digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
        lines = [*lines[:-1], json.dumps({**end, "records": len(lines) - 2, "sha256": digest}).encode()]
    archive.write_bytes(b"".join(lines))


def imported(archive, **options):
    """Import into an empty store; return the result, and what is in the store."""

    async def run() -> Any:
        async with create_adapter("memory") as target:
            result = None
            try:
                result = await import_store(archive, target, **options)
            finally:
                contents = await contents_of(target)
                if result is None:
                    assert not any(contents.values())
            return result, contents

    return asyncio.run(run())


def test_an_archive_is_json_lines_that_people_can_read(archive):
    header, *records, end = [json.loads(line) for line in lines_of(archive)]
    assert (header["type"], header["format"], header["version"], header["scope"]) == (
        "header",
        "aaow-storage",
        1,
        "store",
    )
    assert {record["type"] for record in records} >= {"workflow", "session", "llm_execution", "stream_event"}
    assert all(set(record) == {"type", "record"} for record in records)
    assert end["records"] == len(records) == sum(end["counts"].values())
    assert end["sha256"] == hashlib.sha256(b"".join(lines_of(archive)[:-1])).hexdigest()


@pytest.mark.parametrize("count", [0, 1, 2, -1])
def test_half_an_archive_is_refused_and_leaves_nothing(archive, count):
    archive.write_bytes(b"".join(lines_of(archive)[:count]))
    for keep_going in (False, True):
        with pytest.raises(InvalidArchiveError, match="is missing"):
            imported(archive, keep_going=keep_going)


def test_half_a_compressed_archive_is_refused(archive, tmp_path):
    async def export() -> None:
        async with create_adapter("memory") as source:
            await import_store(archive, source)
            await export_store(source, tmp_path / "a.zst")

    asyncio.run(export())
    whole = (tmp_path / "a.zst").read_bytes()
    assert len(whole) < archive.stat().st_size
    for part, problem in ((whole[: len(whole) // 2], "ends in the middle"), (b"no zstd at all", "not compressed")):
        (tmp_path / "a.zst").write_bytes(part)
        with pytest.raises(InvalidArchiveError, match=problem):
            imported(tmp_path / "a.zst")


def test_a_changed_line_is_found_by_the_digest(archive):
    lines = lines_of(archive)
    changed = next(index for index, line in enumerate(lines) if b'"name":"' in line)
    lines[changed] = re.sub(rb'"name":"[^"]', b'"name":"X', lines[changed])
    archive.write_bytes(b"".join(lines))
    with pytest.raises(InvalidArchiveError, match="another digest"):
        imported(archive)
    end = {name: value for name, value in json.loads(lines[-1]).items() if name != "sha256"}
    archive.write_bytes(b"".join([*lines[:-1], json.dumps(end).encode()]))
    result, _ = imported(archive)
    assert result is not None


BAD = [
    (b"{not json\n", "is not JSON"),
    (b"[1]\n", "no object"),
    (b'"\xff"\n', "UTF-8"),
    (b'{"type":"sessions","record":{}}\n', "has the type 'sessions'"),
    (b'{"type":"workflow","record":{"id":"w9"}}\n', "name: is missing"),
    (b'{"type":"workflow","record":{},"more":1}\n', "has the keys"),
    (
        b'{"type":"session","record":{"id":"s9","workflow_id":"no such","workflow_snapshot":{}}}\n',
        "refers to the workflow 'no such'",
    ),
]


@pytest.mark.parametrize(("bad", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_a_bad_line_is_named_by_its_number_and_nothing_is_imported(archive, bad, problem):
    lines = lines_of(archive)
    write_lines(archive, [*lines[:3], bad, *lines[3:]])
    with pytest.raises(InvalidArchiveError, match=re.escape(problem)) as raised:
        imported(archive)
    assert raised.value.line == 4
    result, contents = imported(archive, keep_going=True)
    assert [left_out.line for left_out in result.left_out] == [4]
    assert sum(map(len, contents.values())) == len(lines) - 2


def test_with_a_line_those_that_refer_to_it_are_left_out_too(archive):
    lines = lines_of(archive)
    session = next(index for index, line in enumerate(lines) if line.startswith(b'{"type":"session"'))
    session_id = json.loads(lines[session])["record"]["id"]
    lines[session] = lines[session].replace(b'"status":', b'"state":')
    write_lines(archive, lines)
    result, contents = imported(archive, keep_going=True)
    assert result.left_out[0].line == session + 1
    assert result.left_out_found > 1
    assert not [record for record in contents["execution_state"] if record["session_id"] == session_id]
    assert result.comparison is not None
    assert result.comparison.is_equal


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from aaow_storage import create_adapter
from aaow_storage_tools import import_store
from aaow_storage_tools._archives import importing
importing._RECORDS_AT_ONCE = 5

def kill(progress):
    if progress.what == "records imported" and progress.done >= 10:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with create_adapter(sys.argv[2]) as target:
        await import_store(Path(sys.argv[1]), target, journal=Path(sys.argv[3]), progress=kill)

asyncio.run(main())
"""


def test_an_import_that_is_killed_leaves_nothing_and_can_be_given_again(archive, tmp_path):
    url, journal = f"file:{tmp_path}/target.db", tmp_path / "journal"
    done = subprocess.run([sys.executable, "-c", KILLED, archive, url, journal], check=False)
    assert done.returncode == -signal.SIGKILL

    async def run() -> None:
        async with create_adapter(url) as target:
            assert not any((await contents_of(target)).values())
            result = await import_store(archive, target, journal=journal)
            assert result.comparison is not None
            assert result.comparison.is_equal
            assert not result.was_resumed

    asyncio.run(run())


def test_a_repeated_record_and_a_second_archive_are_refused(archive):
    lines = lines_of(archive)
    write_lines(archive, [*lines[:2], lines[1], *lines[2:]])
    with pytest.raises(InvalidArchiveError, match="repeats the workflow"):
        imported(archive)
    archive.write_bytes(b"".join(lines + lines))
    with pytest.raises(InvalidArchiveError, match="comes after the end"):
        imported(archive)


def test_a_file_of_something_else_or_of_a_later_version_is_refused(archive):
    lines = lines_of(archive)
    for line, problem in (
        (b"{}\n", "is not the header"),
        (lines[0].replace(b'"version":1', b'"version":2'), "upgrade"),
    ):
        archive.write_bytes(b"".join([line, *lines[1:]]))
        with pytest.raises(InvalidArchiveError, match=problem):
            imported(archive, keep_going=True)


def test_a_state_has_the_status_of_its_session(archive):
    lines = lines_of(archive)
    state = next(index for index, line in enumerate(lines) if line.startswith(b'{"type":"execution_state"'))
    lines[state] = re.sub(rb'"status":"[a-z_]+"', b'"status":"queued"', lines[state], count=1)
    write_lines(archive, lines)
    with pytest.raises(InvalidArchiveError, match="its session has another"):
        imported(archive)


def test_a_store_that_is_not_empty_is_left_alone_unless_it_is_merged(archive):
    async def run() -> None:
        async with create_adapter("memory") as target:
            first = await import_store(archive, target)
            (workflow, *_) = await target.list_workflows()
            await target.update_workflow(workflow.id, name="changed")
            with pytest.raises(NotEmptyError, match="workflows"):
                await import_store(archive, target)
            merged = await import_store(archive, target, merge=True)
            assert (first.stored, merged.stored) == (sum(first.counts.values()), 1)
            assert await target.get_workflow(workflow.id) == workflow

    asyncio.run(run())


def test_a_file_that_is_there_is_not_overwritten_and_a_failed_export_leaves_none(archive, tmp_path):
    async def run() -> None:
        async with create_adapter("memory") as source:
            await import_store(archive, source)
            with pytest.raises(AlreadyThereError):
                await export_store(source, archive)
            await export_store(source, archive, overwrite=True)

            def fail(_) -> None:
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                await export_store(source, tmp_path / "new.jsonl", progress=fail)
        assert {path.name for path in tmp_path.iterdir()} == {archive.name}

    asyncio.run(run())


def test_a_large_archive_is_imported_in_parts_and_goes_on_after_a_failure(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "RECORDS_IN_ONE_TRANSACTION", 3)
    monkeypatch.setattr(importing, "_RECORDS_AT_ONCE", 3)
    journal = tmp_path / "journal"

    async def run() -> None:
        async with create_adapter("memory") as target, create_adapter("memory") as whole:
            await import_store(archive, whole)
            original = target.transact
            calls = 0

            async def transact(*arguments, **options) -> Any:
                nonlocal calls
                calls += 1
                if calls == 4:
                    raise StorageError("the disk is full")
                return await original(*arguments, **options)

            monkeypatch.setattr(target, "transact", transact)
            with pytest.raises(ResumableError, match="the disk is full") as raised:
                await import_store(archive, target, journal=journal)
            assert raised.value.done == 9
            resumed = await import_store(archive, target, journal=journal)
            assert resumed.was_resumed
            assert resumed.stored == sum(resumed.counts.values()) - 9
            assert (await compare_stores(whole, target)).is_equal
            assert not journal.exists()

    asyncio.run(run())
