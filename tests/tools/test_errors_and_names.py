"""Which error has which exit code, and the names of the library."""

import importlib
import subprocess
import sys

import pytest

import aaow_storage_tools
from aaow_storage import errors
from aaow_storage_tools import _errors
from aaow_storage_tools._looking.lookup import AmbiguousIdError
from aaow_storage_tools._looking.query_language import QueryError
from aaow_storage_tools.command_line.exit_codes import ExitCode, exit_code_of
from aaow_storage_tools.command_line.stores import StoreNotThereError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StoreBusyError("locked"), 11),
        (errors.ContentionError("run it again"), 11),
        (_errors.AlreadyRunningError("copy", "a.journal"), 11),
        (errors.StorageUnavailableError("no route"), 10),
        (StoreNotThereError("file:a.db", "--storage"), 10),
        (errors.SchemaVersionError("9999", "0011", "upgrade"), 12),
        (errors.ConflictError("decided"), 13),
        (errors.AlreadyExistsError("session", "a"), 13),
        (_errors.NotEmptyError("file:a.db", {"session": 1}, "name another"), 13),
        (_errors.AlreadyThereError("a.jsonl"), 13),
        (_errors.ResumableError("copy", 3, "the disk is full"), 3),
        (errors.ValidationError("a", "b", "c"), 2),
        (errors.BackendNotFoundError("a", (), "install it"), 2),
        (QueryError("a", "b"), 2),
        (AmbiguousIdError("session", "a", ["ab", "ac"]), 2),
        (errors.NotFoundError("session", "a"), 1),
        (errors.CorruptDataError("damaged"), 1),
        (errors.OutcomeUnknownError("lost"), 1),
        (_errors.InvalidArchiveError("a.jsonl", 3, "is not JSON"), 1),
        (_errors.UnsupportedByBackendError("memory", "backups", "export it"), 1),
        (errors.NotOfferedError("sizes", "memory"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(int(value)),
)
def test_an_error_has_an_exit_code(error: errors.StorageError, code: int):
    assert exit_code_of(error) == ExitCode(code)


def test_every_public_name_is_there_and_sorted():
    for name in aaow_storage_tools.__all__:
        module = importlib.import_module(aaow_storage_tools._MODULES[name])
        assert getattr(aaow_storage_tools, name) is getattr(module, name)
    assert set(aaow_storage_tools.__all__) == set(aaow_storage_tools._MODULES) == set(dir(aaow_storage_tools))
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        aaow_storage_tools.nope  # noqa: B018 - it raises


def test_importing_the_package_imports_none_of_its_modules():
    code = "import sys, aaow_storage_tools; assert not [n for n in sys.modules if n.startswith('aaow_storage_tools.')]"
    subprocess.run([sys.executable, "-c", code], check=True)
