"""Point reads of several callers, which a server may answer together."""

from typing import Any

from attrs import frozen

from aaow_storage_sql._operation import Lookup
from aaow_storage_sql._threads.job import Job


@frozen(eq=False)
class PointRead:
    """A job that looks one record up by its id."""

    job: Job[Any]
    lookup: Lookup[Any]
    id: str
