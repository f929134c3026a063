"""`problems_of`: what failed in a run, the gravest first, with links to where it is shown."""

from collections import defaultdict
from typing import Any

from attrs import frozen

from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.run import WORDS, Run, RunNode
from aaow_storage_studio._web.run_links import step_link
from aaow_storage_studio._web.visit import Visit


@frozen(kw_only=True)
class Problem:
    """An error, with all that failed with it in one node.

    Attributes:
        node_id: the node.
        message: the error.
        is_mended: whether the node completed all the same.
        places: what failed, such as "4 tool calls get_order", and where the first of them is shown.
    """

    node_id: str
    message: str
    is_mended: bool
    places: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "node": self.node_id,
            "message": self.message,
            "is_mended": self.is_mended,
            "where": [what for what, _ in self.places],
        }


def problems_of(visit: Visit, run: Run) -> list[Problem]:
    """Return what failed: first in nodes that did not complete, each by the order of the nodes.

    What has one message in one node is one problem, also if a traceback follows the message.
    """
    found = [problem for node in run.nodes for problem in _of_node(visit, run, node)]
    return sorted(found, key=lambda problem: problem.is_mended)


def _of_node(visit: Visit, run: Run, node: RunNode) -> list[Problem]:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    messages: dict[str, str] = {}

    def add(message: str, what: str, link: str) -> None:
        first_line = message.strip().partition("\n")[0]
        found[first_line][what].append(link)
        messages[first_line] = max(messages.get(first_line, ""), message, key=len)

    here = f"#{anchor('node', node.id)}"
    if node.state is not None and node.state.error is not None:
        add(node.state.error, "the node", here)
    elif node.status == "failed":
        add("It failed, and does not say why.", "the node", here)
    for attempt in node.attempts[:-1]:
        if attempt.error is not None:
            add(attempt.error, "earlier attempt", here)
    for step in node.steps:
        if step.error is not None:
            add(step.error, f"{WORDS[step.kind]} {step.name}", step_link(visit, run, step))
    is_mended = node.status == "completed"
    return [
        Problem(
            node_id=node.id,
            message=messages[line],
            is_mended=is_mended,
            places=tuple((_counted(what, len(links)), links[0]) for what, links in of_line.items()),
        )
        for line, of_line in found.items()
    ]


def _counted(what: str, number: int) -> str:
    """Return `"tool call get_order"` for one, `"4 tool calls get_order"` for several."""
    if number == 1:
        return what
    first, gap, rest = what.partition(" call")
    return f"{number} {first}{gap}s{rest}" if gap else f"{number} {what}s"
