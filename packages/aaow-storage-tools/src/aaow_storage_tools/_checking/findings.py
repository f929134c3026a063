"""`Finding`: something wrong with a store, and the words for what can be wrong."""

from enum import StrEnum
from typing import Any

import attrs
from attrs import field, frozen


class Problem(StrEnum):
    """What can be wrong with a store; the word is the same in every release."""

    STORE_DAMAGED = "store-damaged"
    """The database finds its own file or tables damaged."""
    UNREADABLE = "unreadable"
    """A record cannot be read."""
    DOCUMENT_MISSING = "document-missing"
    """A record refers to a document or message that is not stored."""
    DOCUMENT_DAMAGED = "document-damaged"
    """A document or message is not what its digest says."""
    DOCUMENT_UNUSED = "document-unused"
    """No record refers to a document."""
    REFERENCE_DANGLING = "reference-dangling"
    """A record names another one that is not stored."""
    REFERENCE_CYCLE = "reference-cycle"
    """A record is its own ancestor."""
    STATUS_DIFFERS = "status-differs"
    """A session and its execution state have two statuses."""
    STATE_IMPOSSIBLE = "state-impossible"
    """The fields of a record contradict each other."""
    INSTANTS_OUT_OF_ORDER = "instants-out-of-order"
    """Something ended before it began."""
    BUDGET_SUM = "budget-sum"
    """A pool has used less than its children together."""
    INDEX_WRONG = "index-wrong"
    """An index of the database differs from its table."""
    SEQUENCE_WRONG = "sequence-wrong"
    """Events of a stream share a sequence, or the next event would get one that was given."""


@frozen(kw_only=True)
class Finding:
    """Something wrong with a store.

    Attributes:
        problem: what is wrong, as a word.
        kind: the kind of the record, such as `"session"`; None if it is not one record.
        id: the id of the record, or the place in the store.
        message: what is wrong, as a sentence.
        remedy: what to do.
        is_repairable: whether `check_store(..., repair=True)` repairs it, without losing anything.
        is_repaired: whether it did.
    """

    problem: Problem = field(converter=Problem)
    kind: str | None
    id: str
    message: str
    remedy: str
    is_repairable: bool = False
    is_repaired: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return {**attrs.asdict(self), "problem": str(self.problem)}


@frozen(kw_only=True)
class CheckReport:
    """What a check found.

    Attributes:
        records: how many records of each kind were read.
        counts: how many findings there are of each problem.
        findings: the first findings, at most as many as the check was told to keep.
        repaired: how many findings were repaired.
        skipped: what could not be checked, a sentence each.
    """

    records: dict[str, int]
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    repaired: int = 0
    skipped: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found, or all that was found was repaired."""
        return sum(self.counts.values()) == self.repaired

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON, without the findings."""
        return {
            "sound": self.is_sound,
            "records": self.records,
            "counts": self.counts,
            "repaired": self.repaired,
            "skipped": list(self.skipped),
        }
