"""The list of model calls, and the page of one."""

from typing import Any
from urllib.parse import urlencode

import conversations
import pytest
import runs
from studio_serving import Serve, Studio
from unusual_runs import HOSTILE, hostile

from aaow_storage import LLMExecutionResult, Session, StorageAdapter, now
from aaow_storage_studio._web.folding import MAX_CHARACTERS, folded
from aaow_storage_studio._web.messages import PartKind, answer_of, common_prefix, conversation_of


@pytest.fixture
def studio(serve: Serve) -> Studio:
    return serve(conversations.fill)


def address(id: str, twin: str = "") -> str:
    return f"/model-call{twin}?session={conversations.SESSION}&id={id}"


def said(value: Any) -> list[tuple[str, list[str]]]:
    """Return the role and the kinds of the parts of each message."""
    conversation = conversation_of(value)
    assert conversation is not None
    return [(message.role, [str(part.kind) for part in message.parts]) for message in conversation.messages]


def test_messages_of_openai_are_a_conversation():
    assert said(conversations.OPENAI) == [
        ("system", ["text"]),
        ("user", ["text", "media"]),
        ("assistant", ["tool_call"]),
        ("tool", ["tool_result"]),
    ]
    conversation = conversation_of(conversations.OPENAI)
    assert conversation is not None
    assert conversation.messages[2].parts[0].data == {"name": "mixer"}
    assert conversation.messages[1].parts[1].text == "image, image/png, 3 kB"
    assert conversation.messages[3].parts[0].parts[0].data == {"price": "129.00"}


def test_items_of_openai_responses_are_a_conversation():
    assert said(conversations.RESPONSES) == [
        ("system", ["text"]),
        ("user", ["text"]),
        ("assistant", ["reasoning"]),
        ("assistant", ["tool_call"]),
        ("tool", ["tool_result"]),
    ]


def test_a_request_to_anthropic_is_a_conversation_with_settings():
    assert said(conversations.ANTHROPIC) == [
        ("system", ["text"]),
        ("user", ["text", "media"]),
        ("assistant", ["reasoning", "text", "tool_call"]),
        ("tool", ["tool_result"]),
    ]
    conversation = conversation_of(conversations.ANTHROPIC)
    assert conversation is not None
    assert conversation.settings == {"model": "atlas-large", "max_tokens": 1024}
    assert conversation.messages[3].parts[0].is_error


def test_a_request_to_gemini_is_a_conversation():
    assert said(conversations.GEMINI) == [
        ("system", ["text"]),
        ("user", ["text", "media"]),
        ("assistant", ["tool_call"]),
        ("tool", ["tool_result"]),
    ]


@pytest.mark.parametrize(
    "value",
    [None, "", [], {}, 3, True, [1], [{"a": 1}], {"messages": []}, {"messages": "x" * 3}, {"messages": [3]}, [[]]],
)
def test_anything_else_is_none(value: Any):
    assert conversation_of(value) is None


@pytest.mark.parametrize("wrong", [None, 3, "text", [], {}, [[]], [{}], {"type": 3}, [{"type": ["x"]}], [None, 3]])
@pytest.mark.parametrize(
    "key", ["content", "parts", "tool_calls", "function_call", "refusal", "name", "type", "data", "reasoning"]
)
def test_no_value_in_a_message_makes_it_unreadable(key: str, wrong: Any):
    message = {"role": "assistant", "content": "x", key: wrong}
    assert len(said([message, {"role": "tool", "content": [message], key: wrong}])) == 2


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text"},
        {"type": "text", "text": 3},
        {"type": "image_url", "image_url": 7},
        {"type": "tool_use", "input": 4},
        {"type": "tool_result", "content": {"a": [1]}},
        {"functionCall": 1},
        {"functionResponse": {"response": None}},
        {"inlineData": None},
        {"type": "thinking"},
        {"type": "reasoning", "summary": [1]},
    ],
)
def test_no_part_is_lost_because_it_looks_odd(part: Any):
    assert said([{"role": "user", "content": [part]}])[0][1] != []


def test_messages_that_say_the_same_are_the_same_whatever_their_shape():
    one = conversation_of([{"role": "user", "content": "hello"}])
    other = conversation_of(
        [{"role": "user", "content": [{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}]}]
    )
    assert one is not None
    assert other is not None
    assert common_prefix(one.messages, other.messages) == 1


def test_an_output_of_parts_is_an_answer():
    answer = answer_of([{"type": "text", "text": "yes"}, {"type": "tool_use", "name": "f", "input": {}, "id": "t"}])
    assert answer is not None
    assert [part.kind for part in answer[0].parts] == [PartKind.TEXT, PartKind.TOOL_CALL]
    assert answer_of({"done": True}) is None
    assert answer_of(["a", {"b": 1}]) is None


def test_a_long_text_is_in_two_parts_and_a_very_long_one_is_cut():
    text = conversations.LONG
    assert folded("short").rest == ""
    assert folded(text).shown.count("\n") == 60
    assert folded(text).shown + folded(text).rest == text
    line = "x" * (MAX_CHARACTERS + 5)
    assert folded(line).left_out == 5
    assert len(folded(line).shown) < 10_000


