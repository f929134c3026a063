"""The pages of workflows, and graphs of definitions."""

from typing import Any

import pytest
from studio_serving import Serve, Studio

from aaow_storage import StorageAdapter, StoredWorkflow
from aaow_storage_studio import Edge, Graph, Node
from aaow_storage_studio._drawing.definition import graph_of
from aaow_storage_studio._drawing.layout import lay_out

DIAMOND = {
    "nodes": [{"id": "a", "type": "llm"}, {"id": "b"}, {"id": "c"}, {"id": "d", "name": "Decide"}],
    "edges": [
        {"source": "a", "target": "b"},
        {"from": "a", "to": "c", "condition": "is expensive"},
        ["b", "d"],
        ["c", "d"],
        ["d", "a"],
        ["a", "d"],
        ["d", "nowhere"],
        ["c", "c"],
    ],
}


def edges(graph: Graph | None) -> list[tuple[str, str]]:
    assert graph is not None
    return [(edge.source, edge.target) for edge in graph.edges]


def test_edges_are_found_in_each_usual_shape_and_those_to_nowhere_are_left_out():
    graph = graph_of(DIAMOND)
    assert edges(graph) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "a"), ("a", "d"), ("c", "c")]
    assert graph is not None
    assert graph.edges[1].label == "is expensive"
    assert graph.nodes[3] == Node("d", "", "Decide")


@pytest.mark.parametrize(
    "definition",
    [
        {"steps": [{"id": "a", "next": "b"}, {"id": "b"}]},
        {"tasks": {"a": {}, "b": {"depends_on": ["a", "missing"]}}},
        {"nodes": [{"id": "a"}, {"id": "b"}], "links": [["a", "b"]]},
    ],
)
def test_nodes_may_name_their_edges_and_lists_have_other_names(definition: dict[str, Any]):
    assert edges(graph_of(definition)) == [("a", "b")]


@pytest.mark.parametrize("definition", [{}, {"nodes": 3}, {"nodes": []}, {"nodes": [3, {"id": None}, {"name": "x"}]}])
def test_a_definition_without_nodes_has_no_graph(definition: dict[str, Any]):
    assert graph_of(definition) is None


def test_each_edge_leads_to_a_later_layer_and_those_that_close_a_loop_go_back():
    graph = graph_of(DIAMOND)
    assert graph is not None
    layout = lay_out(graph)
    assert {node_id: place.layer for node_id, place in layout.places.items()} == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert {(route.edge.source, route.edge.target) for route in layout.routes if route.goes_back} == {
        ("d", "a"),
        ("c", "c"),
    }
    for route in layout.routes:
        if not route.goes_back:
            assert [place.layer for place in route.places] == list(
                range(layout.places[route.edge.source].layer, layout.places[route.edge.target].layer + 1)
            )
    taken = [(place.layer, place.row) for route in layout.routes for place in route.places[1:-1]]
    taken += [(place.layer, place.row) for place in layout.places.values()]
    assert len(set(taken)) == len(taken)


def test_layers_are_ordered_so_that_edges_need_not_cross():
    graph = Graph(tuple(map(Node, "abcxyz")), (Edge("a", "z"), Edge("b", "y"), Edge("c", "x")))
    places = lay_out(graph).places
    assert [places[name].row for name in "zyx"] == [places[name].row for name in "abc"]


def test_a_graph_is_coloured_by_the_states_of_a_session(studio: Studio):
    found = studio.json("/workflow.json?session=session-1")
    assert {node["id"]: node["state"] for node in found["graph"]["nodes"]}["decide"] == "failed"
    html = studio.get("/workflow?session=session-1").text
    assert 'class="node failed"' in html
    assert "/session?id=session-1#node-decide" in html


def test_a_workflow_shows_its_sessions_and_its_definition(studio: Studio):
    found = studio.json("/workflow.json?id=refunds")
    assert len(found["sessions"]["records"]) == 5
    assert found["definition"]["nodes"][0] == {"id": "read"}
    assert studio.json("/workflows.json")["records"][0]["id"] == "refunds"


def test_a_workflow_that_is_not_there_is_not_found(studio: Studio):
    assert studio.get("/workflow?id=none").status_code == 404
    assert "none" in studio.get("/workflow.json?id=none").json()["error"]
    assert studio.get("/workflow").status_code == 400


async def add_large(storage: StorageAdapter) -> None:
    definition = {"nodes": [{"id": f"n{number}", "next": f"n{number + 1}"} for number in range(301)]}
    await storage.save_workflow(StoredWorkflow(id="large", name="Large", version="1", definition=definition))


def test_a_graph_of_more_than_300_nodes_is_drawn_only_if_it_is_asked_for(serve: Serve):
    studio = serve(add_large)
    assert "<svg class=" not in studio.get("/workflow?id=large").text
    assert "Draw them" in studio.get("/workflow?id=large").text
    assert '<svg class="graph"' in studio.get("/workflow?id=large&draw=yes").text


def test_a_hook_finds_nodes_in_other_shapes(serve: Serve):
    async def add(storage: StorageAdapter) -> None:
        await storage.save_workflow(StoredWorkflow(id="odd", name="Odd", version="1", definition={"odd": ["x", "y"]}))

    studio = serve(add, graph=lambda definition: Graph(tuple(Node(name) for name in definition["odd"])))
    assert [node["id"] for node in studio.json("/workflow.json?id=odd")["graph"]["nodes"]] == ["x", "y"]
