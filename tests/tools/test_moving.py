"""The commands `copy`, `export` and `import`."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

from random_stores import contents_of

from aaow_storage import create_adapter
from aaow_storage_tools.command_line.exit_codes import ExitCode


def contents(path: Path):
    async def read() -> object:
        async with create_adapter(f"file:{path}") as storage:
            return await contents_of(storage)

    return asyncio.run(read())


def test_a_store_is_copied_and_compared(run, store, tmp_path):
    done = run("copy", store, tmp_path / "target.db")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert "all are equal" in done.out
    assert contents(store) == contents(tmp_path / "target.db")
    again = run("copy", store, tmp_path / "target.db", "--json")
    (result,) = again.lines
    assert (result["type"], result["stored"], result["was_resumed"]) == ("result", 0, True)
    assert result["comparison"]["is_equal"]
    assert list(tmp_path.glob("target.db.copy-*.json")) == [Path(result["journal"])]


def test_a_copy_of_a_missing_store_makes_no_target(run, tmp_path):
    done = run("copy", tmp_path / "missing.db", tmp_path / "target.db")
    assert (done.code, done.out) == (ExitCode.NOT_THERE, "")
    assert list(tmp_path.iterdir()) == []


def test_a_target_with_records_is_refused_and_a_merge_is_a_dry_run(run, store, filled_store, tmp_path):
    target = tmp_path / "target.db"
    run("copy", filled_store, target, "--journal", tmp_path / "another")
    with sqlite3.connect(target) as database:
        database.execute("UPDATE workflows SET name = 'changed'")
    database.close()
    refused = run("copy", store, target)
    assert (refused.code, refused.out) == (ExitCode.REFUSED, "")
    assert "--merge" in refused.err
    before = contents(target)
    tried = run("copy", store, target, "--merge", "--json")
    assert [(line["type"], line.get("problem")) for line in tried.lines] == [
        ("difference", "differs"),
        ("result", None),
    ]
    assert tried.lines[-1]["dry_run"]
    assert "--yes" in run("copy", store, target, "--merge").err
    assert contents(target) == before
    assert run("copy", store, target, "--merge", "--yes").code == ExitCode.DONE
    assert contents(target) == contents(store)


def test_a_difference_is_shown_and_is_exit_code_1(run, store, tmp_path):
    target = tmp_path / "target.db"
    run("copy", store, target)
    with sqlite3.connect(target) as database:
        database.execute("UPDATE workflows SET name = 'changed'")
    database.close()
    done = run("copy", store, target)
    assert done.code == ExitCode.FAILED
    assert "differs" in done.out
    assert "name" in done.out


def test_sessions_are_chosen_by_a_query(run, store, tmp_path):
    assert run("copy", store, tmp_path / "target.db", "status=failed").code == ExitCode.DONE
    found = contents(tmp_path / "target.db")
    assert {session["status"] for session in found["session"]} == {"failed"}
    wrong = run("copy", store, tmp_path / "other.db", "state=failed")
    assert (wrong.code, wrong.out) == (ExitCode.USAGE, "")
    assert run("copy", store, tmp_path / "other.db", "status=failed", "--follow").code == ExitCode.USAGE
    assert run("copy", store, tmp_path / "other.db", "--until-quiet", "1").code == ExitCode.USAGE
    assert not (tmp_path / "other.db").exists()


def test_a_store_is_not_copied_onto_itself(run, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("copy", store, f"file:./{store.name}")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "one store" in done.err


def test_a_copy_follows_until_the_source_is_quiet(run, store, tmp_path):
    done = run("copy", store, tmp_path / "target.db", "--follow", "--until-quiet", "0.1")
    assert done.code == ExitCode.DONE
    assert contents(store) == contents(tmp_path / "target.db")


def test_control_c_cuts_over(run, store, tmp_path):
    target = tmp_path / "target.db"

    def press() -> None:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob("target.db.copy-*.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    presses = threading.Thread(target=press)
    presses.start()
    done = run("copy", store, target, "--follow", "--json")
    presses.join()
    assert done.code == ExitCode.DONE
    assert done.lines[-1]["comparison"]["is_equal"]
    assert contents(store) == contents(target)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_store_is_exported_and_imported(run, store, tmp_path):
    archive = tmp_path / "a.jsonl.zst"
    exported = run("export", archive, "--json")
    (result,) = exported.lines
    assert result["records"] == sum(map(len, contents(store).values()))
    refused = run("export", archive)
    assert (refused.code, refused.out) == (ExitCode.REFUSED, "")
    assert run("export", archive, "--force").code == ExitCode.DONE
    done = run("import", archive, "--storage", tmp_path / "new.db")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert contents(store) == contents(tmp_path / "new.db")
    assert not list(tmp_path.glob("new.db.import*"))
    again = run("import", archive, "--storage", tmp_path / "new.db")
    assert (again.code, again.out) == (ExitCode.REFUSED, "")
    merged = run("import", archive, "--storage", tmp_path / "new.db", "--merge")
    assert merged.code == ExitCode.DONE
    assert "--yes" in merged.err
    assert run("import", archive, "--storage", tmp_path / "new.db", "--merge", "--yes").code == ExitCode.DONE


def test_a_bad_line_is_named_and_no_store_is_made(run, store, tmp_path):
    archive = tmp_path / "a.jsonl"
    run("export", archive)
    header, _, *rest = archive.read_bytes().splitlines(keepends=True)
    end = {**json.loads(rest[-1]), "sha256": None}
    archive.write_bytes(b"".join([header, b"{}\n", *rest[:-1], json.dumps(end).encode()]))
    refused = run("import", archive, "--storage", tmp_path / "new.db")
    assert (refused.code, refused.out) == (ExitCode.FAILED, "")
    assert "line 2" in refused.err
    assert not (tmp_path / "new.db").exists()
    done = run("import", archive, "--storage", tmp_path / "new.db", "--keep-going", "--json")
    assert done.code == ExitCode.FAILED
    left_out = [line["line"] for line in done.lines if line["type"] == "left_out"]
    assert left_out[0] == 2
    assert done.lines[-1]["left_out_found"] == len(left_out)
    assert done.lines[-1]["stored"] + len(left_out) == len(rest)
