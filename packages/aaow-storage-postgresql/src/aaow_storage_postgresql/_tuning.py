"""The constants of this backend that trade time against load. Tests inject other values; users set options."""

from attrs import frozen

from aaow_storage_sql import ServerTuning


@frozen(kw_only=True, repr=False)
class Tuning(ServerTuning):
    """Limits and pauses of one adapter. Times are in seconds."""

    max_pipelined_reads: int = 32
    """How many records are read in one round trip."""
    max_prepared_statements: int = 500
    """How many statements a connection keeps prepared."""
