"""All constants that trade time against load, of the adapters of a server. Tests inject other values."""

import random

from attrs import frozen


@frozen(kw_only=True, repr=False)
class ServerTuning:
    """Limits and pauses of one adapter. Times are in seconds."""

    connections_per_reader: int = 4
    """One in so many connections only reads, so that a read never waits for a write that waits for a lock."""

    max_savers: int = 2
    """How many connections save rows of several callers together, if the server can. More would save fewer at once."""

    max_attempts: int = 30
    """How often an operation is run if it conflicts with other transactions."""
    max_reconnects: int = 2
    """How many connections an operation may lose before it fails."""
    min_pause_s: float = 0.002
    """The pause after the first conflict; it doubles with each."""
    schema_check_interval_s: float = 1.0
    """How long a thread trusts its check that nobody has migrated the store; the check is one round trip."""
    watch_interval_s: float = 0.25
    """How often to ask whether another process has committed, while a task waits for that."""
    min_poll_pause_s: float = 0.01
    max_pause_s: float = 0.1

    answer_margin_s: float = 5.0
    """How long the server may take to report that a statement reached its timeout."""
    rollback_timeout_s: float = 5.0
    """How long to wait for the answer to ROLLBACK. After that the socket is shut down, which rolls back as well."""
    cancel_timeout_s: float = 0.75
    """How long the statement of a cancelled task may take to end before its socket is shut down."""
    close_timeout_s: float = 30.0
    """How long `close` waits for a statement if `statement_timeout` is None."""
    thread_end_timeout_s: float = 2.0
    """How long `close` waits for threads after it has shut their sockets down."""

    def retry_pause_s(self, attempt: int) -> float:
        """Return how long to wait after that attempt: random, up to a bound that doubles with each attempt."""
        return random.uniform(0, min(self.min_pause_s * 2**attempt, self.max_pause_s))  # noqa: S311 - not a secret

    def poll_pause_s(self) -> float:
        """Return how long to wait before asking the server for the same again: random, so that clients spread out."""
        return random.uniform(self.min_poll_pause_s, self.max_pause_s)  # noqa: S311 - not a secret
