"""What the open transaction of a connection has changed, until its commit stores that in the change feed."""

_BOUNDARIES = {"COMMIT", "ROLLBACK", "BEGIN", "BEGIN IMMEDIATE"}
"""The commands between which there is no transaction."""


class ChangeRecorder:
    """The changes of the open transaction, in the order in which they were made; it follows the commands of that.

    Attributes:
        entries: each change, as the values of a `FeedEntry`.
    """

    __slots__ = ("_marks", "entries")

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str | None, str]] = []
        self._marks: dict[str, int] = {}
        """How many changes there were when each savepoint was opened."""

    def follow(self, command: str) -> None:
        """Forget the changes that a command undid or stored, now that it has succeeded."""
        if command in _BOUNDARIES:
            if self.entries or self._marks:
                self.entries.clear()
                self._marks.clear()
        elif command.startswith("SAVEPOINT "):
            self._marks[command[10:]] = len(self.entries)
        elif command.startswith("ROLLBACK TO "):
            del self.entries[self._marks[command[12:]] :]


class ReplacedRows:
    """How many of the rows that the last statement was to insert were there before, and what became of them."""

    __slots__ = ("unchanged", "updated")

    def __init__(self) -> None:
        self.updated = self.unchanged = 0

    def count(self, may_replace: int, differs: int) -> int:
        """Count a row, and return whether to replace it: if that is allowed, and the new row is another one."""
        if not may_replace:
            return 0
        if differs:
            self.updated += 1
            return 1
        self.unchanged += 1
        return 0

    def reset(self) -> None:
        """Begin to count."""
        self.updated = self.unchanged = 0
