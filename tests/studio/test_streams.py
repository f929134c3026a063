"""The list of streams, and the page of one, whose text is put together and grows as it comes."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import runs
from attrs import evolve
from of_contract_1_0 import OfContract10
from starlette.requests import Request
from studio_serving import Serve, Studio

from aaow_storage import Session, StorageAdapter, StreamEvent, now
from aaow_storage_memory import MemoryAdapter
from aaow_storage_studio import StudioSettings
from aaow_storage_studio._pages import stream, streams
from aaow_storage_studio._security.redaction import RedactedAdapter
from aaow_storage_studio._web.rendering import Templates
from aaow_storage_studio._web.stream_text import text_piece
from aaow_storage_studio._web.visit import Visit


def event(stream_id: str, data: Any, node_id: str = "write", **rest: Any) -> StreamEvent:
    return StreamEvent(stream_id=stream_id, node_id=node_id, data=data, **rest)


async def fill(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    await storage.save_stream_events(event(f"stream-{number:02}", "x") for number in range(60) for _ in range(3))
    await storage.save_stream_events(event("long", {"text": f"{number} "}) for number in range(1200))
    mixed = [{"text": "Hello"}, {"text": " there"}, {"tool": "search", "args": {}}, {"text": "Done"}]
    await storage.save_stream_events(event("mixed", data, session_id="s") for data in mixed)
    await storage.save_stream_event(event("mixed", {"text": "!"}, node_id="another", session_id="s"))


def asked(storage: StorageAdapter, path: str, query: str = "") -> Visit:
    """Return a request for a page, as nobody has sent it."""
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    return Visit(Request({**scope, "scheme": "http", "server": ("studio", 80)}), RedactedAdapter(storage, ()), SETTINGS)


SETTINGS = StudioSettings()


def test_streams_come_by_their_ids_page_by_page(serve: Serve, store_url: str):
    studio = serve(fill, store=store_url)
    found, after = [], ""
    while after is not None:
        answer = studio.json(f"/streams.json?after={after}")
        found += [(each["stream_id"], each["last_sequence"]) for each in answer["streams"]]
        after = answer["next"]
    assert found == [*((f"stream-{number:02}", 3) for number in range(59, -1, -1)), ("mixed", 5), ("long", 1200)]


def test_streams_are_limited_to_a_session_and_to_a_beginning(serve: Serve):
    studio = serve(fill)
    assert [each["stream_id"] for each in studio.json("/streams.json?session=s")["streams"]] == ["mixed"]
    begins = studio.json("/streams.json?begins=stream-0")["streams"]
    assert [each["stream_id"] for each in begins] == [f"stream-{number:02}" for number in range(9, -1, -1)]


def test_events_come_by_their_sequence_page_by_page(serve: Serve, store_url: str):
    studio = serve(fill, store=store_url)
    found, after = [], 0
    while after is not None:
        answer = studio.json(f"/stream.json?id=long&after={after}")
        found += [each["sequence"] for each in answer["events"]]
        after = answer["next"]
    assert found == list(range(1, 1201))
    latest = studio.json("/stream.json?id=long&latest=yes")["events"]
    assert [each["sequence"] for each in latest] == list(range(701, 1201))


def test_pieces_of_text_are_put_together_until_something_else_comes(serve: Serve):
    studio = serve(fill)
    joined = studio.get("/stream?id=mixed").text
    assert '<div class="said">Hello there</div>' in joined
    assert (
        joined.index("Hello there") < joined.index("&#34;search&#34;") < joined.index("Done") < joined.index("another")
    )
    each = studio.get("/stream?id=mixed&each=yes").text
    assert "Hello there" not in each
    assert each.count('<li id="event-') == 5


@pytest.mark.parametrize(
    "data",
    [
        "piece",
        {"text": "piece"},
        {"type": "text-delta", "textDelta": "piece"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "piece"}},
        {"choices": [{"index": 0, "delta": {"content": "piece"}}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "piece"}]}}]},
        {"type": "response.output_text.delta", "delta": "piece"},
    ],
)
def test_a_piece_of_text_is_found_in_what_providers_stream(data: Any):
    assert text_piece(data) == "piece"


@pytest.mark.parametrize(
    "data", [None, 3, [], {}, {"type": "tool_call", "content": "x"}, {"delta": {"partial_json": "{"}}, {"text": 3}]
)
def test_anything_else_is_no_piece_of_text(data: Any):
    assert text_piece(data) is None


def test_an_event_that_comes_is_added_to_the_page(serve: Serve, page: Any):
    studio = serve(runs.fill)
    page.goto(f"{studio.url}/stream?id={quote('answer-live-1/answer')}")
    page.wait_for_selector("text=Parental leave is")
    comes = event("answer-live-1/answer", {"text": " 49 weeks."}, "answer", session_id="answer-live-1")
    studio.do(lambda storage: storage.save_stream_event(comes))
    page.wait_for_selector("text=Parental leave is 49 weeks.")


def test_hostile_ids_lead_to_their_streams(serve: Serve, page: Any):
    studio: Studio = serve(runs.fill)
    page.goto(f"{studio.url}/streams")
    links = page.locator("main tbody a.id")
    addresses = [links.nth(number).get_attribute("href") for number in range(links.count())]
    assert len(addresses) == 14
    for address in addresses:
        assert '<li id="event-1">' in studio.get(address).text


async def html(storage: StorageAdapter, read: Any, path: str, query: str = "") -> str:
    visit = asked(storage, path, query)
    return Templates().render(f"{path[1:]}.html", visit, await read(visit))


def test_a_store_without_streams_says_so(studio: Studio):
    async def look(_: StorageAdapter) -> None:
        async with MemoryAdapter(capabilities=()) as storage:
            assert "This store has no streams" in await html(storage, streams.read, "/streams")
            assert "This store has no streams" in await html(storage, stream.read, "/stream", "id=long")

    studio.do(look)


def test_events_of_a_backend_that_gives_them_no_sequence_are_shown_by_their_time(studio: Studio):
    class WithoutSequences(OfContract10):
        async def get_stream_events(self, *arguments: Any, **options: Any) -> list[StreamEvent]:
            return [evolve(each, sequence=None) for each in await super().get_stream_events(*arguments, **options)]

    async def look(_: StorageAdapter) -> None:
        async with WithoutSequences() as storage:
            await storage.save_stream_event(event("old", "second", timestamp=now()))
            await storage.save_stream_event(event("old", "first", timestamp=now() - timedelta(minutes=1)))
            shown = await html(storage, stream.read, "/stream", "id=old")
            assert "firstsecond" in shown
            assert "2 events" in shown

    studio.do(look)
