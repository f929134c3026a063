"""The page `model-call`: what was sent to a model, what was new in it, and what came back."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, frozen
from markupsafe import Markup

from aaow_storage import LLMExecution, NotFoundError, OrderBy, QueryFilter, StorageAdapter, ToolCall, ToolCallLog
from aaow_storage_studio._drawing.token_bar import TokenShare, token_bar, token_shares
from aaow_storage_studio._web.formats import as_json
from aaow_storage_studio._web.messages import Conversation, Message, answer_of, common_prefix, conversation_of
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.visit import Visit

MAX_TOOL_CALLS = 200
MAX_OLD_MESSAGES = 40
"""How many of the messages that were sent before a page has, unless all are asked for."""
MAX_NEW_MESSAGES = 200
"""How many of the others."""
MAX_JSON_LENGTH = 100_000
"""How much JSON a page has beside what it shows of it."""
NEWEST_FIRST = (OrderBy("timestamp", "desc"), OrderBy("id", "desc"))


@frozen
class UsedTool:
    """A tool call: what the model asked for, None if it is only logged, and what was logged, None if nothing was."""

    asked: ToolCall | None
    log: ToolCallLog | None

    @property
    def name(self) -> str:
        """The tool."""
        return self._any.tool_name

    @property
    def call_id(self) -> str:
        """The id that the provider gave the call."""
        return self._any.tool_call_id

    @property
    def args(self) -> Mapping[str, Any]:
        """The arguments."""
        return self._any.args

    @property
    def result(self) -> Any:
        """What came back, None if nothing did."""
        results = [each.result for each in (self.log, self.asked) if each is not None]
        return next((result for result in results if result is not None), None)

    @property
    def error(self) -> str | None:
        """What went wrong, None if nothing did."""
        return next((each.error for each in (self.log, self.asked) if each is not None and each.error), None)

    @property
    def has_ended(self) -> bool:
        """Whether it is known how it ended."""
        return self.log is not None or self.result is not None or self.error is not None

    @property
    def _any(self) -> ToolCall:
        call = self.log or self.asked
        assert call is not None  # noqa: S101 - it is made of one or both
        return call


@frozen(kw_only=True)
class ModelCallView:
    """What the page shows.

    Attributes:
        call: the model call.
        conversation: its input as messages, None if it is anything else.
        compared_with: the call before it that has most messages in common with it, None if none has any.
        same_messages: how many messages of that call it begins with.
        answer: its structured output as messages, None if it is anything else.
        tools: its tool calls, in the order in which the model asked for them, then the others by time.
        has_more_tools: whether there are more than those.
        previous: the call before it in the session, without its documents.
        next: the call after it.
        shows_all: whether all old messages are asked for.
    """

    call: LLMExecution
    conversation: Conversation | None
    compared_with: LLMExecution | None
    same_messages: int
    answer: Sequence[Message] | None
    tools: Sequence[UsedTool]
    has_more_tools: bool
    previous: LLMExecution | None
    next: LLMExecution | None
    shows_all: bool

    @property
    def outcome(self) -> str:
        """How it ended, as a status."""
        return {True: "succeeded", False: "failed", None: "running"}[self.call.success]

    @property
    def model_query(self) -> str:
        """The filter for the calls of its model."""
        text = (self.call.model or "").replace("\\", "\\\\").replace('"', '\\"')
        return f'model="{text}"'

    @property
    def hidden_messages(self) -> int:
        """How many of the old messages are not in the page."""
        return 0 if self.shows_all else max(0, self.same_messages - MAX_OLD_MESSAGES)

    @property
    def old_messages(self) -> Sequence[Message]:
        """Those that were sent before, or the last of them."""
        return self._messages[self.hidden_messages : self.same_messages]

    @property
    def hidden_new_messages(self) -> int:
        """How many of the new messages are not in the page."""
        new = len(self._messages) - self.same_messages
        return 0 if self.shows_all else max(0, new - MAX_NEW_MESSAGES)

    @property
    def new_messages(self) -> Sequence[Message]:
        """Those that the call before did not send, or the last of them."""
        return self._messages[self.same_messages + self.hidden_new_messages :]

    @property
    def shares(self) -> list[TokenShare]:
        """Its tokens, part by part."""
        usage = self.call.usage
        if usage is None:
            return []
        return token_shares(
            usage.prompt_tokens,
            usage.completion_tokens,
            cache_read=usage.cache_read_tokens,
            cache_write=usage.cache_write_tokens,
            reasoning=usage.reasoning_tokens,
        )

    @property
    def token_bar(self) -> Markup:
        """The same as a picture."""
        return token_bar(self.shares)

    @property
    def raw(self) -> str | None:
        """The record as JSON, None if it is too long to be a part of the page."""
        text = as_json(self.call.to_dict())
        return text if len(text) <= MAX_JSON_LENGTH else None

    @property
    def _messages(self) -> tuple[Message, ...]:
        return () if self.conversation is None else self.conversation.messages

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "call": self.call.to_dict(),
            "compared_with": None if self.compared_with is None else self.compared_with.id,
            "same_messages": self.same_messages,
            "tool_calls": [each.log.to_dict() for each in self.tools if each.log is not None],
            "has_more_tool_calls": self.has_more_tools,
            "previous": None if self.previous is None else self.previous.id,
            "next": None if self.next is None else self.next.id,
        }


async def read(visit: Visit) -> ModelCallView:
    """Read the page of the call `id` of the session `session`; `all=yes` asks for all old messages.

    Raises:
        NotFoundError: there is no such call.
    """
    session_id, call_id = visit.required("session"), visit.required("id")
    found = await visit.storage.get_llm_executions(session_id, QueryFilter({"id": call_id}, limit=1))
    if not found:
        raise NotFoundError("llm_execution", call_id)
    call = found[0]
    beside = QueryFilter(limit=1, documents=False)
    before = evolve(beside, order_by=NEWEST_FIRST)
    previous = await visit.storage.get_llm_executions(session_id, before.after(call))
    following = await visit.storage.get_llm_executions(session_id, beside.after(call))
    conversation = conversation_of(call.input)
    compared, same = await _compared(visit.storage, call, conversation, previous)
    logs = await visit.storage.get_tool_calls(call.id, QueryFilter(limit=MAX_TOOL_CALLS + 1))
    return ModelCallView(
        call=call,
        conversation=conversation,
        compared_with=compared,
        same_messages=same,
        answer=answer_of(call.output),
        tools=used_tools(call.tool_calls or (), logs[:MAX_TOOL_CALLS]),
        has_more_tools=len(logs) > MAX_TOOL_CALLS,
        previous=previous[0] if previous else None,
        next=following[0] if following else None,
        shows_all=bool(visit.text("all")),
    )


async def _compared(
    storage: StorageAdapter, call: LLMExecution, conversation: Conversation | None, previous: Sequence[LLMExecution]
) -> tuple[LLMExecution | None, int]:
    """Return the call before, of the same node or else of the session, that most messages were sent by already."""
    if conversation is None or not previous:
        return None, 0
    last = QueryFilter(order_by=NEWEST_FIRST, limit=1).after(call)
    before = await storage.get_node_llm_executions(call.session_id, call.node_id, last)
    if not before or before[0].id != previous[0].id:
        before += await storage.get_llm_executions(call.session_id, last)
    best: LLMExecution | None = None
    most = 0
    for each in before:
        other = conversation_of(each.input)
        same = 0 if other is None else common_prefix(conversation.messages, other.messages)
        if same > most:
            best, most = each, same
    return best, most


def used_tools(asked: Sequence[ToolCall], logs: Sequence[ToolCallLog]) -> list[UsedTool]:
    """Return tool calls, each with its log: the next one that has its id, or else its name if no call has that id."""
    left = list(logs)
    ids = {call.tool_call_id for call in asked}
    used = []
    for call in asked:
        log = next((each for each in left if each.tool_call_id == call.tool_call_id), None)
        if log is None:
            strangers = (each for each in left if each.tool_call_id not in ids)
            log = next((each for each in strangers if each.tool_name == call.tool_name), None)
        if log is not None:
            left.remove(log)
        used.append(UsedTool(call, log))
    return [*used, *(UsedTool(None, log) for log in left)]


PAGES = (Page("model-call", "model_call.html", read),)
