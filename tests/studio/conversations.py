"""Model calls whose inputs have the shapes of several providers, in one session that `fill` stores."""

from datetime import timedelta
from typing import Any

from aaow_storage import LLMExecutionResult, Session, StorageAdapter, TokenUsage, ToolCall, ToolCallLog, now

SESSION = "conversations"
LONG = "\n".join(f"line {number} of the long text" for number in range(300))
IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 400

OPENAI: list[Any] = [
    {"role": "system", "content": "You are helpful."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"name": "mixer"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": '{"price": "129.00"}'},
]
ANTHROPIC: dict[str, Any] = {
    "model": "atlas-large",
    "max_tokens": 1024,
    "system": [{"type": "text", "text": "You are helpful.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How is the weather in Oslo?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAQ" * 500}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I have to look it up."},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "the service does not answer"}],
                }
            ],
        },
    ],
}
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "You are helpful."}]},
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "Turn on the light"}, {"fileData": {"mimeType": "a/b", "fileUri": "gs://f"}}],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "set_light", "args": {"on": True}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "set_light", "response": {"ok": True}}}]},
    ],
    "generationConfig": {"temperature": 0.2},
}
RESPONSES: dict[str, Any] = {
    "instructions": "You are helpful.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Add 2 and 3"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I use the tool."}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 2, "b": 3}'},
        {"type": "function_call_output", "call_id": "c1", "output": "5"},
    ],
}


async def fill(storage: StorageAdapter) -> None:
    """Store a session with a model call of each shape, oldest first, a minute apart."""
    await storage.create_session(Session(id=SESSION, workflow_id=None, workflow_snapshot={}))
    usage = TokenUsage(
        prompt_tokens=4200,
        completion_tokens=900,
        total_tokens=5100,
        cache_read_tokens=3000,
        cache_write_tokens=200,
        reasoning_tokens=400,
    )
    asked = ToolCall(tool_call_id="call_2", tool_name="look_up", args={"name": "whisk"})
    inputs: list[tuple[str, str, Any, dict[str, Any]]] = [
        ("openai-1", "chat", OPENAI[:2], {"text": "A mixer."}),
        ("openai-2", "chat", OPENAI, {"tool_calls": (asked,), "usage": usage, "cost": "0.0142", "currency": "USD"}),
        ("anthropic", "weather", ANTHROPIC, {"text": LONG}),
        ("gemini", "light", GEMINI, {"output": {"done": True}}),
        ("responses", "sum", RESPONSES, {"text": "5", "attempt": 2, "finish_reason": "stop"}),
        ("plain", "plain", "Say hello", {"text": "hello"}),
        ("neither", "neither", {"prompt": [1, 2]}, {"success": False, "error": "refused: it is no conversation"}),
    ]
    for place, (call_id, node, sent, rest) in enumerate(inputs):
        began = now() - timedelta(minutes=len(inputs) - place)
        ended = began + timedelta(seconds=2.5)
        result = {"success": True, "model": "atlas-large", "provider": "acme", "completed_at": ended, **rest}
        call = LLMExecutionResult(id=call_id, timestamp=began, input=sent, **result)
        await storage.save_llm_execution(SESSION, node, call)
    for place, (tool_call_id, error) in enumerate((("call_2", None), ("call_9", "no such thing"))):
        await storage.log_tool_call(
            ToolCallLog(
                id=f"log-{place}",
                execution_id="openai-2",
                tool_call_id=tool_call_id,
                tool_name="look_up",
                args={"name": "whisk"},
                result=None if error else {"price": "19.00"},
                error=error,
                duration_ms=12.5,
            )
        )
