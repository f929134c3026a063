"""Deadlines for answers: a watchdog thread shuts down the sockets of servers that do not answer.

A driver may wait for an answer as long as the TCP connection lives, and the server's kernel keeps it alive while the
server's processes are stopped: neither keepalives nor `tcp_user_timeout` end such a wait. So one thread of each adapter
shuts down each socket whose deadline has passed. The driver then reads the end of the stream, and its wait ends with an
error.
"""

import math
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from weakref import WeakSet

from aaow_storage.errors import StorageUnavailableError

MAX_WAIT_WHILE_STOPPING_S = 0.5


class Deadline:
    """The deadlines of one connection: of its statement, and of the job that the statement is for.

    It holds a duplicate of the socket's descriptor: the driver may close its own at any time, and the number may then
    belong to another file.
    """

    def __init__(self, descriptor: int, watchdog: "Watchdog") -> None:
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._socket: socket.socket | None = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
        self._ends = _poll_for_end(self._socket)
        self._statement_expires_at = math.inf
        self._job_expires_at = math.inf
        self._on_job_expired: Callable[[], None] | None = None
        self.has_expired = False
        """Whether a deadline has passed, and the socket is shut down."""

    @property
    def at(self) -> float:
        """The earlier of the two deadlines, by the monotonic clock."""
        return min(self._statement_expires_at, self._job_expires_at)

    @property
    def is_peer_gone(self) -> bool:
        """Whether the other end has closed the connection, as far as this machine knows; False where none can tell."""
        return self._ends is not None and bool(self._ends.poll(0))

    def begin(self, within_s: float) -> None:
        """Start the deadline of a statement."""
        self._statement_expires_at = ends_at = time.monotonic() + within_s
        if ends_at < self._watchdog.wakes_at:
            self._watchdog.wake()

    def end(self) -> None:
        """Clear the deadline of the statement: its answer has come."""
        self._statement_expires_at = math.inf

    def expire_within(self, within_s: float, then: Callable[[], None]) -> None:
        """Start the deadline of the job; `cancel_expiry` clears it. The watchdog thread calls `then` if it passes."""
        with self._lock:
            self._on_job_expired = then
            self._job_expires_at = time.monotonic() + within_s
        self._watchdog.wake()

    def cancel_expiry(self) -> None:
        """Clear the deadline of the job."""
        with self._lock:
            self._job_expires_at, self._on_job_expired = math.inf, None

    def expire(self, now: float = math.inf) -> None:
        """Shut the socket down if a deadline is at or before `now`. A wait of the driver then fails at once."""
        with self._lock:
            if self.at > now:
                return
            self.has_expired = True
            if self._socket is not None:
                with suppress(OSError):  # it is already disconnected
                    self._socket.shutdown(socket.SHUT_RDWR)
            then, self._on_job_expired = self._on_job_expired, None
            self._statement_expires_at = self._job_expires_at = math.inf
        if then is not None:
            then()

    def close(self) -> None:
        """Close the descriptor; there is nothing to watch any more."""
        self._watchdog.forget(self)
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def after_fork_in_child(self) -> None:
        """Close the descriptor in a forked process."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _poll_for_end(connection: socket.socket) -> "select.poll | None":
    """Return what finds out at once whether the other end of a connection was closed, where the system can tell."""
    if not hasattr(select, "POLLRDHUP"):  # it is Linux's
        return None
    ends = select.poll()
    ends.register(connection, select.POLLRDHUP)
    return ends


class Watchdog:
    """A thread that sleeps until the earliest deadline, and wakes early if an earlier one is set."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._deadlines: WeakSet[Deadline] = WeakSet()
        self._thread: threading.Thread | None = None
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._is_stopped = False
        self.wakes_at = math.inf
        """When the thread wakes next; call `wake` after an earlier deadline is set."""

    def watch(self, descriptor: int) -> Deadline:
        """Watch the socket of a connection; return its deadlines.

        Raises:
            StorageUnavailableError: no thread can be started, or no descriptor is left.
        """
        try:
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()
                deadline = Deadline(descriptor, self)
                self._deadlines.add(deadline)
        except (RuntimeError, OSError) as error:
            problem = (
                f"no watchdog can be started for a connection: {error}; this process has too many threads or open files"
            )
            raise StorageUnavailableError(problem) from error
        return deadline

    def forget(self, deadline: Deadline) -> None:
        """Stop watching a connection."""
        with self._lock:
            self._deadlines.discard(deadline)

    def wake(self) -> None:
        """Make the thread check the deadlines now. Safe in finalizers: `SimpleQueue.put` is reentrant."""
        self._wakeups.put(None)

    def expire_all(self) -> None:
        """Shut down all sockets that are watched."""
        for deadline in self._all():
            deadline.expire()

    def stop(self) -> None:
        """End the thread once no connection is left. Does not block."""
        self._is_stopped = True
        self.wake()

    def _all(self) -> list[Deadline]:
        with self._lock:
            return list(self._deadlines)

    def _run(self) -> None:
        while not self._is_stopped or self._all():
            while not self._wakeups.empty():
                self._wakeups.get()
            self.wakes_at = math.inf  # so a deadline that is set from here on wakes this thread again
            now = time.monotonic()
            for deadline in self._all():
                if deadline.at <= now:
                    with suppress(Exception):  # an error must not keep the others from being checked
                        deadline.expire(now)
            earliest = min((deadline.at for deadline in self._all()), default=math.inf)
            self.wakes_at = earliest
            longest = MAX_WAIT_WHILE_STOPPING_S if self._is_stopped else threading.TIMEOUT_MAX
            with suppress(Empty):
                self._wakeups.get(timeout=min(max(earliest - time.monotonic(), 0), longest))
