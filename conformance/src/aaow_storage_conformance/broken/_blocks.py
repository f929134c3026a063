"""Mistakes with `async with adapter`: how the block begins, how it ends, and which error comes out."""

from aaow_storage import StorageError, StorageUnavailableError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._close import CommitsWhatIsOpen
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("LIF-4")
class EntersAsAnother(Delegating):
    """Passes another adapter than itself to its `async with` block."""

    async def __aenter__(self):
        await self.initialize()
        return self.reference


@breaks("LIF-4")
class EntersClosed(Delegating):
    """Does not initialize when it enters `async with`."""

    async def __aenter__(self):
        return self


@breaks("LIF-4")
class SwallowsErrors(Delegating):
    """Suppresses the error of its `async with` block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()
        return isinstance(error, Exception)


@breaks("LIF-4")
class ClosesOnlyAfterSuccess(Delegating):
    """Stays open if its block raises."""

    async def __aexit__(self, kind, error, traceback):
        if kind is None:
            await self.close()


@breaks("LIF-4")
class ReplacesErrors(Delegating):
    """Raises an error of its own in place of that of its block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()
        if isinstance(error, Exception):
            raise StorageUnavailableError(str(error)) from error


@breaks("LIF-4", "LIF-2")
class CommitsOnLeaving(CommitsWhatIsOpen):
    """Commits the transaction that its block left open."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()


@breaks("LIF-4")
class HidesTheErrorOfABlockBehindThatOfClosing(Delegating):
    """Raises the error of closing in place of that of the block."""

    async def __aexit__(self, kind, error, traceback):
        await self.close()


@breaks("LIF-4")
class ClosesUnderAnotherBlock(Delegating):
    """Allows several `async with` blocks at once, and the end of the first closes the adapter for all."""

    async def __aenter__(self):
        await self.initialize()
        return self

    async def __aexit__(self, kind, error, traceback):
        await self.close()


@breaks("LIF-4")
class EntersOnlyOnce(Delegating):
    """Refuses a second `async with` block even after the first has ended."""

    was_entered = False

    async def __aenter__(self):
        if self.was_entered:
            raise StorageError("it is in an `async with` block already")
        self.was_entered = True
        return await super().__aenter__()
