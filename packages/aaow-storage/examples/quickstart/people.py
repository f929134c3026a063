"""The people who decide: in a real system they sit in front of a page that lists what is pending."""

from decimal import Decimal

from aaow_storage import ApprovalRequest, ConflictError, StorageAdapter

BUDGET_OWNERS = ("maria.lopez", "sam.okafor")
REVIEWER = "ines.editor"


async def grant_increase(storage: StorageAdapter, request: ApprovalRequest, person: str) -> str:
    """Approve a request for more budget and add the amount, both or neither; return what came of it.

    Several people may answer at once: one of them wins, and the others learn who did.
    """
    amount = Decimal(request.context["amount"])
    try:
        async with storage.transaction() as tx:
            await tx.approve_request(request.id, person, notes=f"{amount} USD more, from the reserve")
            pool = await tx.increase_budget(request.context["pool_id"], amount)
    except ConflictError as error:
        decided = error.current
        winner = decided.resolved_by if isinstance(decided, ApprovalRequest) else "somebody else"
        return f"{person} came second: ConflictError says that {winner} had approved it; nothing was added twice"
    return f"{person} approved it and added {amount} USD in one transaction; the pool is {pool.status} again"


async def review(storage: StorageAdapter, request: ApprovalRequest) -> ApprovalRequest:
    """Read what is to be reviewed, and let it pass."""
    return await storage.approve_request(request.id, REVIEWER, notes="Good. Leave out the number without a source.")
