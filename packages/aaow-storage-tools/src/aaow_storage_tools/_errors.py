"""The errors of the jobs: each says what happened, to what, and what to do."""

from collections.abc import Mapping

from aaow_storage.errors import StorageError


class ToolError(StorageError):
    """The base class of what the jobs raise beyond the errors of the stores themselves."""


class NotEmptyError(ToolError):
    """The target has records already, and nothing was written to it.

    Attributes:
        target: what the target is called.
        found: how many records of each kind were found; 1 may stand for any number.
        remedy: what to do.
    """

    def __init__(self, target: str, found: Mapping[str, int], remedy: str) -> None:
        super().__init__(target, found, remedy)
        self.target = target
        self.found = dict(found)
        self.remedy = remedy

    def __str__(self) -> str:
        kinds = ", ".join(kind.replace("_", " ") + "s" for kind, count in self.found.items() if count)
        return f"{self.target} is not empty, it has {kinds}: {self.remedy}"


class AlreadyThereError(ToolError):
    """There is a file already where one was to be written; it stays as it is.

    Attributes:
        file: the file.
    """

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file

    def __str__(self) -> str:
        return f"the file {self.file} is there already: name another one, or allow it to be replaced"


class InvalidArchiveError(ToolError, ValueError):
    """A file is no archive, is damaged, or is not whole; nothing of it was imported.

    Attributes:
        file: the name of the file.
        line: the number of the first line that is wrong, counted from 1; None if the file as a whole is.
        problem: what is wrong, and what to do.
        more: how many other lines are wrong.
    """

    def __init__(self, file: str, line: int | None, problem: str, more: int = 0) -> None:
        super().__init__(file, line, problem, more)
        self.file = file
        self.line = line
        self.problem = problem
        self.more = more

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        others = f" ({self.more} other lines are wrong too)" if self.more else ""
        return f"{place}: {self.problem}{others}"


class ResumableError(ToolError):
    """A job ended before it was done; what it did stays, and the same call goes on from there.

    Attributes:
        job: the job, such as `"copy"`.
        done: how many records were done.
        reason: why it ended.
    """

    def __init__(self, job: str, done: int, reason: str) -> None:
        super().__init__(job, done, reason)
        self.job = job
        self.done = done
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.job} ended after {self.done} records: {self.reason}; run it again, and it goes on from there"


class AlreadyRunningError(ToolError):
    """The same job is being done by another process.

    Attributes:
        job: the job, such as `"copy"`.
        place: the file that the other process has locked.
    """

    def __init__(self, job: str, place: str) -> None:
        super().__init__(job, place)
        self.job = job
        self.place = place

    def __str__(self) -> str:
        return f"another process does this {self.job} now, it holds {self.place}: wait until it has ended"

    @property
    def is_retryable(self) -> bool:
        """True: the other process will end."""
        return True


class UnsupportedByBackendError(ToolError):
    """A backend does not offer what a job needs.

    Attributes:
        backend: the backend, or what else names the store.
        missing: what it does not offer.
        remedy: what to do.
    """

    def __init__(self, backend: str, missing: str, remedy: str) -> None:
        super().__init__(backend, missing, remedy)
        self.backend = backend
        self.missing = missing
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.backend} does not offer {self.missing}: {self.remedy}"


class UnreadableFileError(ToolError):
    """A file is not there, or cannot be read.

    Attributes:
        file: the name of the file.
        problem: why.
    """

    exit_code = 10

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file, problem)
        self.file = file
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.file} cannot be read: {self.problem}; check the path"


class InvalidManifestError(ToolError, ValueError):
    """The manifest beside a backup is damaged, or is none.

    Attributes:
        file: the name of the manifest.
        problem: what is wrong with it.
    """

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file, problem)
        self.file = file
        self.problem = problem

    def __str__(self) -> str:
        return f"the manifest {self.file} cannot be used: {self.problem}; find the one that was written with the backup"


class InvalidBackupError(ToolError):
    """A backup is damaged; nothing of it was restored.

    Attributes:
        file: the name of the backup.
        problems: what is wrong with it.
    """

    def __init__(self, file: str, problems: "tuple[str, ...]") -> None:
        super().__init__(file, problems)
        self.file = file
        self.problems = tuple(problems)

    def __str__(self) -> str:
        more = f", and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
        return f"{self.file} is damaged: {self.problems[0]}{more}; nothing was restored, use another backup"
