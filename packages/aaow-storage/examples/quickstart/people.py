"""The people who decide, each in a task of their own, while the engine waits for the decision.

In a real system, a page would list the pending requests for them.
"""

from decimal import Decimal

from aaow_storage import ApprovalRequest, ConflictError, StorageAdapter

BUDGET_OWNERS = ("maria.lopez", "sam.okafor")
REVIEWER = "ines.editor"


async def grant_increase(storage: StorageAdapter, request: ApprovalRequest, person: str) -> str:
    """Approve a request for more budget and add the amount, in one transaction; return a sentence about the result.

    Several people may answer at once. One approval is stored; the others raise `ConflictError`, which has the stored
    request with the name of the person.
    """
    amount = Decimal(request.context["amount"])
    try:
        async with storage.transaction() as tx:
            await tx.approve_request(request.id, person, notes=f"{amount} USD more, from the reserve")
            pool = await tx.increase_budget(request.context["pool_id"], amount)
    except ConflictError as error:
        decided = error.current
        winner = decided.resolved_by if isinstance(decided, ApprovalRequest) else "another person"
        return f"{person} came second: ConflictError says that {winner} had approved it; nothing was added twice"
    return f"{person} approved it and added {amount} USD in one transaction; the pool is {pool.status} again"


async def review(storage: StorageAdapter, request: ApprovalRequest) -> ApprovalRequest:
    """Approve a review."""
    return await storage.approve_request(request.id, REVIEWER, notes="Good. Leave out the number without a source.")
