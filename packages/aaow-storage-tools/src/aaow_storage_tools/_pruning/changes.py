"""Pruning the change feed by age, some changes at a time."""

import asyncio
from datetime import datetime, timedelta

from aaow_storage import StorageAdapter
from aaow_storage_tools._pruning.policy import cutoff_of

STEP = 1_000
"""How many changes one step deletes."""
PAUSE_S = 0.005


async def prune_changes(storage: StorageAdapter, at: datetime, age: timedelta, *, dry_run: bool) -> int:
    """Delete the changes that were recorded longer ago than `age`; return how many there were."""
    cutoff = cutoff_of(at, age)
    if dry_run:
        return await _count_before(storage, cutoff)
    deleted = 0
    while True:
        oldest = await storage.get_changes(limit=STEP)
        if len(oldest) < STEP or any(change.at >= cutoff for change in oldest):
            break
        step = await storage.prune_changes(oldest[-1].position)
        if not step:  # one transaction made all of them
            break
        deleted += step
        await asyncio.sleep(PAUSE_S)
    return deleted + await storage.prune_changes(cutoff)


async def _count_before(storage: StorageAdapter, cutoff: datetime) -> int:
    count, position = 0, None
    while page := await storage.get_changes(after=position, limit=STEP):
        for change in page:
            if change.at >= cutoff:
                return count
            count += 1
        position = page[-1].position
    return count
