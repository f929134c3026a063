"""The page that compares two sessions."""

from studio_serving import Serve, Studio

from aaow_storage import NodeExecutionState, Session, StorageAdapter, WorkflowExecutionState
from aaow_storage_studio._pages.compare import MAX_LINES, differing_lines


async def add_two(storage: StorageAdapter) -> None:
    for session_id, version, output in (("one", 1, {"answer": 41}), ("two", 2, {"answer": 42})):
        snapshot = {"version": version, "nodes": [{"id": "read"}, {"id": "say"}]}
        await storage.create_session(
            Session(id=session_id, workflow_id=None, workflow_snapshot=snapshot, status="completed")
        )
        states = {
            "read": NodeExecutionState(node_id="read", status="completed", output="same"),
            "say": NodeExecutionState(node_id="say", status="completed", output=output),
        }
        if session_id == "two":
            states["extra"] = NodeExecutionState(node_id="extra", status="failed", error="no room")
        await storage.save_execution_state(
            WorkflowExecutionState(session_id=session_id, status="completed", node_states=states)
        )


def test_nodes_are_paired_and_those_that_differ_are_marked(serve: Serve):
    found = serve(add_two).json("/compare.json?a=one&b=two")
    assert {pair["node_id"]: pair["differs"] for pair in found["nodes"]} == {"read": False, "say": True, "extra": True}
    assert found["nodes"][2]["a"] is None
    assert found["nodes"][2]["b"]["error"] == "no room"


def test_the_lines_of_the_definitions_that_differ_are_shown(serve: Serve):
    studio = serve(add_two)
    found = studio.json("/compare.json?a=one&b=two")
    assert not found["has_same_definition"]
    assert [line for line in found["definition"] if line[0] in "+-"] == [
        ["-", '  "version": 1,'],
        ["+", '  "version": 2,'],
    ]
    assert "Both ran the same definition" in studio.get("/compare?a=one&b=one").text


def test_what_the_sessions_used_is_summed_up(studio: Studio):
    first, second = studio.json("/compare.json?a=session-0&b=session-3")["totals"]
    assert (first["calls"], first["tokens"], first["costs"]) == (2, 240, {"USD": "0.0135"})
    assert (second["calls"], second["costs"]) == (0, {})


def test_without_two_sessions_it_asks_for_them_and_says_which_is_not_there(studio: Studio):
    assert 'name="b"' in studio.get("/compare?a=session-0").text
    missing = studio.get("/compare?a=session-0&b=none")
    assert missing.status_code == 404
    assert "none" in missing.text


def test_gaps_between_lines_that_differ_are_marked_and_long_documents_are_not_compared():
    a = list(range(40))
    b = [*a[:5], "x", *a[6:30], "y", *a[31:]]
    lines = differing_lines(a, b)
    assert lines is not None
    assert [line for sign, line in lines if sign == "+"] == ['  "x",', '  "y",']
    assert [sign for sign, _ in lines].count("…") == 2
    assert differing_lines([0] * MAX_LINES, [1] * MAX_LINES) is None


def test_the_page_of_a_session_leads_to_its_comparison_with_another(serve: Serve):
    studio = serve(add_two)
    assert 'href="/compare?a=one">Compare with another</a>' in studio.get("/session?id=one").text
    asked = studio.get("/compare?a=one").text
    assert 'name="a" value="one"' in asked
    assert "Name the ids of two sessions" in asked
