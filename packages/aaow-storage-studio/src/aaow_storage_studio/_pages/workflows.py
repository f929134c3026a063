"""The pages `workflows` and `workflow`: definitions, as a graph too, and the sessions of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from markupsafe import Markup

from aaow_storage import (
    NotFoundError,
    QueryFilter,
    Session,
    StoredWorkflow,
    WorkflowExecutionState,
)
from aaow_storage_studio._drawing.definition import Graph, graph_of
from aaow_storage_studio._drawing.graph_picture import picture_of
from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.paging import Listed, read_list
from aaow_storage_studio._web.visit import Visit

MAX_NODES = 300
"""How many nodes are drawn without being asked for."""
MAX_VERSIONS = 20


@frozen
class WorkflowsView:
    """A page of workflows, without their definitions."""

    listed: Listed[StoredWorkflow]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return self.listed.to_dict()


@frozen
class WorkflowView:
    """What the page of a workflow shows.

    Attributes:
        workflow: the workflow; None if the definition is a session's own.
        definition: the definition, or the snapshot of the session.
        session: the session whose states colour the graph, None if none was named.
        states: the states of its nodes by id.
        graph: the nodes and edges that were found in the definition, None if there are none.
        is_drawn: whether the graph is drawn, or has to be asked for.
        versions: other workflows of the same name, the newest first.
        sessions: the newest sessions of the workflow.
    """

    workflow: StoredWorkflow | None
    definition: Mapping[str, Any]
    session: Session | None
    states: Mapping[str, str]
    graph: Graph | None
    is_drawn: bool
    versions: Sequence[StoredWorkflow]
    sessions: Listed[Session] | None
    picture: Markup | None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON, but for the picture."""
        return {
            "workflow": None if self.workflow is None else self.workflow.to_dict(),
            "session_id": None if self.session is None else self.session.id,
            "definition": dict(self.definition),
            "graph": None
            if self.graph is None
            else {
                "nodes": [
                    {"id": node.id, "kind": node.kind, "label": node.label, "state": self.states.get(node.id)}
                    for node in self.graph.nodes
                ],
                "edges": [
                    {"source": edge.source, "target": edge.target, "label": edge.label} for edge in self.graph.edges
                ],
            },
            "versions": [{"id": each.id, "version": each.version} for each in self.versions],
            "sessions": None if self.sessions is None else self.sessions.to_dict(),
        }


async def read_workflows(visit: Visit) -> WorkflowsView:
    """Read a page of workflows."""
    return WorkflowsView(await read_list(visit, StoredWorkflow, visit.storage.list_workflows))


async def read_workflow(visit: Visit) -> WorkflowView:
    """Read a workflow: `id`, or the snapshot of the session `session`, whose states then colour the graph."""
    session, states = await _session(visit)
    workflow = None
    workflow_id = visit.text("id") if session is None else visit.text("id") or session.workflow_id
    if session is None or workflow_id:
        workflow = await visit.storage.get_workflow(visit.required("id") if session is None else str(workflow_id))
        if workflow is None and session is None:
            raise NotFoundError("workflow", str(workflow_id))
    definition = session.workflow_snapshot if session is not None else workflow.definition if workflow else {}
    graph = _graph(visit, definition)
    is_drawn = graph is not None and (len(graph.nodes) <= MAX_NODES or bool(visit.text("draw")))
    versions: list[StoredWorkflow] = []
    listed = None
    if workflow is not None:
        same_name = QueryFilter({"name": workflow.name}, limit=MAX_VERSIONS + 1, documents=False)
        versions = [each for each in await visit.storage.list_workflows(same_name) if each.id != workflow.id]
        listed = await read_list(visit, Session, visit.storage.list_sessions, where={"workflow_id": workflow.id})
    session_id = None if session is None else session.id

    def link(node_id: str) -> str | None:
        if session_id is None:
            return None
        return f"{visit.url('session', id=session_id)}#{anchor('node', node_id)}" if node_id in states else None

    return WorkflowView(
        workflow,
        definition,
        session,
        states,
        graph,
        is_drawn,
        versions,
        listed,
        picture_of(graph, states, link) if graph is not None and is_drawn else None,
    )


async def _session(visit: Visit) -> tuple[Session | None, dict[str, str]]:
    """Return the session that the URL names, and the states of its nodes."""
    session_id = visit.text("session")
    if not session_id:
        return None, {}
    session = await visit.storage.get_session(session_id)
    if session is None:
        raise NotFoundError("session", session_id)
    state: WorkflowExecutionState | None = await visit.storage.get_execution_state(session_id)
    states = {} if state is None else {node_id: str(each.status) for node_id, each in state.node_states.items()}
    return session, states


def _graph(visit: Visit, definition: Mapping[str, Any]) -> Graph | None:
    """Return the graph of a definition: what the settings make of it, or else what is found in it."""
    made = visit.settings.graph(definition) if visit.settings.graph is not None else None
    return made or graph_of(definition)


PAGES = (
    Page("workflows", "workflows.html", read_workflows),
    Page("workflow", "workflow.html", read_workflow),
)
