"""How many of the operations in flight go into the next commit: all of them, or one half beside the other.

Where all go into one commit, the event loop rests while the thread runs and commits them, and the thread rests while
the loop's tasks take their outcomes and ask for more: nobody works while the disk flushes. So two halves take turns.
The outcomes of one are sent as the other's commit begins, and the loop works on them beside the flush. Not before, when
both would want the interpreter.

Two halves flush twice. That pays where a flush takes less than the work that is done beside it, and where no other
process waits for its turn to write after each.
"""

FEWEST = 16
SHORTEST_COMMIT_S = 0.0001
"""Beside a shorter commit there is little time to work in."""
MOST_GROWTH = 1.05
UNDIVIDED = 256
"""How many commits are of all operations once another process was met."""


class Halves:
    """Tells from the commits of the past whether the next is to be of all operations or of one half of them."""

    def __init__(self) -> None:
        self._of_one_s = 0.0
        self._commit_s = 0.0
        self._undivided = 0
        self.is_half = False
        """Whether the last share was one half."""

    def share_of(self, count: int) -> int:
        """Return how many to commit next of so many in flight: those that wait, and those that are to be told yet."""
        pays = SHORTEST_COMMIT_S <= self._commit_s < count * self._of_one_s
        self.is_half = pays and count >= FEWEST and not self._undivided
        return (count + 1) // 2 if self.is_half else count

    def note(self, count: int, ran_s: float, committed_s: float) -> None:
        """Take account of a commit of so many operations: how long they ran, and how long the commit took.

        The commit of a half may have waited for the interpreter, while the loop had it. So it counts as little longer
        than the one before it.
        """
        self._undivided = max(0, self._undivided - 1)
        self._of_one_s = ran_s / count
        self._commit_s = min(committed_s, MOST_GROWTH * self._commit_s) if self.is_half else committed_s

    def note_other_process(self) -> None:
        """Take account of another process that had the lock."""
        self._undivided = UNDIVIDED
