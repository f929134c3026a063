"""`approve`, `reject` and `expire`."""

import sqlite3
from pathlib import Path

import pytest

from aaow_storage_tools.command_line.configuration import configuration_path
from aaow_storage_tools.command_line.exit_codes import ExitCode


@pytest.mark.parametrize(("command", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_stored_and_shown(command: str, status: str, run, store):
    done = run(command, "approval-2", "--by", "ada", "--notes", "as agreed", "--session-status", "paused")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert [line.split(maxsplit=1) for line in done.out.splitlines()][:3] == [
        [status, "approval-2"],
        ["by", "ada"],
        ["notes", "as agreed"],
    ]
    record = run("show", "approval", "approval-2", "--json").document["record"]
    assert (record["status"], record["resolved_by"], record["resolution_notes"]) == (status, "ada", "as agreed")
    assert run("show", "session", "session-2", "--json").document["session"]["status"] == "paused"


def test_a_decision_is_one_document(run, store):
    document = run("approve", "approval-2", "--by", "ada", "--json").document
    assert (document["type"], document["record"]["status"]) == ("approval_request", "approved")


def test_the_loser_is_told_who_decided_when_and_with_which_notes(run, store):
    done = run("reject", "approval-0", "--by", "ada")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert "the request approval-0 was approved already by grace, at 20" in done.err
    assert "with the notes: a good customer" in done.err
    error = run("reject", "approval-0", "--by", "ada", "--json").error
    assert (error["exit_code"], error["error"]) == (13, "TooLateError")
    assert error["current"]["resolved_by"] == "grace"


def test_an_expired_request_cannot_be_decided(run, store):
    done = run("approve", "approval-1", "--by", "ada")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert "expired at 2026-01-01 13:30:00 UTC; nobody decided on it" in done.err


def test_a_request_that_is_not_there_cannot_be_decided(run, store):
    done = run("approve", "nope", "--by", "ada")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "there is no approval request 'nope'" in done.err


def test_a_wrong_status_is_a_usage_error(run, store):
    done = run("approve", "approval-2", "--by", "ada", "--session-status", "sleeping")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert run("show", "approval", "approval-2", "--json").document["record"]["status"] == "pending"


def test_who_decides_has_to_be_said(run, store):
    done = run("approve", "approval-2")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "--by" in done.err


def test_the_sweep_expires_what_is_overdue(run, store):
    *expired, result = run("expire", "--session-status", "failed", "--json").lines
    assert [line["record"]["id"] for line in expired] == ["approval-1"]
    assert (result["type"], result["count"]) == ("result", 1)
    done = run("expire")
    assert (done.code, done.out, done.err) == (ExitCode.DONE, "", "No request was overdue.\n")


def test_a_store_that_others_hold_is_busy(run, store: Path):
    path = configuration_path()
    path.parent.mkdir(parents=True)
    path.write_text(f"[profiles.here]\nstorage = 'file:{store}'\noptions = {{ busy_timeout = 0.1 }}")
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        done = run("approve", "approval-2", "--by", "ada", "--profile", "here", "--json")
    finally:
        other.close()
    assert (done.code, done.out) == (ExitCode.BUSY, "")
    assert done.error["exit_code"] == ExitCode.BUSY
    assert run("show", "approval", "approval-2", "--json").document["record"]["status"] == "pending"
