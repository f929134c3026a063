"""The commands check, prune, erase and verify-receipt."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage_tools.command_line.exit_codes import ExitCode


def damage(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)


def sessions(store: Path) -> set[str]:
    with closing(sqlite3.connect(store)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM sessions")}


UNUSED = f"INSERT INTO documents VALUES (x'{'ab' * 32}', '{{}}')"


def test_check_of_a_sound_store_tells_what_was_read(run, store: Path):
    done = run("check", "--quiet")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert "Nothing is wrong." in done.out
    result = run("check", "--json").lines[-1]
    assert (result["type"], result["sound"], result["records"]["session"], result["skipped"]) == ("result", True, 5, [])


def test_check_tells_each_finding_with_its_record_and_remedy_and_exits_with_1(run, store: Path):
    damage(store, "UPDATE documents SET body = '{}' WHERE body LIKE '%read%'")
    done = run("check", "--quiet")
    assert done.code == ExitCode.FAILED
    assert "document-damaged" in done.out
    assert "restore" in done.out
    done = run("check", "--json", "--quiet")
    *findings, result = done.lines
    assert (done.code, result["type"], result["sound"]) == (ExitCode.FAILED, "result", False)
    assert {(each["type"], each["schema"], each["problem"]) for each in findings} == {
        ("finding", 1, "document-damaged")
    }


def test_check_repairs_what_can_be_repaired(run, store: Path):
    damage(store, UNUSED)
    assert run("check", "--quiet").code == ExitCode.FAILED
    done = run("check", "--repair", "--quiet")
    assert done.code == ExitCode.DONE
    assert "1 of them repaired" in done.out
    assert run("check", "--quiet").code == ExitCode.DONE


def test_check_of_a_file_that_cannot_be_opened_has_a_finding_too(run, store: Path):
    data = bytearray(store.read_bytes())
    data[8192 * 1 : 8192 * 4] = bytes(8192 * 3)
    store.write_bytes(data)
    done = run("check", "--json", "--quiet")
    assert done.code == ExitCode.FAILED
    assert "store-damaged" in {each.get("problem") for each in done.lines}
    assert done.lines[-1]["type"] == "result"


def test_prune_counts_and_deletes_nothing_without_yes(run, store: Path):
    before = sessions(store)
    done = run("prune", "--older-than", "1d")
    assert done.code == ExitCode.DONE
    assert "TO DELETE" in done.out
    assert "--yes" in done.err
    assert sessions(store) == before
    result = run("prune", "--older-than", "1d", "--json").lines[-1]
    assert (result["type"], result["dry_run"]) == ("result", True)
    assert result["stored_bytes"] > 0


def test_prune_deletes_what_it_counted(run, store: Path):
    before = sessions(store)
    dry = run("prune", "--older-than", "1d", "--json").lines[-1]
    real = run("prune", "--older-than", "1d", "--json", "--yes").lines[-1]
    assert {**dry, "dry_run": False} == real
    assert len(before) - len(sessions(store)) == real["counts"]["session"] > 0


def test_prune_takes_conditions_and_a_policy(run, store: Path, tmp_path: Path):
    done = run("prune", "metadata.user=ada", "--older-than", "1d", "--status", "failed,completed,queued", "--json")
    assert done.lines[-1]["counts"]["session"] >= 1
    policy = tmp_path / "policy.toml"
    policy.write_text("[[rule]]\nolder_than = '1d'\nkeep_last = 100\n")
    result = run("prune", "--policy", policy, "--json").lines[-1]
    assert result["counts"] == {}
    assert result["kept"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--keep-last", "3"],
        ["--older-than", "soon"],
        ["--older-than", "1d", "colour=red"],
        ["--older-than", "1d", "--status", "done"],
        ["--policy", "policy.toml", "--older-than", "1d"],
        ["--policy", "nothing-here.toml"],
    ],
)
def test_a_prune_that_says_too_little_or_too_much_is_a_usage_error(run, store: Path, arguments: list[str]):
    done = run("prune", *arguments)
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err


def test_erase_writes_a_receipt_that_verify_receipt_checks(run, store: Path, tmp_path: Path):
    file = tmp_path / "ada.json"
    before = sessions(store)
    dry = run("erase", "--where", "metadata.user=ada", "--receipt", file, "--json").lines[-1]
    assert (dry["dry_run"], sessions(store), file.exists()) == (True, before, False)
    done = run("erase", "--where", "metadata.user=ada", "--receipt", file, "--yes", "--json")
    result = done.lines[-1]
    assert (done.code, result["counts"], result["receipt_file"]) == (ExitCode.DONE, dry["counts"], str(file))
    assert json.loads(file.read_text("utf-8")) == result["receipt"]
    assert len(sessions(store)) < len(before)
    done = run("verify-receipt", file)
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert "Nothing of it is there" in done.out


def test_verify_receipt_names_what_is_there(run, store: Path, filled_store: Path, tmp_path: Path):
    file = tmp_path / "ada.json"
    run("erase", "--where", "metadata.user=ada", "--receipt", file, "--yes")
    done = run("verify-receipt", file, "--storage", f"file:{filled_store}", "--json")
    *leftovers, result = done.lines
    assert (done.code, result["erased"]) == (ExitCode.FAILED, False)
    assert {"session", "llm_execution", "tool_call"} <= {each["kind"] for each in leftovers}
    assert "it is there" in run("verify-receipt", file, "--storage", f"file:{filled_store}").out


def test_sessions_that_meet_a_condition_by_the_passing_of_time_are_no_leftovers(
    run, store: Path, filled_store: Path, tmp_path: Path
):
    file = tmp_path / "old.json"
    done = run("erase", "--where", "updated_at<-1d", "--where", "metadata.user=ada", "--receipt", file, "--yes")
    assert done.code == ExitCode.DONE
    damage(store, "UPDATE sessions SET metadata = replace(metadata, 'grace', 'ada')")
    assert run("verify-receipt", file).code == ExitCode.DONE


def test_a_receipt_that_was_changed_is_refused(run, store: Path, tmp_path: Path):
    file = tmp_path / "ada.json"
    run("erase", "--where", "metadata.user=ada", "--receipt", file, "--yes")
    file.write_text(file.read_text("utf-8").replace("metadata.user=ada", "metadata.user=eve"), "utf-8")
    done = run("verify-receipt", file)
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "digest" in done.err


def test_an_existing_receipt_is_not_replaced(run, store: Path, tmp_path: Path):
    file = tmp_path / "ada.json"
    file.write_text("{}")
    before = sessions(store)
    done = run("erase", "--where", "metadata.user=ada", "--receipt", file, "--yes")
    assert (done.code, done.out, sessions(store)) == (ExitCode.REFUSED, "", before)


def test_without_a_name_the_receipt_is_in_the_folder_and_named_by_the_request(
    run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        run("erase", "--where", "metadata.user=ada", "--yes")
        assert len(list(tmp_path.glob("erasure-*.json"))) == number


def test_erase_without_a_condition_is_a_usage_error(run, store: Path):
    assert run("erase", "--yes").code == ExitCode.USAGE
