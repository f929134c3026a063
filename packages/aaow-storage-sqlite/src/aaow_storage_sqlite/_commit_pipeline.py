"""Pipelined group commit: the event loop works on one batch while the next one is committed.

If all operations in flight go into one commit, the event loop idles while the thread runs and commits them, and the
thread idles while the loop's tasks take their outcomes and ask for more; nothing runs during the flush to disk. So the
operations are split into two batches that take turns (double buffering). The acknowledgements of one batch are sent
when the other's commit begins, so that the loop works on them during the flush. Not earlier: then both threads would
compete for the GIL.

Two batches flush twice. That pays if a flush takes less time than the work that overlaps it, and if no other process
waits for the lock after each commit.
"""

from collections.abc import Iterable

from aaow_storage_sql import Outcome, deliver
from aaow_storage_sqlite._tuning import Tuning


class Acknowledgements:
    """Outcomes of committed operations, held until the writer is about to block.

    Attributes:
        pending: the outcomes that are not sent yet.
    """

    def __init__(self) -> None:
        self.pending: list[Outcome] = []

    def hold(self, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes until the next `flush`."""
        self.pending += outcomes

    def flush(self) -> None:
        """Send the pending outcomes to the tasks that wait for them."""
        if self.pending:
            deliver(self.pending)
            self.pending = []  # only now: if sending fails, they are sent again


class CommitPipeline:
    """Decides from past commits whether the next batch is all operations in flight, or one half of them.

    Attributes:
        is_split: whether the last batch was one half.
    """

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._operation_s = 0.0
        self._commit_s = 0.0
        self._single_batches_left = 0
        self.is_split = False

    def next_batch_size(self, in_flight: int) -> int:
        """Return how many operations to commit next; in flight are those that wait, and unacknowledged ones."""
        tuning = self._tuning
        max_commit_s = tuning.max_split_commit_ratio * in_flight * self._operation_s
        self.is_split = (
            tuning.min_split_commit_s <= self._commit_s < max_commit_s
            and in_flight >= tuning.min_split_operations
            and not self._single_batches_left
        )
        return (in_flight + 1) // 2 if self.is_split else in_flight

    def record_commit(self, count: int, run_s: float, commit_s: float) -> None:
        """Record a commit of so many operations: how long they ran, and how long the commit took.

        The commit of a half may have waited for the GIL, which the event loop held. So it may raise the measured time
        only a little.
        """
        self._single_batches_left = max(0, self._single_batches_left - 1)
        self._operation_s = run_s / count
        self._commit_s = min(commit_s, self._tuning.max_commit_growth * self._commit_s) if self.is_split else commit_s

    def record_contention(self) -> None:
        """Record that another process held the lock."""
        self._single_batches_left = self._tuning.single_batch_commits
