"""Mistakes with errors: of the wrong class, without their facts, not picklable, or with a password."""

import attrs

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    BudgetExceededError,
    ConflictError,
    NotFoundError,
    StorageError,
    ValidationError,
    create_adapter,
)
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


@breaks("ERR-1")
class LetsDriverErrorsOut(Delegating):
    """Raises the driver's exception for an id that exists."""

    async def log_tool_call(self, log):
        try:
            await super().log_tool_call(log)
        except AlreadyExistsError as error:
            raise KeyError(log.id) from error


@breaks("ERR-1")
class RaisesTheRootOfAll(Delegating):
    """Raises a plain StorageError in place of a specific one."""

    async def delete_budget_pool(self, id):
        try:
            await super().delete_budget_pool(id)
        except ConflictError as error:
            raise StorageError(str(error)) from error


@breaks("ERR-1", "APR-1")
class LosesWhatIsStored(Delegating):
    """Raises ConflictError for a decided request without the stored record."""

    async def reject_request(self, id, rejected_by, reason=None):
        try:
            return await super().reject_request(id, rejected_by, reason)
        except ConflictError as error:
            raise ConflictError(str(error)) from error


@breaks("ERR-1")
class NamesKindsAsItsTables(Delegating):
    """Puts the name of its table into `NotFoundError.kind`."""

    async def delete_session(self, id):
        try:
            await super().delete_session(id)
        except NotFoundError as error:
            raise NotFoundError("sessions", id) from error


class MissingWorkflowError(NotFoundError):
    """An error that cannot be rebuilt from its `args`."""

    def __init__(self, id: str) -> None:
        super().__init__("workflow", id)


@breaks("ERR-1")
class RaisesWhatCannotBePickled(Delegating):
    """Raises an error that cannot be pickled, because its arguments are not those of its constructor."""

    async def delete_workflow(self, id):
        try:
            await super().delete_workflow(id)
        except NotFoundError as error:
            raise MissingWorkflowError(id) from error


@breaks("ERR-1")
class HangsFactsOnItsErrors(Delegating):
    """Attaches a connection to its errors, which cannot be pickled."""

    async def update_session(self, id, /, **changes):
        try:
            return await super().update_session(id, **changes)
        except NotFoundError as error:
            error.connection = lambda: self
            raise


@breaks("ERR-1")
class RaisesItsErrorAgain(Delegating):
    """Raises the same error object every time."""

    error = None

    async def delete_workflow(self, id):
        try:
            await super().delete_workflow(id)
        except NotFoundError as error:
            self.error = self.error or error
            raise self.error from None


@breaks("ERR-1", "BUD-1")
class BlamesThePoolThatWasAsked(Delegating):
    """Names the pool that was passed, whichever pool has too little left."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError as error:
            raise BudgetExceededError(str(error), await self.get_budget_pool(pool_id)) from error


@breaks("ERR-1", "REC-6")
class HandsOutItsOwnInErrors(MemoryAdapter):
    """Puts the stored record itself into an error, so that the caller can change it."""

    async def approve_request(self, id, approved_by, notes=None):
        try:
            return await super().approve_request(id, approved_by, notes)
        except ConflictError as error:
            raise ConflictError(error.reason, self._store.tables.get(ApprovalRequest, id)) from error


@breaks("ERR-1")
class StumblesOverTypes(Delegating):
    """Uses an id before it checks its type."""

    async def get_execution_state(self, session_id):
        return await super().get_execution_state(session_id[:1000])


@breaks("ERR-1")
class IgnoresWhatItCannotUse(Delegating):
    """Ignores a `filter` that is not a QueryFilter."""

    async def get_tool_calls(self, execution_id, filter=None):
        return await super().get_tool_calls(execution_id, filter if attrs.has(type(filter)) else None)


@breaks("ERR-1")
class HandsBigNumbersToItsDriver(Delegating):
    """Raises the driver's exception for an amount that is too large."""

    async def increase_budget(self, pool_id, amount):
        if isinstance(amount, int):
            amount.to_bytes(16, "big", signed=True)
        return await super().increase_budget(pool_id, amount)


@breaks("ERR-1")
class WrapsWhatItDidNotForesee(Delegating):
    """Raises a plain StorageError for an amount that is too large, not ValidationError."""

    async def increase_budget(self, pool_id, amount):
        try:
            if isinstance(amount, int):
                amount.to_bytes(16, "big", signed=True)
        except OverflowError as error:
            raise StorageError(f"unforeseen {error}") from error
        return await super().increase_budget(pool_id, amount)


@breaks("ERR-1", on="memory")
def shows_urls_as_they_are(url=None, **options):
    """Shows a URL with its password in the error that refuses it."""
    try:
        return create_adapter("memory", url, **options)
    except ValidationError as error:
        raise ValidationError("memory", "url", f"{url!r} names no store") from error
