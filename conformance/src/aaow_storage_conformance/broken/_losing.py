"""Mistakes of stores whose writers do not wait."""

from contextlib import asynccontextmanager

from aaow_storage import Capability, TransactionOutcome
from aaow_storage.errors import ContentionError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._certifying import CertifyingAdapter, CertifyingTransaction, open_transactions


@breaks("CON-1", "CON-2", "TXN-7", "LIF-2", caught_by=["test_closing_waits_for_what_another_adapter_holds_up"])
class ClaimsThatItsWritersWait(CertifyingAdapter):
    """Claims that writers wait, and aborts a transaction that is in their way."""

    @property
    def capabilities(self):
        return super().capabilities | {Capability.WRITERS_WAIT}


@breaks("TXN-8", "BUD-3")
class OverwritesWhatWasStoredMeanwhile(CertifyingAdapter):
    """Commits a transaction although another one was committed meanwhile that changed the same records."""

    class Transaction(CertifyingTransaction):
        def _check(self):
            self.is_lost = False
            super()._check()


@breaks("CON-1", "BUD-3", caught_by=["test_single_operations_never_lose_to_open_transactions"])
class ShowsConflictsOfSingleOperations(CertifyingAdapter):
    """Raises the conflict of an operation with an open transaction, rather than to run the operation again."""

    @asynccontextmanager
    async def _writing(self):
        written = [each.written for each in open_transactions(self._store) if each.outcome is None]
        async with super()._writing() as tables:
            yield tables
            if tables.written & set().union(*written):
                raise ContentionError("certification failed")


@breaks("TXN-3", "TXN-8", caught_by=["test_a_transaction_that_lost_says_so_once_and_is_over"])
class SaysAtEachCallThatItLost(CertifyingAdapter):
    """Raises ContentionError at every call on a transaction that lost, not once."""

    class Transaction(CertifyingTransaction):
        reason = None

        def _check(self):
            try:
                if self.reason is None:
                    super()._check()
            except ContentionError as error:
                self.reason = str(error)
            if self.reason is not None:
                raise ContentionError(self.reason)


@breaks("TXN-8", "TXN-3", caught_by=["test_a_transaction_that_lost_says_so_once_and_is_over"])
class CallsWhatLostRolledBack(CertifyingAdapter):
    """Reports a transaction that lost as one that its caller rolled back."""

    class Transaction(CertifyingTransaction):
        def _end(self, outcome, reason):
            was_aborted = outcome is TransactionOutcome.ABORTED and self.is_lost
            super()._end(TransactionOutcome.ROLLED_BACK if was_aborted else outcome, reason)
