"""Every constant of this package that was chosen by measuring."""

from typing import Final

from attrs import frozen


@frozen(kw_only=True, repr=False)
class Tuning:
    """Sizes, counts and times, each with what it trades."""

    idle_interval_s: float = 0.020
    """How often a `StarvationGuard` samples a loop that rests. A short timer costs more CPU than an operation does."""
    busy_interval_s: float = 0.001
    """How often it samples a loop that does not rest."""
    busy_samples: int = 50
    """How many samples of a resting loop it takes until the interval is the idle one again."""
    busy_share: float = 0.9
    """The share of CPU time, since the last sample, from which a loop counts as one that does not rest."""
    max_yield_s: float = 0.001
    """How long the loop's thread blocks at most, without the GIL, at each sample of a busy loop."""
    max_single_yield_s: float = 0.0015
    """The same as a lone operation begins to wait: enough for a statement and its flush on a slow machine."""
    max_wakeups: int = 16
    """How many tasks are woken in one iteration of a loop, so that its timers need not wait for hundreds."""
    undo_timeout_s: float = 5.0
    """How long a cancelled `start` waits for the thread that opens the store."""
    poll_interval_s: float = 0.02
    """How often a thread that waits for a lock looks whether its `Opening` was cancelled."""
    fetch_size: int = 1000
    """How many rows are fetched at a time."""
    min_columnar_rows: int = 8
    """From how many rows on it is faster to convert them column by column."""
    max_hydrated_rows: int = 1000
    """How many rows are hydrated together, column by column."""
    max_compiled_statements: int = 2_000
    """How many fixed statements are cached for each dialect."""
    max_compiled_shapes: int = 512
    """How many shapes of queries are cached, for each of lists and counts."""
    max_shape_conditions: int = 8
    """A query with more conditions is compiled each time: large shapes are many, and each takes much memory."""
    max_shape_keys: int = 5
    """The same for the keys of its order."""
    max_shape_path_length: int = 200
    """The same for the characters in its JSON paths."""
    max_list_parameters: int = 16
    """Up to how many values of an `In` have a parameter each; more are bound as one list."""
    max_inserted_rows: int = 16
    """How many rows one INSERT has at most; always a power of two, so that few statements are compiled."""
    max_inserted_events: int = 64
    """The same for stream events, which come in larger numbers."""
    max_feed_rows: int = 500
    """How many rows of the change feed are read at a time."""
    max_insert_tries: int = 10
    """How often to insert if a concurrent transaction inserts the parent between the insert and the check."""
    max_cached_digests: int = 64
    """How many documents are kept with their digests."""
    max_cached_document_length: int = 256 * 1024
    """How long such a document may be, in characters."""
    min_chained_chars: int = 512
    """A shorter input stays in the row of its execution, which saves a statement and a row of messages."""
    max_message_row_chars: int = 16 * 1024
    """From how many characters on a row of messages takes no further message. A branch stores part of a row again."""
    max_known_chars: int = 32 * 1024 * 1024
    """How many characters of inputs an adapter remembers, so that it need not hash the messages of the next again."""
    min_compressed_chars: int = 256
    """From how many characters on a row of messages is compressed."""
    max_compressed_chars: int = 64 * 1024
    """And up to how many: a longer one would keep the thread that writes busy, and fills pages of its own anyway."""
    migration_lease_s: float = 5.0
    """How long a process that died, or that runs one long statement, keeps others from migrating a store in steps."""
    lease_interval_s: float = 0.2
    """How often a process that waits for such a migration looks at the store."""
    max_step_tries: int = 10
    """How often to run a step of a migration that concurrent transactions abort."""
    max_deferred_documents: int = 1000
    """How many documents that another transaction locked are kept, for each connection, to be deleted later."""
    deferred_per_release: int = 4
    """How many of them are tried again beside each document that is released."""


DEFAULT: Final = Tuning()
