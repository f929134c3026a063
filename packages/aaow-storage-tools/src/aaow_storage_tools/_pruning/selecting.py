"""Which sessions a policy gives up: trees of sessions, each with all of its descendants."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from aaow_storage import Direction, FieldName, In, Lt, OrderBy, QueryFilter, Session, StorageOperations
from aaow_storage.authoring import QueryPlan, plan_query, resolve_field
from aaow_storage_tools._pages import pages_of
from aaow_storage_tools._pruning.policy import ENDED, PrunePolicy, PruneRule, cutoff_of
from aaow_storage_tools._trees import Tree, chunks, trees_of

MAX_GROUPS = 1_000
"""Of how many workflows the last sessions are remembered."""

HELD = "held"
NOT_ENDED = "not_ended"
TOO_YOUNG = "too_young"
PENDING = "pending_approval"
LAST = "among_the_last"
CHANGED = "changed_meanwhile"


@frozen
class _Rule:
    """A rule as it is applied at one time."""

    rule: PruneRule
    cutoff: datetime
    about: Mapping[FieldName, Any]
    """The conditions without the age."""
    plan: QueryPlan
    """Those conditions and the age."""
    about_plan: QueryPlan


class Selector:
    """Selects the sessions that a policy gives up at one time; `kept` counts the trees that stay, by reason."""

    def __init__(self, storage: StorageOperations, policy: PrunePolicy, now: datetime) -> None:
        self._storage = storage
        self._policy = policy
        self._rules = [_applied(rule, now) for rule in policy.rules]
        self._hold = None if policy.hold is None else resolve_field(Session, policy.hold)
        self._last: dict[tuple[int, str | None], set[str]] = {}
        self.kept: Counter[str] = Counter()

    async def pages(self) -> AsyncIterator[list[Tree]]:
        """Yield the trees, some at a time, by the time of their roots."""
        if not self._rules:
            return
        conditions = [{**each.about, "updated_at": Lt(each.cutoff)} for each in self._rules]
        roots = QueryFilter({"parent_session_id": None}, any_of=conditions, documents=False)
        async for page in pages_of(self._storage.list_sessions, roots):
            trees = await trees_of(self._storage, page)
            pending = await self.pending(session.id for tree in trees for session in tree.sessions)
            selected = []
            for tree in trees:
                reason = await self._reason_to_keep(tree, pending)
                if reason is None:
                    selected.append(tree)
                else:
                    self.kept[reason] += 1
            if selected:
                yield selected

    async def pending(self, ids: Iterable[str], storage: StorageOperations | None = None) -> set[str]:
        """Return those of the sessions that have a request which somebody could decide, unless that does not count."""
        if self._policy.pending_approvals:
            return set()
        storage = storage or self._storage
        found = set()
        for some in chunks(ids):
            requests = await storage.list_pending_approvals(QueryFilter({"session_id": In(some)}))
            found |= {request.session_id for request in requests}
        return found

    async def _reason_to_keep(self, tree: Tree, pending: set[str]) -> str | None:
        """Return why a tree stays, None if it goes."""
        rule = next((each for each in self._rules if each.plan.matches(tree.root)), None)
        if rule is None:  # it was changed since the page was read
            return CHANGED
        if any(map(self._is_held, tree.sessions)):
            return HELD
        ended = {*ENDED, *rule.rule.status}
        if any(session.status not in ended for session in tree.sessions):
            return NOT_ENDED
        if any(session.updated_at >= rule.cutoff for session in tree.sessions):
            return TOO_YOUNG
        if any(session.id in pending for session in tree.sessions):
            return PENDING
        return LAST if await self._is_among_last(tree.root) else None

    def _is_held(self, session: Session) -> bool:
        value = None if self._hold is None else self._hold.value_of(session)
        return value is not None and value is not False

    async def _is_among_last(self, session: Session) -> bool:
        for number, each in enumerate(self._rules):
            if each.rule.keep_last and each.about_plan.matches(session):
                key = number, session.workflow_id
                if key not in self._last:
                    while len(self._last) >= MAX_GROUPS:
                        del self._last[next(iter(self._last))]
                    self._last[key] = await self._last_of(each, session.workflow_id)
                if session.id in self._last[key]:
                    return True
        return False

    async def _last_of(self, rule: _Rule, workflow_id: str | None) -> set[str]:
        newest = QueryFilter(
            {**rule.about, "workflow_id": workflow_id, "parent_session_id": None},
            OrderBy("created_at", Direction.DESCENDING),
            limit=rule.rule.keep_last,
            documents=False,
        )
        return {session.id for session in await self._storage.list_sessions(newest)}


def _applied(rule: PruneRule, now: datetime) -> _Rule:
    about: dict[FieldName, Any] = {**rule.where, "status": In(rule.status)}
    if rule.workflows is not None:
        about["workflow_id"] = In(rule.workflows)
    cutoff = cutoff_of(now, rule.older_than)
    return _Rule(rule, cutoff, about, _plan({**about, "updated_at": Lt(cutoff)}), _plan(about))


def _plan(where: Mapping[FieldName, Any]) -> QueryPlan:
    return plan_query(Session, QueryFilter(where, documents=False), "created_at")
