"""Waiting until an approval request is decided, has expired, or is gone."""

import functools
from collections.abc import Collection, Mapping
from datetime import datetime
from operator import ne
from typing import TYPE_CHECKING, NamedTuple

from attrs import evolve

from aaow_storage._enums import ApprovalStatus
from aaow_storage._filter_limits import MAX_VALUES
from aaow_storage._filters import QueryFilter
from aaow_storage._ids import now
from aaow_storage._operators import In
from aaow_storage._records import ApprovalRequest
from aaow_storage._required_operations import RequiredOperations
from aaow_storage._rules import is_decidable
from aaow_storage._watching import Probe, Watcher
from aaow_storage.errors import NotFoundError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.001, 86_400.0
"""How long to wait before the clock is read again, because it is not the one that timers go by."""


class StillPending(NamedTuple):
    """A request that can still be decided, until it expires; a tuple, because ten thousand are compared at once."""

    expires_at: datetime | None


class Decided:
    """A request that cannot be decided any more. The first that waits takes the record; others read one of their own.

    So no two callers get the same document.
    """

    __slots__ = ("_request",)

    def __init__(self, request: ApprovalRequest) -> None:
        self._request: ApprovalRequest | None = request

    def take(self) -> ApprovalRequest | None:
        """Return the record; None if it was taken before."""
        request, self._request = self._request, None
        return request


Decision = StillPending | Decided | None
"""What has become of a request; None if it is not there any more."""
_UNKNOWN = object()
"""Differs from every decision, so that the next read is news whatever it finds."""


def decision_on(request: ApprovalRequest | None, at: datetime) -> Decision:
    """Return what has become of a request that was read at that instant."""
    if request is None:
        return None
    return StillPending(request.expires_at) if is_decidable(request, at) else Decided(request)


async def decisions_on(storage: RequiredOperations, request_ids: Collection[str]) -> Mapping[str, Decision]:
    """Return what has become of each of the requests: one list of those that are pending, and each other one alone."""
    ids, found = [*request_ids], dict[str, Decision]()
    for start in range(0, len(ids), MAX_VALUES):
        of_these = QueryFilter({"id": In(ids[start : start + MAX_VALUES])})
        found |= {each.id: StillPending(each.expires_at) for each in await storage.list_pending_approvals(of_these)}
    for request_id in ids:
        if request_id not in found:
            found[request_id] = decision_on(await storage.get_approval_request(request_id), now())
    return found


async def wait_for_decision(
    storage: RequiredOperations,
    watcher: Watcher,
    decisions: Probe[Decision],
    request_id: str,
    timeout: float | None,  # noqa: ASYNC109 - it waits for a person, and names the request when it gives up
) -> ApprovalRequest:
    """Return the request once it cannot be decided any more.

    Raises:
        NotFoundError: there is no such request, or it was deleted meanwhile.
        TimeoutError: it can still be decided after `timeout` seconds.
        StorageError: a read failed.
    """
    import asyncio  # noqa: PLC0415 - its import is slow, and no backend may need it to be loaded

    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    found = decision_on(await storage.get_approval_request(request_id), now())
    known: object = found
    while found is not None:
        if isinstance(found, Decided):
            if (request := found.take()) is not None:
                return _as_expired(request) if request.status is ApprovalStatus.PENDING else request
            known = found = decision_on(await storage.get_approval_request(request_id), now())
            continue
        if deadline is not None and loop.time() >= deadline:
            raise TimeoutError(f"the approval request {request_id!r} was not decided within {timeout:g} s")
        try:
            look_at = deadline if known is _UNKNOWN else _next_look(loop, found, deadline)
            async with asyncio.timeout_at(look_at) as waiting:
                known = found = await watcher.wait(decisions, request_id, functools.partial(ne, known))
        except TimeoutError:
            if not waiting.expired():
                raise
            known = _UNKNOWN
    raise NotFoundError("approval_request", request_id)


def _as_expired(request: ApprovalRequest) -> ApprovalRequest:
    return evolve(request, status=ApprovalStatus.EXPIRED)


def _next_look(loop: "AbstractEventLoop", pending: StillPending, deadline: float | None) -> float | None:
    """Return when to look at a pending request without news, in the loop's time; None if never."""
    looks = [] if deadline is None else [deadline]
    if pending.expires_at is not None:
        left_s = (pending.expires_at - now()).total_seconds()
        looks.append(loop.time() + max(left_s, _SHORTEST_WAIT_S))
    return min(*looks, loop.time() + _LONGEST_WAIT_S) if looks else None
