"""Two open transactions write the same two records, each in another order."""

import asyncio
from contextlib import suppress

import pytest

from aaow_storage import ConflictError, StorageAdapter, Transaction, TransactionOutcome
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.harness.refusals import check_calls_raise
from aaow_storage_conformance.harness.side_by_side import begun_beside_each_other
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.time_limits import SOON_S

NODE = "node"
ENDINGS = {"commit": TransactionOutcome.COMMITTED, "rollback": TransactionOutcome.ROLLED_BACK}


class Writer:
    """Writes in one transaction, which may lose a conflict at any call; knows what it wrote."""

    def __init__(self, transaction: Transaction, session_id: str) -> None:
        self.transaction = transaction
        self._session_id = session_id
        self._written: dict[str, str | None] = {}

    async def write(self, id: str, text: str) -> None:
        """Save an execution, unless that raises ConflictError."""
        with suppress(ConflictError):
            await self.transaction.save_llm_execution(self._session_id, NODE, samples.a_result(id=id, text=text))
            self._written[id] = text

    async def end(self, ending: str) -> dict[str, str | None]:
        """End the transaction, unless it has lost; return what it has to have stored."""
        with suppress(ConflictError):
            await getattr(self.transaction, ending)()
        return self._written if self.transaction.outcome is TransactionOutcome.COMMITTED else {}


class CrosswiseTests:
    """One of the transactions waits for the other, or loses; what a loser goes on to write is stored nowhere."""

    @clause("TXN-8", "TXN-3", "TXN-5")
    @pytest.mark.parametrize("ending", ENDINGS)
    async def test_of_transactions_that_write_crosswise_each_is_stored_whole_or_not_at_all(
        self, storage: StorageAdapter, store: Store, ending: str
    ) -> None:
        session = await samples.stored_session(storage)
        stored: dict[str, str | None] = {"a": "before", "b": "before"}
        for each, text in stored.items():
            await storage.save_llm_execution(session.id, NODE, samples.a_result(id=each, text=text))
        async with store.open() as beside:
            one, other = await begun_beside_each_other(storage, beside)
            first = Writer(one, session.id)
            second = first if other is one else Writer(other, session.id)
            await first.write("a", "first")
            await second.write("b", "second")
            async with asyncio.timeout(SOON_S):
                await asyncio.gather(first.write("b", "first"), second.write("a", "second"))
            for number, writer in enumerate(dict.fromkeys((first, second))):
                for step in ("later", "last"):
                    if writer.transaction.outcome is None:
                        await writer.write(f"{step} {number}", step)
                if writer.transaction.outcome is None:
                    stored |= await writer.end(ending)
                assert writer.transaction.outcome in {ENDINGS[ending], TransactionOutcome.ABORTED}
                await check_calls_raise(writer.transaction, "a transaction that is over")
        found = await storage.get_llm_executions(session.id)
        assert {each.id: each.text for each in found} == stored
