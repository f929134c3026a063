"""What the backend itself finds in its store."""

from collections.abc import AsyncIterator

from aaow_storage.authoring import StoreMaintenance
from aaow_storage.errors import NotOfferedError
from aaow_storage_tools._checking.findings import Finding, Problem


async def findings_of_backend(
    maintenance: StoreMaintenance, skipped: list[str], *, repair: bool
) -> AsyncIterator[Finding]:
    """Yield what the backend finds; add to `skipped` what it does not look for.

    The files come last, because a repair of an index mends them too.
    """
    try:
        async for found in maintenance.check_records(repair=repair):
            yield Finding(
                problem=Problem(found.code),
                kind=found.kind,
                id=found.place if found.id is None else found.id,
                message=found.problem,
                remedy=found.remedy,
                is_repairable=found.is_repairable,
                is_repaired=found.is_repaired,
            )
    except NotOfferedError:
        skipped.append("digests, and documents that nobody refers to: the backend does not offer it")
    try:
        damage = await maintenance.check_integrity()
    except NotOfferedError:
        skipped.append("the files or tables themselves: the backend does not offer it")
    else:
        for each in damage:
            yield Finding(
                problem=Problem.STORE_DAMAGED, kind=None, id=each.place, message=each.problem, remedy=each.remedy
            )
