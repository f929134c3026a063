"""A store in a database that commits each statement that changes the schema, as SQLite does outside of transactions."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_sql import (
    HEAD,
    VERSION_TABLE,
    Opening,
    RowLease,
    SQLConnection,
    metadata,
    migrate_to,
    plan_steps,
    schema_status_of,
    stored_version,
    upgrade_in_steps,
)
from aaow_storage_sql._migrations import history
from aaow_storage_sql._migrations.steps import Step
from aaow_storage_sql._schema import revisions
from aaow_storage_sql._tuning import DEFAULT
from aaow_storage_sqlite._connections import connect
from aaow_storage_sqlite._dialect import SQLiteDialect
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import migrate_store

LEASE_US = round(DEFAULT.migration_lease_s * 10**6)
LOCK_TABLE = "aaow_migration_lock"


class CommittingDialect(SQLiteDialect):
    """SQLite without transactions around what changes the schema, and with a clock that the test sets."""

    ddl_commits: ClassVar[bool] = True
    list_tables: ClassVar[str] = (
        "SELECT json_group_array(lower(name)) FROM sqlite_master WHERE type IN ('table', 'view')"
    )
    clock: ClassVar[str] = "test_clock()"


class Killed(BaseException):
    """The end of the process."""


class Store:
    """A database that connections are opened to; statements are counted, and one may be the last of a process."""

    def __init__(self, path: Path | None = None) -> None:
        self.settings = Settings(Location(path), Synchronous.NORMAL, busy_timeout=5)
        self.kept = None if path else self._connect()
        self.now_us = 10**15
        self.statements: list[str] = []
        self.before: Callable[[str], None] = self.statements.append

    @contextmanager
    def opened(self) -> Iterator[SQLConnection]:
        if self.kept is not None:
            yield self.kept
            return
        with closing(self._connect()) as opened:
            yield opened

    def _connect(self) -> SQLConnection:
        in_memory = None if self.settings.location.path else "file::memory:"
        opened = connect(self.settings, in_memory)
        opened.dialect = CommittingDialect(str(self.settings.location))
        opened.driver_connection.execute("PRAGMA busy_timeout = 5000")
        opened.driver_connection.create_function("test_clock", 0, lambda: self.now_us)
        run = opened._execute

        def execute(text: str, values: Any) -> Any:
            self.before(text)
            return run(text, values)

        opened._execute = execute
        return opened

    def initialize(self, *, migrate: bool = True) -> None:
        with self.opened() as connection:
            upgrade_in_steps(connection, Opening(), migrate=migrate)

    def initialize_until(self, last: int) -> bool:
        """Initialize in a process that is killed before a statement; return whether there was one."""
        numbers = itertools.count()

        def before(text: str) -> None:
            del text
            if next(numbers) >= last:
                raise Killed

        self.before = before
        try:
            self.initialize()
        except Killed:
            self.now_us += LEASE_US + 1
            return True
        finally:
            self.before = self.statements.append
        return False

    def schema(self) -> list[tuple[Any, ...]]:
        with self.opened() as connection:
            return connection.driver_connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.opened() as connection:
            return connection.driver_connection.execute(query).fetchall()


@pytest.fixture
def store() -> Store:
    """A store in memory, on one connection that outlives its processes."""
    return Store()


@pytest.fixture
def shared(tmp_path: Path) -> Store:
    """A store in a file, which several connections are open on."""
    return Store(tmp_path / "store.db")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that was made without an interruption."""
    store = Store(tmp_path_factory.mktemp("complete") / "store.db")
    store.initialize()
    return store


