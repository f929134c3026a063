"""Ending waits for a server that does not answer.

libpq waits for an answer as long as its connection stands, and the kernel of a server's machine keeps a connection
standing while the server's processes do not run: neither keepalives nor `tcp_user_timeout` end such a wait. One thread
of each adapter looks at the deadlines of its connections and shuts the sockets down that are behind theirs. libpq then
reads the end of the stream, and its wait ends with an error.
"""

import math
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
    """The instants at which the wait of one connection is ended, and the connection's socket.

    It has a descriptor of its own for the socket, since libpq closes its descriptor at any time, and the number may
    then be another file's.
    """

    def __init__(self, descriptor: int, watchdog: "Watchdog") -> None:
        self._watchdog = watchdog
        self._lock = threading.Lock()
        self._socket: socket.socket | None = socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM)
        self._statement_expires_at = math.inf
        self._job_expires_at = math.inf
        self._on_job_expired: Callable[[], None] | None = None
        self.has_expired = False
        """Whether the socket was shut down."""

    @property
    def at(self) -> float:
        """When the socket is shut down, in seconds of the monotonic clock."""
        return min(self._statement_expires_at, self._job_expires_at)

    def begin(self, within_s: float) -> None:
        """Note that an answer is waited for from now on, for so many seconds at most."""
        self._statement_expires_at = ends_at = time.monotonic() + within_s
        if ends_at < self._watchdog.wakes_at:
            self._watchdog.wake()

    def end(self) -> None:
        """Note that the answer has come."""
        self._statement_expires_at = math.inf

    def expire_within(self, within_s: float, then: Callable[[], None]) -> None:
        """Shut the socket down in so many seconds, whatever is waited for then, unless `cancel_expiry` comes first.

        `then` is called afterwards, by the thread that looks.
        """
        with self._lock:
            self._on_job_expired = then
            self._job_expires_at = time.monotonic() + within_s
        self._watchdog.wake()

    def cancel_expiry(self) -> None:
        """Undo `expire_within`."""
        with self._lock:
            self._job_expires_at, self._on_job_expired = math.inf, None

    def expire(self, now: float = math.inf) -> None:
        """Shut the socket down, unless it is to be later than `now`; what libpq waits for fails at once."""
        with self._lock:
            if self.at > now:
                return
            self.has_expired = True
            if self._socket is not None:
                with suppress(OSError):  # it is not connected any more
                    self._socket.shutdown(socket.SHUT_RDWR)
            then, self._on_job_expired = self._on_job_expired, None
            self._statement_expires_at = self._job_expires_at = math.inf
        if then is not None:
            then()

    def close(self) -> None:
        """Forget the socket."""
        self._watchdog.forget(self)
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def after_fork_in_child(self) -> None:
        """Let go of the socket, in a forked process."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Watchdog:
    """A thread that looks at deadlines: when the earliest of them comes, or when an earlier one is set."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._deadlines: WeakSet[Deadline] = WeakSet()
        self._thread: threading.Thread | None = None
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._is_stopped = False
        self.wakes_at = math.inf
        """When the thread looks next; call `look` after setting an earlier deadline."""

    def watch(self, descriptor: int) -> Deadline:
        """Return the deadline of a connection's socket, which is looked at from now on.

        Raises:
            StorageUnavailableError: the system gives no thread, or no descriptor.
        """
        try:
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()
                deadline = Deadline(descriptor, self)
                self._deadlines.add(deadline)
        except (RuntimeError, OSError) as error:
            problem = f"a connection cannot be watched: {error}; this process has too many threads or open files"
            raise StorageUnavailableError(problem) from error
        return deadline

    def forget(self, deadline: Deadline) -> None:
        """Look at a deadline no more."""
        with self._lock:
            self._deadlines.discard(deadline)

    def wake(self) -> None:
        """Have the thread look soon; called from any thread, and from finalizers: `SimpleQueue.put` is reentrant."""
        self._wakeups.put(None)

    def expire_all(self) -> None:
        """Shut down every socket that is left."""
        for deadline in self._all():
            deadline.expire()

    def stop(self) -> None:
        """End the thread when no deadline is left; takes no lock and waits for nothing."""
        self._is_stopped = True
        self.wake()

    def _all(self) -> list[Deadline]:
        with self._lock:
            return list(self._deadlines)

    def _run(self) -> None:
        while not self._is_stopped or self._all():
            while not self._wakeups.empty():
                self._wakeups.get()
            self.wakes_at = math.inf  # a deadline that is set while this looks at the others has it look again
            now = time.monotonic()
            for deadline in self._all():
                if deadline.at <= now:
                    with suppress(Exception):  # the other deadlines are looked at all the same
                        deadline.expire(now)
            earliest = min((deadline.at for deadline in self._all()), default=math.inf)
            self.wakes_at = earliest
            longest = MAX_WAIT_WHILE_STOPPING_S if self._is_stopped else threading.TIMEOUT_MAX
            with suppress(Empty):
                self._wakeups.get(timeout=min(max(earliest - time.monotonic(), 0), longest))
