"""`Rows`: the nodes of a run as rows of the waterfall; the steps of a node are rows below it, or folded into it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from attrs import frozen
from markupsafe import Markup

from aaow_storage_studio._drawing.time_axis import TimeAxis
from aaow_storage_studio._drawing.waterfall import Bar, Mark, row_picture
from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.formats import duration
from aaow_storage_studio._web.run import WORDS, Run, RunNode, Step
from aaow_storage_studio._web.run_links import step_anchor, step_link
from aaow_storage_studio._web.visit import Visit

FOLDED_ABOVE = 16
"""A node with more steps has them folded, unless it is opened."""
MAX_ROWS = 250
"""If all rows together were more, all steps are folded, but those of the node that is open."""
MAX_OPEN_STEPS = 500
"""How many steps of an open node are shown at once."""
MAX_BARS = 60
"""A node with more attempts has those before the last as marks."""


@frozen(kw_only=True)
class StepRow:
    """A step as a row.

    Attributes:
        step: the step.
        anchor: the id of the row.
        href: where it leads.
        offset_s: how many seconds after the beginning of the axis it began.
        is_inner: whether it is a tool call below its model call.
        picture: its bar.
    """

    step: Step
    anchor: str
    href: str
    offset_s: float
    is_inner: bool
    picture: Markup


@frozen(kw_only=True)
class NodeRow:
    """A node as a row, with the rows of its steps.

    Attributes:
        node: the node.
        anchor: the id of the row.
        offset_s: how many seconds after the beginning of the axis it began.
        picture: the bars of its attempts, and marks of its steps if they are folded.
        is_open: whether it was opened.
        has_documents: whether its input, output and attempts are shown.
        folded: what is folded, in words; empty if nothing is.
        steps: the rows of its steps.
        first: the number of the first of them, from 0, if they are a part.
        next_first: the number of the first that follows, None if none does.
    """

    node: RunNode
    anchor: str
    offset_s: float
    picture: Markup
    is_open: bool
    has_documents: bool
    folded: str
    steps: Sequence[StepRow]
    first: int
    next_first: int | None


class Rows:
    """Makes the rows of a run."""

    def __init__(self, visit: Visit, run: Run, axis: TimeAxis, opened: str | None) -> None:
        self._visit = visit
        self._run = run
        self._axis = axis
        self._opened = opened
        self._nodes = [node for node in run.nodes if node.started_at is not None]
        shown = sum(1 + len(node.steps) for node in self._nodes if len(node.steps) <= FOLDED_ABOVE)
        self._is_large = shown > MAX_ROWS

    def rows(self) -> list[NodeRow]:
        """Return a row for each node that began."""
        return [self._row(node, began) for node in self._nodes if (began := node.started_at) is not None]

    def _row(self, node: RunNode, began: datetime) -> NodeRow:
        is_open = node.id == self._opened
        is_folded = not is_open and (self._is_large or len(node.steps) > FOLDED_ABOVE)
        first = self._first() if is_open else 0
        end = first + MAX_OPEN_STEPS
        shown = () if is_folded else node.steps[first:end]
        return NodeRow(
            node=node,
            anchor=anchor("node", node.id),
            offset_s=self._offset_s(began),
            picture=self._picture(node, node.steps if is_folded else ()),
            is_open=is_open,
            has_documents=is_open or not self._is_large,
            folded=in_words(node.steps) if is_folded else "",
            steps=[self._step_row(step, node) for step in shown],
            first=first,
            next_first=end if not is_folded and end < len(node.steps) else None,
        )

    def _first(self) -> int:
        text = self._visit.text("first")
        return int(text) if text.isdecimal() and len(text) < len("1000000000") else 0

    def _step_row(self, step: Step, node: RunNode) -> StepRow:
        href = step_link(self._visit, self._run, step)
        label = f"{WORDS[step.kind]} {step.name} of {node.id}"
        bar = Bar(
            start=step.started_at,
            end=step.started_at if step.ended_at is None and not step.is_open else step.ended_at,
            kind=step.kind,
            state=step.state,
            label=self._label(label, step.state, step.started_at, step.ended_at, is_open=step.is_open),
            href=href,
        )
        return StepRow(
            step=step,
            anchor=step_anchor(step),
            href=href,
            offset_s=self._offset_s(step.started_at),
            is_inner=step.call_id is not None,
            picture=row_picture(self._axis, [bar]),
        )

    def _picture(self, node: RunNode, folded: Sequence[Step]) -> Markup:
        attempts = [attempt for attempt in node.attempts if attempt.started_at is not None]
        bars, marks = [], []
        for number, attempt in enumerate(attempts, 1):
            began = attempt.started_at
            assert began is not None  # noqa: S101 - only those that have begun are here
            is_last = number == len(attempts)
            ended = attempt.ended_at
            if ended is None and not (is_last and not self._run.is_over):
                ended = self._run.ended_at if is_last and attempt.state == "running" else began
            if len(attempts) > MAX_BARS and not is_last:
                marks.append(Mark(began, ended, attempt.state))
                continue
            name = f"{node.id}, attempt {number} of {len(attempts)}" if len(attempts) > 1 else node.id
            label = self._label(name, attempt.state, began, ended, is_open=ended is None)
            link = f"#{anchor('node', node.id)}"
            bars.append(
                Bar(
                    start=began,
                    end=ended,
                    kind="node",
                    state=attempt.state,
                    label=label,
                    href=link,
                    is_only_link=len(attempts) > 1,
                )
            )
        marks += [
            Mark(step.started_at, None if step.is_open else step.ended_at or step.started_at, step.state)
            for step in folded
        ]
        return row_picture(self._axis, bars, marks)

    def _label(self, name: str, state: str, start: datetime, end: datetime | None, *, is_open: bool) -> str:
        took = "goes on" if is_open else "end unknown" if end is None else f"took {duration(end - start)}"
        began = duration(self._offset_s(start))
        return f"{name}: {state.replace('_', ' ')}, began after {began}, {took}"

    def _offset_s(self, instant: datetime) -> float:
        return (instant - self._axis.start).total_seconds()


def in_words(steps: Sequence[Step]) -> str:
    """Return how many steps of each kind there are: `100 model calls (2 failed), 198 tool calls`."""
    numbers = Counter(step.kind for step in steps)
    failed = Counter(step.kind for step in steps if step.state == "failed")
    return ", ".join(
        f"{number:,} {WORDS[kind]}{'s' if number > 1 else ''}{f' ({failed[kind]} failed)' if failed[kind] else ''}"
        for kind, number in numbers.items()
    )
