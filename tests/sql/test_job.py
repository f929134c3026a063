"""An outcome on its way back to the task that waits for it."""

import asyncio
import gc
from itertools import pairwise
from typing import Any

import pytest

from aaow_storage.errors import NotFoundError, OutcomeUnknownError, StorageUnavailableError
from aaow_storage_sql import Call, Job, Operation, Outcome, deliver
from aaow_storage_sql._threads.job import MAX_WAKEUPS

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0


def a_job() -> Job[Any]:
    """Return a job that a thread has claimed."""
    job: Job[Any] = Job(Call(Operation(lambda _: None, writes=True)))
    job.claim()
    return job


@pytest.mark.parametrize("waits", [Job.wait, Job.wait_shielded])
async def test_other_tasks_run_before_a_task_whose_outcome_is_there_already(waits: Any):
    job = a_job()
    job.settle(Outcome(job, value="done"))
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "another task's")
    assert await waits(job) == "done"
    assert turns == ["another task's"]


async def test_many_outcomes_are_settled_in_several_iterations_of_the_loop():
    jobs = [a_job() for _ in range(3 * MAX_WAKEUPS + 1)]
    tasks = [asyncio.create_task(job.wait()) for job in jobs]
    await asyncio.sleep(0)
    deliver([Outcome(job) for job in jobs])
    settled = [0]
    while settled[-1] < len(jobs):
        await asyncio.sleep(0)
        settled.append(sum(job._future.done() for job in jobs))
    steps = [after - before for before, after in pairwise(settled) if after > before]
    assert steps == [MAX_WAKEUPS] * 3 + [1]
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("waits", [Job.wait, Job.wait_shielded])
async def test_an_error_settled_just_before_the_cancellation_is_not_reported_as_never_retrieved(waits: Any):
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    job = a_job()
    job.settle(Outcome(job, error=NotFoundError("session", "s")))
    task = asyncio.create_task(waits(job))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del job, task
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_task_cancelled_while_its_job_was_claimed_does_not_wait_for_a_job_that_is_released_undone():
    job = a_job()
    task = asyncio.create_task(job.wait_shielded())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    job.release()
    ended, _ = await asyncio.wait([task], timeout=PATIENCE_S)
    job.settle(Outcome(job))  # so that a test that fails ends too
    assert ended
    assert task.cancelled()
    assert not job.claim()  # so no thread runs it


async def test_a_job_that_is_released_undone_may_be_claimed_again():
    job = a_job()
    task = asyncio.create_task(job.wait_shielded())
    await asyncio.sleep(0)
    job.release()
    assert job.claim()
    job.settle(Outcome(job, value="done"))
    assert await task == "done"


async def test_a_job_that_may_be_stored_never_ends_with_an_error_that_says_it_is_not():
    job = a_job()
    job.may_be_stored = True
    refused = StorageUnavailableError("the server refuses connections")
    assert refused.is_retryable
    job.settle(Outcome(job, error=refused))
    with pytest.raises(OutcomeUnknownError, match="the server refuses connections; read the records") as caught:
        await job.wait()
    assert not caught.value.is_retryable
    assert caught.value.__cause__ is refused


async def test_a_job_that_may_be_stored_ends_with_the_refusal_of_a_later_attempt():
    job = a_job()
    job.may_be_stored = True
    job.settle(Outcome(job, error=NotFoundError("session", "s")))
    with pytest.raises(NotFoundError):
        await job.wait()
