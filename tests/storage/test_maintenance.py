"""Maintenance as the interface has it: found by the name of a backend, and optional in every part."""

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from aaow_storage import (
    Backend,
    BackendNotFoundError,
    NotOfferedError,
    Session,
    UnsupportedOperationError,
    ValidationError,
    create_adapter,
    maintenance_of,
    register_plugin,
    unregister_plugin,
)
from aaow_storage.authoring import SchemaStatus, StoreMaintenance
from aaow_storage.hookspecs import hookimpl

METHODS = [name for name, value in vars(StoreMaintenance).items() if inspect.iscoroutinefunction(value)]
ARGUMENTS = {
    "backup": ["/nowhere/file"],
    "measure_sessions": [["s"]],
    "restore": ["/nowhere/file"],
    "trim_session": ["s", 1],
    "verify": ["/nowhere/file"],
}


class Place(StoreMaintenance):
    place = "the drawer"


@pytest.fixture
def third_party(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a backend of somebody else, whose maintenance is the parameter."""

    class Plugin:
        @hookimpl
        def aaow_storage_backend(self) -> Backend:
            return Backend(
                name="drawer",
                summary="for a test",
                create=lambda url=None: create_adapter("memory"),
                options={"size": "of the drawer"},
                maintenance=request.param,
            )

    plugin = Plugin()
    register_plugin(plugin)
    yield "drawer"
    unregister_plugin(plugin)


@pytest.mark.parametrize("third_party", [None], indirect=True)
def test_a_backend_without_maintenance_is_named_and_does_all_else(third_party: str):
    with pytest.raises(NotOfferedError, match="the backend 'drawer': its backend does not offer maintenance: use the"):
        maintenance_of(third_party)
    create_adapter(third_party)


@pytest.mark.asyncio
@pytest.mark.parametrize("third_party", [lambda url=None, **options: Place()], indirect=True)
@pytest.mark.parametrize("method", METHODS)
async def test_what_a_backend_does_not_override_is_not_offered(third_party: str, method: str):
    maintenance = maintenance_of(third_party, size=1)
    call = getattr(maintenance, method)(*ARGUMENTS.get(method, []))
    if method == "copy_before_upgrade":
        assert await call is None
        return
    with pytest.raises(NotOfferedError, match=rf"the drawer: its backend does not offer {method}\(\)") as caught:
        await call
    assert isinstance(caught.value, UnsupportedOperationError)
    assert not caught.value.is_retryable


@pytest.mark.asyncio
@pytest.mark.parametrize("third_party", [lambda url=None, **options: Place()], indirect=True)
async def test_checking_records_is_not_offered_either(third_party: str):
    with pytest.raises(NotOfferedError, match=r"check_records\(\)"):
        await anext(maintenance_of(third_party).check_records())


@pytest.mark.parametrize("third_party", [lambda url=None: SimpleNamespace()], indirect=True)
def test_what_is_no_maintenance_is_refused(third_party: str):
    with pytest.raises(BackendNotFoundError, match="SimpleNamespace, which is not a StoreMaintenance"):
        maintenance_of(third_party)


def test_an_unknown_backend_or_option_is_refused_as_by_create_adapter():
    with pytest.raises(BackendNotFoundError):
        maintenance_of("nothing-like-it")
    with pytest.raises(ValidationError, match=r"maintenance_of\.colour"):
        maintenance_of("memory", colour="red")
    with pytest.raises(ValidationError, match="given twice"):
        maintenance_of("memory://", "memory://")


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_the_error_can_be_copied_with_its_facts(copied):
    error = copied(NotOfferedError("backup", "a place", "no program"))
    assert (error.operation, error.place, error.reason) == ("backup", "a place", "no program")
    assert str(error) == "a place: its backend does not offer backup(): no program"


def test_a_store_without_a_schema_is_not_current():
    assert not SchemaStatus(found=None, expected="0001").is_current


@pytest.mark.asyncio
async def test_the_memory_backend_tells_sizes_and_that_nothing_stays():
    maintenance = maintenance_of("memory://for-maintenance")
    assert not await maintenance.exists()
    async with create_adapter("memory://for-maintenance") as storage:
        await storage.create_session(Session(workflow_id=None, workflow_snapshot={"nodes": ["x" * 10_000]}))
        sizes = await maintenance.sizes()
    assert await maintenance.exists()
    assert sizes.tables[0].name == "session"
    assert sizes.total_bytes > 10_000
    assert (await maintenance.durability()).warnings
    with pytest.raises(NotOfferedError):
        await maintenance.backup("/nowhere/file")


def test_an_adapter_imports_nothing_of_maintenance():
    program = """
import sys
import aaow_storage.authoring
for backend in ("memory", "sqlite", "postgresql"):
    aaow_storage.create_adapter(backend)
print([name for name in sys.modules if "maintenance" in name])
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
