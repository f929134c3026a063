"""The columns of lists for people, by the kind of record: the id first, and what fits into 80 columns."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aaow_storage import JSON
from aaow_storage.authoring import dumps_unchecked
from aaow_storage_tools.command_line.tables import rounded, text_of

Row = dict[str, Any]


def row_of(kind: str, record: Any, *, is_brief: bool) -> Row:
    """Return what a list shows of a record; briefly, with ages in place of times, and amounts rounded."""
    row = _ROWS[kind](record, _age if is_brief else _time)
    if not is_brief:
        return row
    return {name: rounded(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def age_text(instant: datetime | None) -> str:
    """Return how long ago an instant was, such as `5m` or `3d`; `in 5m` if it is to come."""
    if instant is None:
        return ""
    seconds = (datetime.now(UTC) - instant).total_seconds()
    text = _rough(abs(seconds))
    return text if seconds >= 0 else f"in {text}"


def duration_text(duration: timedelta | None) -> str:
    """Return a duration in the unit that fits, such as `12 ms`, `3.42 s` or `5 min 3 s`."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _rough(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"


def _age(name: str, instant: datetime | None) -> Row:
    if name != "expires_at":
        return {"age": age_text(instant)}
    text = age_text(instant)
    return {"expires": text if not text or text.startswith("in ") else f"{text} ago"}


def _time(name: str, instant: datetime | None) -> Row:
    return {name: instant}


Time = Callable[[str, datetime | None], Row]


def _json(value: JSON) -> str:
    return "" if value is None else dumps_unchecked(value)


def _took(start: datetime | None, end: datetime | None) -> str:
    return "" if start is None or end is None else duration_text(end - start)


def _workflow(each: Any, time: Time) -> Row:
    return {"id": each.id, **time("created_at", each.created_at), "version": each.version, "name": each.name}


def _session(each: Any, time: Time) -> Row:
    start = {"id": each.id, **time("created_at", each.created_at), "status": each.status}
    return {**start, "metadata": _json(each.metadata)}


def _execution_state(each: Any, time: Time) -> Row:
    return {
        "session_id": each.session_id,
        **time("started_at", each.started_at),
        "status": each.status,
        "took": _took(each.started_at, each.completed_at),
        "nodes": len(each.node_states),
    }


def _node_state(each: Any, time: Time) -> Row:
    return {
        "session_id": each.session_id,
        "node_id": each.node_id,
        **time("started_at", each.started_at),
        "status": each.status,
        "took": _took(each.started_at, each.completed_at),
        "error": each.error,
    }


def outcome_of(execution: Any) -> str:
    """Return whether a model call runs, is done, or failed."""
    return {None: "running", True: "ok", False: "failed"}[execution.success]


def _llm_execution(each: Any, time: Time) -> Row:
    return {
        "id": each.id,
        **time("timestamp", each.timestamp),
        "status": outcome_of(each),
        "took": duration_text(each.duration),
        "tokens": None if each.usage is None else each.usage.total_tokens,
        "cost": each.cost,
        "model": each.model,
    }


def _tool_call(each: Any, time: Time) -> Row:
    took = None if each.duration_ms is None else timedelta(milliseconds=each.duration_ms)
    return {
        "id": each.id,
        **time("timestamp", each.timestamp),
        "took": duration_text(took),
        "tool": each.tool_name,
        "error": each.error,
    }


def _budget_pool(each: Any, time: Time) -> Row:
    return {
        "id": each.id,
        **time("created_at", each.created_at),
        "status": each.status,
        "used": each.used_budget,
        "total": each.total_budget,
    }


def _approval_request(each: Any, time: Time) -> Row:
    return {
        "id": each.id,
        **time("created_at", each.created_at),
        "status": each.status,
        **time("expires_at", each.expires_at),
        "type": each.type,
    }


def _stream_event(each: Any, time: Time) -> Row:
    start = {"stream_id": each.stream_id, "sequence": each.sequence, **time("timestamp", each.timestamp)}
    return {**start, "data": _json(each.data)}


def _stream(each: Any, time: Time) -> Row:
    return {"stream_id": each.stream_id, "events": each.events, **time("last_event_at", each.last_event_at)}


_ROWS: Mapping[str, Callable[[Any, Time], Row]] = {
    "approval_request": _approval_request,
    "budget_pool": _budget_pool,
    "execution_state": _execution_state,
    "llm_execution": _llm_execution,
    "node_state": _node_state,
    "session": _session,
    "stream": _stream,
    "stream_event": _stream_event,
    "tool_call": _tool_call,
    "workflow": _workflow,
}


def summary_of(kind: str, each: Any) -> str:
    """Return what a record says, in a few words."""
    match kind:
        case "workflow":
            return f"{each.name} {each.version}"
        case "session":
            return str(each.status)
        case "execution_state":
            counts = Counter(str(node.status) for node in each.node_states.values())
            return ", ".join([str(each.status), *(f"{number} nodes {status}" for status, number in counts.items())])
        case "llm_execution":
            tokens = "" if each.usage is None else f"{each.usage.total_tokens} tokens"
            parts = (each.model, outcome_of(each), duration_text(each.duration), tokens, each.error)
            return ", ".join(str(part) for part in parts if part)
        case "tool_call":
            return ", ".join(part for part in (each.tool_name, each.error) if part)
        case "budget_pool":
            return f"{text_of(rounded(each.used_budget))} of {text_of(rounded(each.total_budget))}, {each.status}"
        case "approval_request":
            return f"{each.type} {each.status}" + ("" if each.resolved_by is None else f" by {each.resolved_by}")
        case "stream_event":
            return f"{each.sequence} {_json(each.data)}"
    return ""
