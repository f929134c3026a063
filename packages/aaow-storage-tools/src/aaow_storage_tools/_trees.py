"""`Tree`: a session with all of its descendants."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from aaow_storage import In, QueryFilter, Session, StorageOperations
from aaow_storage_tools._pages import pages_of

MAX_VALUES = 10_000
"""The most values of a condition."""


@frozen
class Tree:
    """A session with all of its descendants; in `sessions`, each comes before its parent."""

    root: Session
    sessions: tuple[Session, ...]
    ids: frozenset[str]


async def trees_of(storage: StorageOperations, roots: Sequence[Session]) -> list[Tree]:
    """Return the trees of some sessions, read level by level; a root below another one is in the tree of that alone."""
    root_of = {root.id: root.id for root in roots}
    levels = {root.id: [root] for root in roots}
    parents = list(root_of)
    while parents:
        children: list[str] = []
        for some in chunks(parents):
            async for page in pages_of(storage.list_sessions, _children_of(some)):
                for child in page:
                    root = root_of.get(child.parent_session_id or "")
                    if root is None or root_of.get(child.id) == root:
                        continue
                    if child.id in levels and child.id != root:  # a root that is below another one
                        below = levels.pop(child.id)
                        root_of |= {each.id: root for each in below}
                        levels[root] += below
                        continue
                    if child.id not in root_of:
                        root_of[child.id] = root
                        levels[root].append(child)
                        children.append(child.id)
        parents = children
    return [_tree(root, levels[root.id]) for root in roots if root.id in levels]


def _children_of(ids: list[str]) -> QueryFilter:
    return QueryFilter({"parent_session_id": In(ids)}, documents=False)


def _tree(root: Session, sessions: list[Session]) -> Tree:
    """Return the tree of sessions that are sorted so that each comes before its parent."""
    known = {session.id: session for session in sessions}
    depths: dict[str, int] = {}
    for session in sessions:
        path = []
        at: Session | None = session
        while at is not None and at.id not in depths and at.id not in path:
            path.append(at.id)
            at = None if at.id == root.id else known.get(at.parent_session_id or "")
        depth = 0 if at is None else depths.get(at.id, 0) + 1
        for each in reversed(path):
            depths[each] = depth
            depth += 1
    deepest_first = sorted(sessions, key=lambda session: -depths[session.id])
    return Tree(root, tuple(deepest_first), frozenset(known))


def chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    """Yield the ids in lists that a condition may have."""
    all_ids = [*ids]
    return (all_ids[start : start + MAX_VALUES] for start in range(0, len(all_ids), MAX_VALUES))
