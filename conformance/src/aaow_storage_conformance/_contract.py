"""The clauses of the storage contract, and the marks that tie tests to them."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

import attrs
import pytest

from aaow_storage import Capability

TestT = TypeVar("TestT", bound=Callable[..., Any])


CONTRACT_VERSION = "1.1"
"""The version of the storage contract with these clauses."""

AREAS = {
    "REC": "Records",
    "OPS": "Operations",
    "WFL": "Workflows",
    "SES": "Sessions",
    "STA": "Execution states",
    "LLM": "LLM executions",
    "TOO": "Tool calls",
    "BUD": "Budgets",
    "APR": "Approvals",
    "STR": "Streams",
    "CHG": "Changes",
    "USE": "Usage",
    "QRY": "Queries",
    "TXN": "Transactions",
    "LIF": "Lifecycle",
    "ERR": "Errors",
    "CON": "Concurrency",
    "DUR": "Durability",
}
"""The areas of the contract, by the first letters of clause ids."""


class Level(StrEnum):
    """A backend that breaks a MUST clause is not conformant; one that breaks a SHOULD clause still is."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@attrs.frozen
class Clause:
    """One promise of the contract.

    Attributes:
        id: the area's letters, and a number that is never given twice.
        sentence: the promise in one line.
        capability: the capability whose claim makes the clause binding; None if it binds every backend.
        level: MUST or SHOULD.
        since: the version of the contract that introduced it.
    """

    id: str
    sentence: str
    capability: Capability | None = None
    level: Level = attrs.field(default=Level.MUST, kw_only=True)
    since: str = attrs.field(default="1.0", kw_only=True)

    @property
    def area(self) -> str:
        """The key of `AREAS` for this clause."""
        return self.id.partition("-")[0]


