"""How a synchronous object makes the calls of the asynchronous one that it stands in front of."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aaow_storage._operations import StorageOperations
from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage.sync._loop_thread import LoopThread

T = TypeVar("T")
ValueT_co = TypeVar("ValueT_co", covariant=True)
Undo = Callable[[T, BaseException], Awaitable[object]]


class SyncCalls(ABC):
    """An object whose calls are made on a loop that another thread runs."""

    @property
    @abstractmethod
    def wrapped(self) -> StorageOperations:
        """The asynchronous object that does the work; its coroutines run on the loop alone."""

    @property
    @abstractmethod
    def _loop_thread(self) -> LoopThread:
        """The thread that runs the loop.

        Raises:
            AdapterClosedError: there is none, because the adapter is not open.
        """

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled.

        Raises:
            StorageError: always; it says what to do instead.
        """
        raise StorageError(
            f"{type(self).__name__} cannot be copied or pickled, because its thread belongs to it alone: share it, "
            "since it serves any number of threads, or in another process open one for the same URL with open_sync()"
        )

    def _run(self, operation: Callable[[], Awaitable[T]], undo: Undo[T] | None = None) -> T:
        """Run an operation on the loop, and wait for it."""
        return self._loop_thread.run(operation, undo)

    def _iterate(self, make: Callable[[], AsyncGenerator[T, None]]) -> "SyncIterator[T]":
        """Iterate over what an asynchronous iterator yields."""

        async def made() -> AsyncGenerator[T, None]:
            return make()

        return SyncIterator(self, self._run(made))


def iterated(elements: Iterable[T]) -> Iterable[T]:
    """Return what an iterator yields, so that it runs in this thread and may make calls; anything else as it is."""
    return [*elements] if isinstance(elements, Iterator) else elements


class SyncIterator(Iterator[T]):
    """Yields what comes: `next` waits for it, and so does `for`.

    Any thread may call `close`, or leave a `with` block of the iterator; a thread that waits for the next element then
    gets none. An exception that interrupts the wait, such as that of Ctrl-C, ends the iterator too: go on with another
    one, after the last element.
    """

    def __init__(self, calls: SyncCalls, elements: AsyncGenerator[T, None]) -> None:
        self._calls = calls
        self._loop_thread = calls._loop_thread  # noqa: SLF001 - it is a part of the calls
        self._elements = elements
        self._waiting: asyncio.Task[Any] | None = None
        self._has_begun = False
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Wait for the next element and return it.

        Raises:
            StopIteration: the iterator, or its adapter, was closed.
        """
        try:
            return self._loop_thread.run(self._advance)
        except StopAsyncIteration:
            raise StopIteration from None
        except asyncio.CancelledError:
            if not self._is_closed:
                raise
            raise StopIteration from None
        except AdapterClosedError:
            if not self._has_begun or self._loop_thread.is_inherited:
                raise
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iterator; does nothing if it has ended."""
        with suppress(AdapterClosedError):
            self._loop_thread.run(self._end)

    async def _advance(self) -> T:
        if self._waiting is not None:
            raise StorageError("another thread waits for the next element of this iterator: make one for each thread")
        self._waiting = asyncio.current_task()
        try:
            element = await anext(self._elements)
        finally:
            self._waiting = None
        self._has_begun = True
        return element

    async def _end(self) -> None:
        self._is_closed = True
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.wait({self._waiting})
        await self._elements.aclose()


class SyncBlock(AbstractContextManager[ValueT_co], Generic[ValueT_co]):
    """Enters and leaves an asynchronous context manager on the loop."""

    def __init__(self, calls: SyncCalls, make: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._calls = calls
        self._make = make
        self._block: AbstractAsyncContextManager[Any] | None = None

    @abstractmethod
    def _begun(self, value: Any) -> ValueT_co:
        """Return the value of the block for that of the asynchronous one."""

    @abstractmethod
    def _interrupted(self) -> None:
        """Clean up; called if an exception comes out of the end of the block, such as that of Ctrl-C."""

    @abstractmethod
    def _closed(self) -> None:
        """Raise an error, if it matters that the adapter was closed before the block ended, without an exception."""

    def __enter__(self) -> ValueT_co:
        async def enter() -> tuple[AbstractAsyncContextManager[Any], Any]:
            block = self._make()
            return block, await block.__aenter__()

        async def leave(entered: tuple[AbstractAsyncContextManager[Any], Any], interruption: BaseException) -> None:
            await entered[0].__aexit__(type(interruption), interruption, interruption.__traceback__)

        if self._block is not None:
            raise StorageError("this block has begun already: make another one")
        self._loop_thread = self._calls._loop_thread  # noqa: SLF001 - the block is a part of the calls
        self._block, value = self._calls._run(enter, leave)  # noqa: SLF001 - as above
        return self._begun(value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        block = self._block
        if block is None:
            raise StorageError("this block has not begun")
        try:
            return self._loop_thread.run(lambda: block.__aexit__(kind, error, traceback))
        except AdapterClosedError:
            if error is None:
                self._closed()
            return None
        except BaseException:
            self._interrupted()
            raise
