"""A full disk: the error is typed, no record is stored in part, and writing works once there is space."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from aaow_storage import Session, StorageAdapter, create_adapter
from aaow_storage.errors import StorageUnavailableError
from aaow_storage_postgresql.testing import Server

MOST_SESSIONS = 500


@pytest.fixture
def disk(server: Server) -> Iterator[Path]:
    """A folder of the server on its own disk of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk of its own")
    owner, folder = server.folder.stat(), server.folder / "disk"
    folder.mkdir()
    options = f"size=16m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode:
        pytest.skip("this machine does not allow tests to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def store(adapter: StorageAdapter, id: str) -> None:
    """Store a session with a large document."""
    snapshot = {"text": os.urandom(50_000).hex()}
    await adapter.create_session(Session(id=id, workflow_id=None, workflow_snapshot=snapshot))


async def fill(adapter: StorageAdapter, stored: list[str]) -> None:
    """Store sessions until one fails; return the ids of the acknowledged ones."""
    for number in range(MOST_SESSIONS):
        await store(adapter, f"{number}")
        stored.append(f"{number}")


@pytest.mark.asyncio
async def test_a_full_disk_loses_no_record_and_writing_works_once_there_is_space(server: Server, disk: Path):
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        connection.execute("CREATE DATABASE agents TABLESPACE small")
    stored: list[str] = []
    async with create_adapter("postgresql", server.url("agents")) as adapter:
        with pytest.raises(StorageUnavailableError, match="No space left on device"):
            await fill(adapter, stored)
        assert stored
        assert {session.id for session in await adapter.list_sessions()} == set(stored)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        await store(adapter, "last")
        assert {session.id for session in await adapter.list_sessions()} == {*stored, "last"}