_ALL = (
    Clause("REC-1", "A record with a wrong value cannot be built; the error names the record and the field."),
    Clause(
        "REC-2", "Ids are 1 to 255 characters of any Unicode but NUL, compared by code point; new ids sort by time."
    ),
    Clause("REC-3", "Instants are aware, and come back equal, in UTC, to the microsecond."),
    Clause(
        "REC-4", "JSON comes back equal, with the same types and key order; what is not JSON is refused with its place."
    ),
    Clause("REC-5", "Plain text takes any Unicode but NUL and lone surrogates."),
    Clause("REC-6", "What a caller does to a value it passed in or got back changes nothing stored."),
    Clause("REC-7", "Documents of 8 MiB, and of 200 levels, are stored and come back."),
    Clause("REC-8", "Amounts are exact decimals with 18 digits on each side of the point; their sums do not drift."),
    Clause("REC-9", "What was sent to a model, and what it answered and cost, comes back as saved.", since="1.1"),
    Clause("OPS-1", "What is not there is None from a getter of one, and an empty list from a list."),
    Clause("OPS-2", "Inserting an id that is taken raises AlreadyExistsError, and the stored record stays."),
    Clause("OPS-3", "Saving inserts, or replaces the whole record under its id."),
    Clause("OPS-4", "An update changes the fields it names and no other; None clears; what is wrong changes nothing."),
    Clause("OPS-5", "Deleting what is not there raises NotFoundError."),
    Clause("OPS-6", "Each operation happens whole or not at all, under faults and cancellation too."),
    Clause("OPS-7", "When an operation returns, every other connection sees its effect."),
    Clause("OPS-8", "A reference to a parent that is not there raises NotFoundError naming it, and stores nothing."),
    Clause(
        "OPS-9",
        "A default of the interface and a backend's own version give the same answer, order included.",
        since="1.1",
    ),
    Clause(
        "OPS-10",
        "An update with only_if is made if the stored record meets it, and changes nothing otherwise.",
        since="1.1",
    ),
    Clause(
        "OPS-11",
        "A patch changes the keys that it names in the stored JSON object; concurrent patches lose nothing.",
        since="1.1",
    ),
    Clause(
        "OPS-12",
        "A list over all sessions has each record of each session once, in its order; counts agree with it.",
        since="1.1",
    ),
    Clause("WFL-1", "Deleting a workflow leaves its sessions whole, with no workflow id."),
    Clause("SES-1", "Only status, metadata and updated_at of a session can be updated."),
    Clause("SES-2", "A session keeps its snapshot, whatever becomes of the workflow."),
    Clause("SES-3", "Deleting a session removes all that belongs to it; child sessions stay, without a parent."),
    Clause("STA-1", "Saving a state replaces the session's fields and the nodes it carries; other nodes stay."),
    Clause("STA-2", "An execution state is read as it was at one instant."),
    Clause("STA-3", "Updating a node state replaces that node whole, and only under its own id."),
    Clause("STA-4", "The attempts at a node come back in their order, and a retry loses nothing.", since="1.1"),
    Clause(
        "STA-5",
        "A session and its execution state have one status; whoever sets it, both show it.",
        since="1.1",
    ),
    Clause("STA-6", "The state of one node is read alone, and is None if it is not there.", since="1.1"),
    Clause("LLM-1", "Usage comes back as saved; absent usage comes back as None."),
    Clause("LLM-2", "An execution may be saved while it runs, get tool calls, and be saved again when it ended."),
    Clause("LLM-3", "Executions, tool calls, approvals and stream events are ordered by time, then id."),
    Clause(
        "LLM-4",
        "An input comes back equal, whatever it has in common with other inputs of its session.",
        since="1.1",
    ),
    Clause(
        "LLM-5",
        "A list of executions of documents=False leaves out each input and output, and is the same list otherwise.",
        since="1.1",
    ),
    Clause("TOO-1", "The tool calls of a session with 100,000 executions can be read."),
    Clause(
        "TOO-2",
        "A tool call without an execution belongs to its session; one with an execution, to that of the execution.",
        since="1.1",
    ),
    Clause("BUD-1", "Consuming adds to the pool and all its ancestors, or to none."),
    Clause("BUD-2", "A pool with nothing left is exhausted; increasing it makes it active again, unless suspended."),
    Clause("BUD-3", "However many consume at once, nothing is overspent and nothing is lost."),
    Clause("BUD-4", "A pool with children cannot be deleted."),
    Clause("BUD-5", "Only total, used, status and metadata of a pool can be updated."),
    Clause("APR-1", "Only a pending request can be resolved; who comes late learns what was decided."),
    Clause("APR-2", "Of any number of decisions at once exactly one wins."),
    Clause("APR-3", "A request that has run out cannot be decided, and can be turned into expired."),
    Clause("APR-4", "Only context, expiry and the status expired of a pending request can be updated."),
    Clause("APR-5", "The pending approvals are those of all sessions that can still be decided."),
    Clause(
        "APR-6",
        "A wait for a request ends as soon as it is decided, has expired or is gone, in any process, or time is up.",
        since="1.1",
    ),
    Clause("APR-7", "A decision sets the status of its session in the same step, if it names one.", since="1.1"),
    Clause("STR-1", "The events of one stream never appear in another.", Capability.STREAM_EVENTS),
    Clause(
        "STR-2",
        "Deleting the events of a stream deletes no other; the events of a session go with it.",
        Capability.STREAM_EVENTS,
        since="1.1",
    ),
    Clause(
        "STR-3",
        "Whoever reads a stream up to a sequence, and goes on after it, misses nothing.",
        Capability.STREAM_EVENTS,
        since="1.1",
    ),
    Clause(
        "CHG-1",
        "Each committed write of a record is in the feed, once, with what it did; no other is.",
        Capability.CHANGES,
        since="1.1",
    ),
    Clause(
        "CHG-2",
        "Whoever reads the feed to the end, and goes on from there, misses nothing and sees nothing twice.",
        Capability.CHANGES,
        since="1.1",
    ),
    Clause(
        "CHG-3",
        "A position after which a change was pruned raises ChangesLostError, and no other does.",
        Capability.CHANGES,
        since="1.1",
    ),
    Clause(
        "CHG-4",
        "A follower gets what is recorded and what comes, at once or within a second, until it is cancelled or closed.",
        Capability.CHANGES,
        since="1.1",
    ),
    Clause(
        "CHG-5",
        "A store whose feed is switched off records nothing, and says so; positions from before a pause are refused.",
        since="1.1",
    ),
    Clause(
        "USE-1",
        "Sums of usage are exact, in groups ordered by their keys; a missing figure is never counted as 0.",
        since="1.1",
    ),
    Clause("USE-2", "Days and hours are those of UTC; percentiles are durations at the nearest rank.", since="1.1"),
    Clause("QRY-1", "A filter compares fields with values or operators, and all of its entries hold."),
    Clause("QRY-2", "A filter reaches into JSON by literal keys, and compares there as JSON does."),
    Clause("QRY-3", "A filter with an unknown field or a wrong value is refused; nothing is ignored."),
    Clause("QRY-4", "A filter narrows the scope of its method, and never widens it."),
    Clause("QRY-5", "Orders are total: ties are broken by id, None comes first, text goes by code point."),
    Clause("QRY-6", "Limit and offset page through exactly the filtered, ordered list."),
    Clause("QRY-7", "Walking a list behind its last record visits every record exactly once."),
    Clause("QRY-8", "A list of documents=False leaves out every document, and is the same list otherwise."),
    Clause(
        "QRY-9",
        "A JSON field without a path is compared with None alone; nested conditions count towards a filter's limits.",
        since="1.1",
    ),
    Clause(
        "QRY-10",
        "Between, All, AnyOf, Not and any_of combine conditions; Not matches exactly what its condition does not.",
        since="1.1",
    ),
    Clause(
        "QRY-11",
        "A cursor says in any process what its record says: where a page begins; a changed one is refused.",
        since="1.1",
    ),
    Clause(
        "QRY-12",
        "Executions are filtered and ordered by attempt and token figures, exactly; without usage these are null.",
        since="1.1",
    ),
    Clause(
        "TXN-1", "A transaction commits at the end of its block, and rolls back when the block fails or is cancelled."
    ),
    Clause("TXN-2", "A transaction sees its own writes; others see none of them before the commit, and all after."),
    Clause("TXN-3", "After its end every call on a transaction raises TransactionError."),
    Clause("TXN-4", "A savepoint undoes its own part alone; savepoints nest."),
    Clause("TXN-5", "An operation that fails leaves its transaction usable, as it was before."),
    Clause("TXN-6", "A task that holds a transaction cannot write past it."),
    Clause("TXN-7", "A transaction that is open for too long is rolled back, and says so."),
    Clause("TXN-8", "Of two transactions that read and then write one record, no write is lost."),
    Clause(
        "TXN-9",
        "transact runs its work in a transaction, and again after contention or an outage, but never after a commit.",
        since="1.1",
    ),
    Clause("LIF-1", "Initializing makes or upgrades the schema, any number of times, from any number of processes."),
    Clause("LIF-2", "Closing finishes what was accepted, rolls back what is open, and may be repeated."),
    Clause("LIF-3", "An adapter reopened on a store finds everything."),
    Clause("LIF-4", "An adapter is a context manager that initializes and closes."),
    Clause("ERR-1", "Every error derives from StorageError, keeps its facts, and survives pickling and copying."),
    Clause(
        "ERR-2",
        "An error says by its type whether another attempt may succeed; a refusal, contention and an outage differ.",
        since="1.1",
    ),
    Clause("CON-1", "One adapter serves any number of tasks, and several adapters may use one store at once."),
    Clause("CON-2", "A cancelled task leaves nothing behind, and its operation happened whole or not at all."),
    Clause("DUR-1", "After a kill every acknowledged operation is there, and no other in part.", Capability.DURABLE),
)

