"""`session_status` of decisions, for backends that were written for contract 1.0."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from aaow_storage._arguments import check_session_status

DECISIONS = ("approve_request", "reject_request", "expire_approvals")
"""The operations that may set the status of sessions."""


def lacks_session_status(decide: Any) -> bool:
    """Say whether it is a function that does not take `session_status`, as in contract 1.0."""
    code = getattr(decide, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARKEYWORDS:
        return False
    return "session_status" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def with_session_status(decide: Callable[..., Awaitable[Any]]) -> Any:
    """Return the operation with `session_status`, which it sets in a transaction with the decision."""
    name: str = getattr(decide, "__name__")  # noqa: B009 - a callable need not have one, a method has

    @functools.wraps(decide)
    async def deciding(self: Any, *arguments: Any, session_status: Any = None, **options: Any) -> Any:
        status = check_session_status(name, session_status)
        if status is None:
            return await decide(self, *arguments, **options)
        async with self._in_one_step() as step:
            decided = await getattr(step, name)(*arguments, **options)
            requests = decided if isinstance(decided, list) else [decided]
            for session_id in sorted({request.session_id for request in requests}):
                await step.update_session(session_id, status=status)
            return decided

    return deciding