def test_a_new_store_has_exactly_the_tables_of_the_migrations(complete: Store, connection: SQLConnection):
    migrate_store(connection, HEAD, timeout_s=5)
    query = (
        "SELECT name, replace(sql, 'IF NOT EXISTS ', '') FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    migrated = dict(connection.driver_connection.execute(query).fetchall())
    partial = {name for name, text in migrated.items() if " WHERE " in text}
    made = dict(complete.rows(query))
    assert made.keys() == migrated.keys()
    assert partial == {name for name, text in made.items() if " WHERE " in text}
    tables = {name for (name,) in complete.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {*metadata.tables, VERSION_TABLE, LOCK_TABLE}
    assert complete.rows(f"SELECT * FROM {VERSION_TABLE}") == [(HEAD,)]
    assert len(complete.rows("SELECT generation FROM change_feed WHERE is_recording")) == 1


def test_a_store_that_is_up_to_date_is_opened_by_two_queries(complete: Store):
    complete.statements.clear()
    complete.initialize(migrate=False)
    assert len(complete.statements) == 2


def test_killed_before_any_statement_the_next_initialize_makes_the_store_complete(complete: Store):
    for last in itertools.count():
        store = Store()
        was_killed = store.initialize_until(last)
        store.initialize()
        assert store.schema() == complete.schema()
        assert store.rows(f"SELECT * FROM {VERSION_TABLE}") == [(HEAD,)]
        assert len(store.rows("SELECT * FROM change_feed")) == 1
        if not was_killed:
            break
    assert last > len(metadata.tables)


def test_killed_again_and_again_each_process_goes_on_where_the_one_before_ended(complete: Store, store: Store):
    statements = itertools.count(12)
    while store.initialize_until(next(statements)):
        pass
    assert store.schema() == complete.schema()


def of_unfinished(store: Store) -> str:
    """Let a process be killed while it makes the tables; return the version that the store has then."""
    store.initialize_until(40)
    ((version,),) = store.rows(f"SELECT version_num FROM {VERSION_TABLE}")
    assert version.startswith(f"installing {HEAD} ")
    return version


def test_an_unfinished_store_is_refused_without_migrate_and_not_changed(store: Store):
    of_unfinished(store)
    before = store.schema()
    with pytest.raises(SchemaVersionError, match=r"has no schema.* migrate=True to go on") as refused:
        store.initialize(migrate=False)
    assert refused.value.found is None
    assert store.schema() == before


def test_the_status_of_an_unfinished_store_says_what_is_missing(store: Store):
    status = schema_status_of(of_unfinished(store))
    assert (status.expected, status.pending, status.is_newer) == (HEAD, ("the tables that are missing",), False)
    assert schema_status_of("installing 9999 ab12cd34").is_newer


def test_the_plan_of_an_unfinished_store_goes_on_to_the_latest_version(store: Store):
    version = of_unfinished(store)
    with store.opened() as connection:
        plan = plan_steps(connection)
    assert plan.startswith(f"-- {HEAD}: all tables, as this release has them\n")
    assert plan.endswith(f"SET version_num = '{HEAD}' WHERE version_num = '{version}';\n")


def test_the_plan_of_an_empty_store_makes_what_initialize_makes(store: Store, complete: Store):
    with store.opened() as connection:
        plan = plan_steps(connection)
        assert stored_version(connection) is None
        connection.driver_connection.executescript(plan)
        assert stored_version(connection) == HEAD
        assert plan_steps(connection) == ""
    assert store.schema() == [row for row in complete.schema() if LOCK_TABLE not in row[0]]


def test_what_a_newer_release_began_to_make_is_refused(store: Store):
    of_unfinished(store)
    with store.opened() as connection:
        connection.command(f"UPDATE {VERSION_TABLE} SET version_num = 'installing 9999 ab12cd34'")
    with pytest.raises(SchemaVersionError, match="newer release"):
        store.initialize()


def test_what_an_older_release_began_to_make_is_made_anew(store: Store, complete: Store):
    of_unfinished(store)
    with store.opened() as connection:
        connection.command("ALTER TABLE documents ADD COLUMN of_another_release")
        connection.command(f"UPDATE {VERSION_TABLE} SET version_num = 'installing 0010 ab12cd34'")
    store.initialize()
    assert store.schema() == complete.schema()


@pytest.mark.parametrize("has_version_table", [False, True])
def test_tables_of_another_application_are_refused_and_nothing_is_created(store: Store, has_version_table: bool):
    with store.opened() as connection:
        connection.command("CREATE TABLE sessions (mine)")
        if has_version_table:
            connection.command(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)")
    before = store.schema()
    with pytest.raises(SchemaVersionError, match="another application"):
        store.initialize()
    assert store.schema() == before


def test_tables_that_another_process_is_making_are_not_taken_for_those_of_another_application(shared: Store):
    """The version, which was made first, is missing in what was read before it was made."""
    with shared.opened() as connection:
        other = Store(shared.settings.location.path)
        real, names = connection.command, CommittingDialect.list_tables

        def command(text: str) -> Any:
            if text != names or real(text) != ("[]",):
                return real(text)
            other.initialize()
            return ('["documents"]',)

        connection.command = command
        assert stored_version(connection) == HEAD


class Invented:
    """A revision after the latest one.

    The second line is not its title.
    """

    revision = "9001"

    def upgrade(self, op: object) -> None:
        raise NotImplementedError

    def downgrade(self, op: object) -> None:
        raise NotImplementedError

    def steps(self, dialect: object) -> Iterator[Step]:
        has_column = "SELECT 1 FROM pragma_table_info('sessions') WHERE name = 'color'"
        yield Step("ALTER TABLE sessions ADD COLUMN color TEXT", has_column)
        yield Step("CREATE INDEX IF NOT EXISTS ix_sessions_color ON sessions (color)")
        yield Step("UPDATE streams SET last_sequence = 7 WHERE last_sequence < 7")


class Another(Invented):
    """One more of them."""

    revision = "9002"

    def steps(self, dialect: object) -> Iterator[Step]:
        yield Step("CREATE TABLE IF NOT EXISTS colors (name TEXT)")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make this release one that is two revisions later."""

    def make() -> None:
        monkeypatch.setattr(history, "HISTORY", (*history.HISTORY, Invented(), Another()))
        monkeypatch.setattr(revisions, "REVISIONS", (*revisions.REVISIONS, "9001", "9002"))
        monkeypatch.setattr(revisions, "HEAD", "9002")

    return make


def test_killed_before_any_statement_of_later_revisions_the_next_initialize_goes_on(newer: Callable[[], None]):
    stores = [Store() for _ in range(40)]
    for store in stores:
        store.initialize()
        with store.opened() as connection:
            connection.command("INSERT INTO streams VALUES ('s', 3)")
    newer()
    killed = [store.initialize_until(last) for last, store in enumerate(stores)]
    assert killed[10]
    assert not killed[-1]
    for store in stores:
        store.initialize()
        assert store.rows(f"SELECT * FROM {VERSION_TABLE}") == [("9002",)]
        assert store.rows("SELECT * FROM streams") == [("s", 7)]
        assert store.schema() == stores[-1].schema()


def test_the_version_is_set_after_each_revision(store: Store, newer: Callable[[], None]):
    store.initialize()
    newer()
    seen = []
    for last in itertools.count():
        if not store.initialize_until(last):
            break
        seen += store.rows(f"SELECT version_num FROM {VERSION_TABLE}")
    assert [*dict.fromkeys(seen)] == [(HEAD,), ("9001",)]


def test_the_plan_of_later_revisions_has_the_steps_that_have_not_run(store: Store, newer: Callable[[], None]):
    store.initialize()
    newer()
    with store.opened() as connection:
        connection.command("ALTER TABLE sessions ADD COLUMN color TEXT")
        assert plan_steps(connection).splitlines() == [
            "-- 9001: A revision after the latest one.",
            "CREATE INDEX IF NOT EXISTS ix_sessions_color ON sessions (color);",
            "UPDATE streams SET last_sequence = 7 WHERE last_sequence < 7;",
            f"UPDATE {VERSION_TABLE} SET version_num = '9001' WHERE version_num = '{HEAD}';",
            "",
            "-- 9002: One more of them.",
            "CREATE TABLE IF NOT EXISTS colors (name TEXT);",
            f"UPDATE {VERSION_TABLE} SET version_num = '9002' WHERE version_num = '9001';",
        ]


def test_a_revision_without_steps_says_so(store: Store, newer: Callable[[], None], monkeypatch: pytest.MonkeyPatch):
    store.initialize()
    newer()
    monkeypatch.setattr(history, "HISTORY", (*history.HISTORY[:-2], SimpleNamespace(revision="9001"), Another()))
    with pytest.raises(SchemaVersionError, match="the step to 9001 is not made for this database"):
        store.initialize()


def test_every_revision_after_the_first_that_such_a_database_may_have_has_steps():
    later = [each for each in history.HISTORY if each.revision > "0011"]
    assert [each.revision for each in later if not isinstance(each, history.SteppedRevision)] == []


def test_a_store_never_goes_back_to_an_earlier_version(store: Store):
    store.initialize()
    with store.opened() as connection, pytest.raises(SchemaVersionError, match="never goes back") as refused:
        migrate_to(connection, HEAD, "0010")
    assert (refused.value.found, refused.value.expected) == (HEAD, "0010")


def test_one_process_at_a_time_has_the_lock_and_another_takes_it_over_once_its_lease_ends(shared: Store):
    with shared.opened() as one, shared.opened() as other:
        first, second = RowLease(one), RowLease(other)
        assert first.take()
        assert not second.take()
        shared.now_us += LEASE_US
        first.renew()
        shared.now_us += LEASE_US
        assert not second.take()
        shared.now_us += 1
        assert second.take()
        with pytest.raises(StorageError, match="taken over"):
            first.renew()
        first.release()
        assert not first.take()
        second.release()
        assert first.take()


def test_a_process_that_waits_for_another_one_finds_the_store_complete(shared: Store, monkeypatch: pytest.MonkeyPatch):
    """The other process makes the store while this one waits for its lock."""
    other = Store(shared.settings.location.path)
    with other.opened() as connection:
        lease = RowLease(connection)
        assert lease.take()
    waits = []

    def sleep(opening: Opening, seconds: float) -> None:
        if seconds:
            waits.append(seconds)
            other.before(f"wait {len(waits)}")
            if len(waits) == 3:
                with other.opened() as connection:
                    lease._connection = connection
                    lease.release()
                other.initialize()

    monkeypatch.setattr(Opening, "sleep", sleep)
    shared.initialize()
    assert waits == [DEFAULT.lease_interval_s] * 3
    assert not [text for text in shared.statements if text.startswith("CREATE TABLE IF NOT EXISTS documents")]
    assert shared.rows(f"SELECT * FROM {VERSION_TABLE}") == [(HEAD,)]


def test_a_process_that_waits_can_be_cancelled(shared: Store):
    with shared.opened() as connection:
        assert RowLease(connection).take()
    opening, failures, waits = Opening(), [], threading.Event()
    shared.before = lambda text: waits.set() if text.startswith("UPDATE aaow_migration_lock") else None

    def wait() -> None:
        try:
            with shared.opened() as connection:
                upgrade_in_steps(connection, opening, migrate=True)
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(10)
    opening.cancel()
    thread.join(10)
    assert [type(each) for each in failures] == [asyncio.CancelledError]


def test_a_process_whose_lease_was_taken_over_runs_no_further_step(shared: Store, monkeypatch: pytest.MonkeyPatch):
    """It stands still for longer than its lease; then it waits for the one that goes on."""
    other = Store(shared.settings.location.path)

    def stand_still(text: str) -> None:
        if text.startswith("CREATE TABLE IF NOT EXISTS sessions "):
            shared.before = shared.statements.append
            other.now_us = shared.now_us = shared.now_us + LEASE_US + 1
            other.initialize()
        shared.statements.append(text)

    shared.before = stand_still
    monkeypatch.setattr(Opening, "sleep", lambda opening, seconds: None)
    shared.initialize()
    (at,) = (index for index, text in enumerate(shared.statements) if "EXISTS sessions " in text)
    assert not [text for text in shared.statements[at + 1 :] if "CREATE TABLE" in text and LOCK_TABLE not in text]
    assert shared.rows(f"SELECT * FROM {VERSION_TABLE}") == [(HEAD,)]
    assert len(shared.rows("SELECT * FROM change_feed")) == 1


def test_four_threads_that_make_a_store_at_once_all_succeed(tmp_path: Path, complete: Store):
    stores = [Store(tmp_path / "store.db") for _ in range(4)]
    failures = []

    def initialize(store: Store) -> None:
        try:
            store.initialize()
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=initialize, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert stores[0].schema() == complete.schema()
    assert len(stores[0].rows("SELECT * FROM change_feed")) == 1
