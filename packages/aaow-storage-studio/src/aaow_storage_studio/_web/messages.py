"""Messages of model calls, read from the shapes in which programs send them to OpenAI, Anthropic and Gemini.

A message is a JSON object with a role, which says a text or a list of parts. Inputs are any JSON, written by programs
that nobody knows, so nothing here relies on a shape: what is in none that is known is shown as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import frozen

from aaow_storage_studio._web.media import described_media


class PartKind(StrEnum):
    """What a part of a message is."""

    TEXT = "text"
    REASONING = "reasoning"
    MEDIA = "media"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    JSON = "json"


@frozen
class Part:
    """A part of a message.

    Attributes:
        kind: what it is.
        text: what it says; of media, what they are.
        name: the tool.
        call_id: the id that a tool call and its result have in common.
        data: the arguments of a tool call; the JSON of anything else.
        parts: what a tool result is made of.
        is_error: whether a tool result is an error.
    """

    kind: PartKind
    text: str = ""
    name: str = ""
    call_id: str = ""
    data: Any = None
    parts: "tuple[Part, ...]" = ()
    is_error: bool = False


@frozen
class Message:
    """A message: who says it, and what. Two that say the same are equal, whatever their shapes."""

    role: str
    parts: tuple[Part, ...]
    name: str = ""

    @property
    def kind(self) -> str:
        """The role, if it is a usual one, otherwise `other`."""
        return self.role if self.role in _ROLES else "other"


@frozen
class Conversation:
    """Messages, and what else was sent with them, such as a temperature and tools."""

    messages: tuple[Message, ...]
    settings: Mapping[str, Any]


_ROLES = ("system", "user", "assistant", "tool")
_SAME_ROLES = {"developer": "system", "model": "assistant", "ai": "assistant", "human": "user", "function": "tool"}
_LISTS = ("messages", "contents", "input", "history")
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_TEXTS = {"text", "input_text", "output_text", "refusal", "summary_text", "text-delta"}
_REASONING = {"thinking", "reasoning", "redacted_thinking"}
_TOOL_CALLS = {"tool_use", "server_tool_use", "function_call", "tool_call", "tool-call", "custom_tool_call"}
_TOOL_RESULTS = {"tool_result", "tool-result", "function_call_output", "custom_tool_call_output"}


def conversation_of(value: Any) -> Conversation | None:
    """Return what was sent as a conversation: a list of messages, a request that has one, a message, or a text.

    It is None if it is anything else.
    """
    if isinstance(value, str):
        return Conversation((Message("user", (Part(PartKind.TEXT, value),)),), {}) if value else None
    if isinstance(value, list):
        messages = _messages(value)
        return None if messages is None else Conversation(messages, {})
    if not isinstance(value, dict):
        return None
    for name in _LISTS:
        inner = value.get(name)
        found = _messages(inner) if isinstance(inner, list) else _said_by_user(inner if name == "input" else None)
        if found:
            system = tuple(message for key in _SYSTEM for message in _system(value.get(key)))
            settings = {key: each for key, each in value.items() if key != name and key not in _SYSTEM}
            return Conversation((*system, *found), settings)
    return Conversation((_message(value),), {}) if _is_message(value) else None


def answer_of(output: Any) -> tuple[Message, ...] | None:
    """Return an output that is a message, messages or parts of one; None if it is anything else."""
    if isinstance(output, str) or output is None:
        return None
    conversation = conversation_of(output)
    if conversation is not None:
        return conversation.messages
    if isinstance(output, list) and output:
        parts = _parts(output)
        if all(part.kind is not PartKind.JSON for part in parts):
            return (Message("assistant", parts),)
    return None


def common_prefix(one: Sequence[Message], other: Sequence[Message]) -> int:
    """Return how many messages two conversations begin with in common."""
    for number, (mine, its) in enumerate(zip(one, other, strict=False)):
        if mine != its:
            return number
    return min(len(one), len(other))


def _messages(items: list[Any]) -> tuple[Message, ...] | None:
    if not all(isinstance(item, dict) for item in items) or not any(map(_is_message, items)):
        return None
    return tuple(map(_message, items))


def _said_by_user(value: Any) -> tuple[Message, ...]:
    return (Message("user", (Part(PartKind.TEXT, value),)),) if isinstance(value, str) and value else ()


def _system(value: Any) -> tuple[Message, ...]:
    parts = _parts(value.get("parts", value) if isinstance(value, dict) else value)
    return (Message("system", parts),) if parts else ()


def _is_message(item: dict[str, Any]) -> bool:
    if isinstance(item.get("role"), str):
        return any(key in item for key in ("content", "parts", "tool_calls", "function_call", "refusal"))
    kind = item.get("type")
    if kind in _SAME_ROLES or kind in _ROLES:
        return "content" in item or isinstance(item.get("data"), dict)
    return isinstance(kind, str) and kind in {"function_call", "function_call_output"} and "call_id" in item


def _message(item: dict[str, Any]) -> Message:
    inner = item.get("data")
    if isinstance(inner, dict) and "role" not in item and "content" in inner:
        item = {"type": item.get("type"), **inner}
    kind = item.get("type")
    role = item.get("role", kind)
    role = _SAME_ROLES.get(role, role) if isinstance(role, str) else "other"
    if not _is_message(item):
        part = _part(item)
        return Message("assistant" if part.kind is PartKind.REASONING else "other", (part,))
    if "role" not in item and isinstance(kind, str) and kind in _TOOL_CALLS | _TOOL_RESULTS:
        return Message("assistant" if kind in _TOOL_CALLS else "tool", (_part(item),))
    parts = [Part(PartKind.REASONING, _text(item, "reasoning_content", "reasoning"))]
    parts += _parts(item.get("content", item.get("parts")))
    parts.append(Part(PartKind.TEXT, _text(item, "refusal")))
    calls = item.get("tool_calls")
    parts += [_tool_call(call) for call in (calls if isinstance(calls, list) else ())]
    if isinstance(item.get("function_call"), dict):
        parts.append(_tool_call(item["function_call"]))
    said = tuple(part for part in parts if part.text or part.kind not in {PartKind.TEXT, PartKind.REASONING})
    name = _text(item, "name")
    if role == "tool" and not all(part.kind is PartKind.TOOL_RESULT for part in said):
        said = (Part(PartKind.TOOL_RESULT, name=name, call_id=_text(item, "tool_call_id"), parts=_unpacked(said)),)
    elif said and all(part.kind is PartKind.TOOL_RESULT for part in said):
        role = "tool"
    return Message(role, said, "" if role == "tool" else name)


def _parts(content: Any) -> tuple[Part, ...]:
    if content is None or content == "":
        return ()
    if isinstance(content, list):
        return tuple(map(_part, content))
    return (_part(content),)


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return Part(PartKind.TEXT, item)
    if not isinstance(item, dict):
        return Part(PartKind.JSON, data=item)
    kind = item.get("type") if isinstance(item.get("type"), str) else None
    if kind in _TOOL_CALLS or isinstance(item.get("functionCall"), dict):
        return _tool_call(item)
    if kind in _TOOL_RESULTS or (kind or "").endswith("_tool_result"):
        content = item.get("content", item.get("output", item.get("result")))
        call_id = _text(item, "tool_use_id", "call_id", "tool_call_id", "toolCallId")
        is_error = item.get("is_error") is True or item.get("isError") is True
        return _tool_result(_text(item, "name", "toolName"), call_id, content, is_error=is_error)
    for key in ("functionResponse", "function_response"):
        answer = item.get(key)
        if isinstance(answer, dict):
            return _tool_result(_text(answer, "name"), _text(answer, "id"), answer.get("response"))
    if isinstance(item.get("function_call"), dict):
        return _tool_call(item["function_call"])
    if kind in _REASONING or item.get("thought") is True:
        return Part(PartKind.REASONING, _text(item, "thinking", "text", "reasoning") or _summary(item))
    if kind in _TEXTS or (kind is None and set(item) <= {"text", "thoughtSignature", "thought"}):
        text = _text(item, "text", "refusal")
        if text or item.get("text") == "":
            return Part(PartKind.TEXT, text)
    media = described_media(kind, item)
    return Part(PartKind.JSON, data=item) if media is None else Part(PartKind.MEDIA, media)


def _tool_call(item: Any) -> Part:
    if not isinstance(item, dict):
        return Part(PartKind.JSON, data=item)
    function = next((item[key] for key in ("function", "functionCall") if isinstance(item.get(key), dict)), item)
    given = next((function[key] for key in ("arguments", "args", "input") if key in function), None)
    name = _text(function, "name", "tool_name", "toolName")
    call_id = _text(item, "call_id", "id", "tool_call_id", "toolCallId") or _text(function, "id")
    return Part(PartKind.TOOL_CALL, name=name, call_id=call_id, data=_parsed(given))


def _tool_result(name: str, call_id: str, content: Any, *, is_error: bool = False) -> Part:
    parts = _unpacked(_parts(content) if isinstance(content, str | list) else (Part(PartKind.JSON, data=content),))
    return Part(PartKind.TOOL_RESULT, name=name, call_id=call_id, parts=parts, is_error=is_error)


def _unpacked(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return parts of which those that are JSON as text are JSON."""
    unpacked = []
    for part in parts:
        data = _parsed(part.text) if part.kind is PartKind.TEXT else None
        unpacked.append(Part(PartKind.JSON, data=data) if isinstance(data, dict | list) else part)
    return tuple(unpacked)


def _parsed(value: Any) -> Any:
    """Return the JSON that a text has, or the value itself."""
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _summary(item: dict[str, Any]) -> str:
    summary = item.get("summary")
    parts = [each for each in summary if isinstance(each, dict)] if isinstance(summary, list) else []
    return "\n\n".join(filter(None, (_text(each, "text") for each in parts))) or "(not shown by the provider)"


def _text(item: dict[str, Any], *keys: str) -> str:
    """Return the first of the values that is a text with something in it."""
    return next((item[key] for key in keys if isinstance(item.get(key), str) and item[key]), "")