def test_what_is_new_is_told_from_what_the_call_before_sent(studio: Studio):
    found = studio.json(address("openai-2", ".json"))
    assert (found["compared_with"], found["same_messages"]) == ("openai-1", 2)
    assert (found["previous"], found["next"]) == ("openai-1", "anthropic")
    html = studio.get(address("openai-2")).text
    assert html.index("2 messages as in the call before") < html.index("New in this call")


def test_the_first_call_is_compared_with_none(studio: Studio):
    found = studio.json(address("openai-1", ".json"))
    assert (found["compared_with"], found["previous"]) == (None, None)


def test_tool_calls_have_their_results_and_errors_and_those_that_are_only_logged_follow(studio: Studio):
    html = studio.get(address("openai-2")).text
    assert [each["id"] for each in studio.json(address("openai-2", ".json"))["tool_calls"]] == ["log-0", "log-1"]
    assert "12 ms" in html
    assert "only logged" in html
    assert html.index("no such thing") < html.index("Input")


def test_an_error_comes_first(studio: Studio):
    html = studio.get(address("neither")).text
    assert html.index("refused: it is no conversation") < html.index("Input")


def test_tokens_are_a_bar_and_a_table(studio: Studio):
    html = studio.get(address("openai-2")).text
    for label, number in (("from the cache", "3\u202f000"), ("into the cache", "200"), ("reasoning", "400")):
        assert f'{label}</th><td class="number">{number}</td>' in html
    assert 'class="token-bar"' in html


def test_a_call_that_is_not_there_is_not_found(studio: Studio):
    assert studio.get(address("nothing")).status_code == 404
    assert studio.get("/model-call?session=nowhere&id=openai-1").status_code == 404
    assert studio.get("/model-call?session=nowhere").status_code == 400


def test_of_hundreds_of_messages_the_last_are_shown_and_all_if_asked_for(serve: Serve):
    sent = [{"role": "user", "content": f"message {number}."} for number in range(420)]

    async def fill(storage: StorageAdapter) -> None:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        for place in range(2):
            call = LLMExecutionResult(
                id=f"call-{place}", timestamp=now(), success=True, input=sent[: (119, 420)[place]]
            )
            await storage.save_llm_execution("s", "node", call)

    studio = serve(fill)
    html = studio.get("/model-call?session=s&id=call-1").text
    assert ">message 0.<" not in html
    assert ">message 118.<" in html
    assert ">message 219.<" not in html
    assert ">message 220.<" in html
    assert ">message 419.<" in html
    assert ">message 0.<" in studio.get("/model-call?session=s&id=call-1&all=yes").text


def test_hostile_texts_are_shown_as_they_are(serve: Serve, page: Any):
    async def fill(storage: StorageAdapter) -> None:
        await hostile(storage, now())

    studio = serve(fill)
    calls = studio.json("/model-calls.json")["records"]
    assert len(calls) == len(HOSTILE)
    for call in calls[::5]:
        page.goto(f"{studio.url}/model-call?{urlencode({'session': call['session_id'], 'id': call['id']})}")
        assert page.locator("main .failure").first.is_visible()
        assert page.locator("main script, main img").count() == 0
    page.goto(f"{studio.url}/model-calls")
    assert page.locator("main tbody tr").count() == len(HOSTILE)
    assert page.locator("main script, main img").count() == 0


def test_a_long_answer_unfolds_without_a_script(studio: Studio, chromium: Any):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(studio.url + address("anthropic"))
    last = page.locator(".rest .said", has_text="line 299 of the long text")
    assert not last.is_visible()
    page.get_by_text("Show all of the answer").click()
    assert last.is_visible()
    context.close()


def test_a_call_that_runs_is_patched_when_it_ends(serve: Serve, page: Any):
    studio = serve(runs.fill)
    running = studio.json("/model-calls.json?outcome=running&q=session_id=answer-live-1")["records"][0]
    page.goto(f"{studio.url}/model-call?session=answer-live-1&id={running['id']}")
    page.wait_for_selector("text=No text yet")
    studio.do(runs.answer_goes_on)
    page.wait_for_selector("text=Parental leave is 49 weeks.")
    assert page.locator(".status.succeeded").is_visible()


def test_calls_come_newest_first_and_are_filtered_in_the_url(studio: Studio):
    assert [each["id"] for each in studio.json("/model-calls.json")["records"]] == [
        "neither", "plain", "responses", "gemini", "anthropic", "openai-2", "openai-1",
    ]  # fmt: skip
    assert [each["id"] for each in studio.json("/model-calls.json?outcome=failed")["records"]] == ["neither"]
    assert studio.json("/model-calls.json?q=node_id=chat&count=yes")["count"] == 2
    assert 'role="alert"' in studio.get("/model-calls?q=colour=red").text


def test_a_page_of_calls_says_where_the_next_begins(studio: Studio):
    first = studio.json("/model-calls.json?limit=4")
    rest = studio.json(f"/model-calls.json?limit=4&after={first['next']}")
    assert [each["id"] for each in rest["records"]] == ["anthropic", "openai-2", "openai-1"]
    assert rest["next"] is None