CLAUSES: dict[str, Clause] = {clause.id: clause for clause in _ALL}
"""All clauses by id, in the order of the contract."""


def registry_digest() -> str:
    """Return the SHA-256, in hex, of the version and all clauses; equal digests mean equal contracts."""
    listed = [[each.id, each.sentence, each.capability, each.level, each.since] for each in CLAUSES.values()]
    return hashlib.sha256(json.dumps([CONTRACT_VERSION, listed]).encode()).hexdigest()


def clause(*ids: str) -> Callable[[TestT], TestT]:
    """Mark a test with the clauses that it checks; an `async def` test runs in a new event loop.

    Raises:
        KeyError: there is no such clause.
    """
    for name in ids:
        CLAUSES[name]

    def mark(test: TestT) -> TestT:
        body = getattr(getattr(test, "hypothesis", None), "inner_test", test)
        if inspect.iscoroutinefunction(body):
            test = pytest.mark.asyncio(loop_scope="function")(test)
        return pytest.mark.clause(*ids)(test)  # type: ignore[no-any-return]  # pytest says Any

    return mark


def requires(capability: Capability) -> pytest.MarkDecorator:
    """Mark a test, class or parameter for stores with the capability; for others it counts as not claimed."""
    return pytest.mark.requires_capability(capability)


def parsed(version: str) -> tuple[int, ...]:
    """Return a version of the contract as numbers, which compare."""
    return tuple(map(int, version.split(".")))


def since(version: str) -> pytest.MarkDecorator:
    """Mark a test or class of older clauses for backends that were built for that version of the contract, or later."""
    return pytest.mark.since_version(version)


OF_ALL_BEFORE = {Capability.WRITERS_WAIT: "1.1"}
"""Capabilities that every backend had to have before the version of the contract that introduced them."""


def claims_of(capabilities: Iterable[str], contract: str) -> frozenset[str]:
    """Return what a store has to be able to do that claims capabilities, by a backend built for that contract."""
    untold = {each for each, version in OF_ALL_BEFORE.items() if parsed(contract) < parsed(version)}
    return frozenset(capabilities) | untold


def needed_version(marks: Iterable[pytest.Mark]) -> str:
    """Return the version of the contract that a test with these marks is for: the latest of its clauses and marks."""
    versions = [CLAUSES[name].since for mark in marks if mark.name == "clause" for name in mark.args]
    versions += [mark.args[0] for mark in marks if mark.name == "since_version"]
    return max(versions, key=parsed, default="1.0")


needs_newer_schema = pytest.mark.needs_newer_schema
"""Mark a test for backends with `Backend.newer_schema`."""

needs_maintenance = pytest.mark.needs_maintenance
"""Mark a test for backends with `Backend.maintenance`."""


def lacks(capability: Capability) -> pytest.MarkDecorator:
    """Mark a test, class or parameter for stores without the capability, such as a test that it is refused."""
    return pytest.mark.lacks_capability(capability)
