"""Every constant of the SQLite backend that was chosen by measurement, on one page.

None of them changes an answer. Tests and measurements pass a `Tuning` of their own in `Settings`.
"""

from attrs import frozen


@frozen(kw_only=True, repr=False)
class Tuning:
    """How large batches are, how long threads wait, and when an optimization is used. Times are in seconds."""

    # the writer and its commit pipeline

    max_writer_batch: int = 256
    """Most requests that the writer takes from its queue at once, and so the most operations in one commit."""
    max_ack_hold_s: float = 0.005
    """Longest time that the acknowledgements of one commit are held back while the next batch runs."""
    min_split_operations: int = 16
    """Fewest operations in flight that are split into two batches."""
    min_split_commit_s: float = 0.0001
    """Shortest commit worth overlapping with the event loop's work."""
    max_split_commit_ratio: float = 1.0
    """Split only if a commit takes less than this share of the time that its operations run; 0.0 turns splitting off.
    """
    max_commit_growth: float = 1.05
    """Most by which a commit of one half may raise the measured commit time, because it also waits for the GIL."""
    single_batch_commits: int = 256
    """Commits that are not split after another process was found to hold the lock."""

    # checkpoints of the write-ahead log

    checkpoint_bytes: int = 8 * 2**20
    """Growth of the log after which the checkpoint thread copies it into the database."""
    restart_bytes: int = 64 * 2**20
    """Length of the log above which the writer restarts it, waiting for readers."""
    max_restart_wait_ms: int = 100
    """Longest wait, in milliseconds, for readers when the log is restarted or truncated."""
    max_rest_pages: int = 64
    """Most pages left to copy for which the writer finishes the checkpoint itself; -1 turns that off."""
    max_checkpoint_rounds: int = 5
    """Most times in a row that the checkpoint thread copies what was committed while it copied."""
    initial_checkpoint_changes: int = 400
    """Changed rows after which the length of the log is first looked at."""
    max_checkpoint_changes: int = 100_000
    """Most changed rows between two looks at the length of the log."""

    # reads

    max_reader_batch: int = 16
    """Most reads that a reader thread takes from its queue at once."""
    max_snapshot_s: float = 0.001
    """Longest time that reads share one snapshot; the first read of a snapshot may take longer."""
    max_inline_waiting: int = 8
    """With this many operations waiting, reader threads are awake already, and queueing is cheaper than reading on the
    event loop; 0 turns inline reads off."""
    loop_budget_s: float = 0.00025
    """Time that inline reads may take in one iteration of an event loop."""
    max_inline_value_bytes: int = 64 * 1024
    """Largest value that the event loop reads, decodes and checks itself; that takes less than a millisecond."""
    max_inline_latency_s: float = 0.001
    """A read that takes longer opens the latency breaker: reader threads do reads of that kind."""
    initial_probes: int = 256
    """Quick reads in a row, on reader threads, that close the latency breaker the first time."""
    backoff_factor: int = 8
    """Factor by which more probes are needed each time that the event loop had to wait."""
    max_probes: int = 2**20
    """Most probes that the back-off asks for."""
    decay_factor: int = 64
    """The number of probes halves after this many times as many quick reads on the event loop."""

    poll_interval_s: float = 0.05
    """How often to ask whether another process has committed, while a task waits for that. It takes 0.02 ms."""

    # connections and files

    cached_statements: int = 512
    """Prepared statements that the driver keeps for each connection."""
    files_check_interval_s: float = 0.01
    """How long a check of the store's files is trusted by readers, and a check of the log's identity by the writer."""
    schema_check_interval_s: float = 0.01
    """How long a check that nobody has migrated the store is trusted; transactions check it in any case."""
    interrupt_interval_s: float = 0.05
    """Time after which an interrupt of a cancelled read is repeated, because one between statements has no effect."""
    max_fork_wait_s: float = 1.0
    """Longest wait of a fork for the threads that are inside SQLite, and of those threads for the fork."""
