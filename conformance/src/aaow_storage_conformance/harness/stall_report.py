"""The text of a stall: the frames of tasks and threads, and the storage operation that each is in."""

import asyncio
import inspect
import linecache
import reprlib
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import attrs

from aaow_storage import StorageAdapter, StorageOperations, Transaction

SUITE = str(Path(__file__).parents[1])
LIFECYCLE = {"initialize", "close", "begin_transaction", "commit", "rollback", "savepoint"}
BLOCKS = {"__aenter__", "__aexit__", "transaction"}
OPERATIONS = {*StorageOperations.__abstractmethods__, *LIFECYCLE, *BLOCKS}
ARGUMENT_CHARACTERS = 120
MAX_LEVELS = 3
"""Most levels of a record or a condition that are looked at: one may have more parts than a computer could write."""


class _Short(reprlib.Repr):
    """Describes a value in little time, whatever its size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = ARGUMENT_CHARACTERS
        self.maxlevel = MAX_LEVELS

    def repr_instance(self, x: Any, level: int) -> str:
        """Describe the items of a mapping, and the fields of an attrs class, down to that level; else the repr."""
        if isinstance(x, Mapping):
            return self.repr_dict(dict(x), level)
        if not attrs.has(type(x)):
            return super().repr_instance(x, level)
        named = [each.name for each in attrs.fields(type(x)) if each.repr]
        shown = [f"{name}={self.repr1(getattr(x, name), level - 1)}" for name in named] if level > 0 else ["..."]
        text = f"{type(x).__name__}({', '.join(shown)})"
        return text if len(text) <= ARGUMENT_CHARACTERS else f"{text[:ARGUMENT_CHARACTERS]}..."


_short = _Short()


def awaited_frames(task: "asyncio.Task[Any]") -> Iterator[tuple[Any, FrameType]]:
    """Yield the coroutines and generators that a task is suspended in, outermost first, each with its frame."""
    waiting: Any = task.get_coro()
    outer: FrameType | None = None
    while waiting is not None:
        if type(waiting).__name__ in {"async_generator_asend", "async_generator_athrow"} and outer is not None:
            waiting = _generator_in(outer.f_locals)
        frame = _attribute(waiting, "frame")
        if frame is None:
            return
        yield waiting, frame
        outer, within = frame, frame.f_locals.get("self") if frame.f_code.co_name == "__await__" else None
        inner = getattr(within, "_coroutine", None)  # of a `CancelledAt`
        waiting = inner or _attribute(waiting, "await")


def awaited_operation(task: "asyncio.Task[Any]") -> "tuple[weakref.ref[Any], str] | None":
    """Return the coroutine and a description of the operation that a task awaits, or None."""
    waiting = list(awaited_frames(task))
    name = operation_in([frame for _, frame in waiting])
    if name is None:
        return None
    return next(weakref.ref(coroutine) for coroutine, frame in waiting if _is_operation(frame)), name


def operation_in(frames: list[FrameType]) -> str | None:
    """Describe the outermost operation of the frames, outermost first; `close` rather than the block around it."""
    operations = [frame for frame in frames if _is_operation(frame)]
    called = [frame for frame in operations if frame.f_code.co_name not in BLOCKS]
    return describe_call((called or operations)[0]) if operations else None


def frames_of_thread(thread_id: int | None) -> list[FrameType]:
    """Return the frames of a thread, outermost first."""
    frame = sys._current_frames().get(thread_id or 0)  # noqa: SLF001 - the only way to see the frames of another thread
    return [each for each, _ in traceback.walk_stack(frame)][::-1] if frame is not None else []


def describe_call(frame: FrameType) -> str:
    """Describe a call by its name, arguments and receiver: "get_workflow('w') of MemoryAdapter"."""
    names = inspect.getargvalues(frame)
    first_keyword = len(names.args) - frame.f_code.co_kwonlyargcount
    receiver, *positional = [names.locals.get(name) for name in names.args[:first_keyword]] or [None]
    keywords = {name: names.locals.get(name) for name in names.args[first_keyword:]}
    positional += names.locals.get(names.varargs, ()) if names.varargs else ()
    keywords |= names.locals.get(names.keywords, {}) if names.keywords else {}
    arguments = [_text(each) for each in positional] + [f"{key}={_text(each)}" for key, each in keywords.items()]
    return f"{frame.f_code.co_name}({', '.join(arguments)}) of {type(receiver).__name__}"


def describe_tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Describe the tasks of a loop, those in an operation first; called in its thread."""
    found = []
    for task in asyncio.all_tasks(loop):
        frames = [frame for _, frame in awaited_frames(task)]
        found.append((operation_in(frames) is None, f"the task {task.get_name()!r} waits:", frames))
    return [
        line
        for _, title, frames in sorted(found, key=lambda each: each[:2])
        for line in (title, *format_frames(frames))
    ]


def describe_threads() -> list[str]:
    """Describe the main thread and the threads in an operation, but for the calling one."""
    found = []
    for thread in threading.enumerate():
        frames = frames_of_thread(thread.ident)
        if thread is not threading.current_thread() and (thread is threading.main_thread() or operation_in(frames)):
            ours = [number for number, frame in enumerate(frames) if frame.f_code.co_filename.startswith(SUITE)]
            found += [f"the thread {thread.name!r} is in:", *format_frames(frames[ours[0] if ours else -8 :])]
    return found


def format_frames(frames: list[FrameType]) -> list[str]:
    """Format frames, two lines each."""
    text = []
    for frame in frames:
        code, number = frame.f_code, frame.f_lineno
        source = linecache.getline(code.co_filename, number).strip()
        text += [f"  {code.co_filename}:{number} in {code.co_name}", f"    {source}"]
    return text


def _is_operation(frame: FrameType) -> bool:
    if frame.f_code.co_name not in OPERATIONS:
        return False
    return isinstance(frame.f_locals.get("self"), StorageAdapter | Transaction)


def _generator_in(names: dict[str, Any]) -> Any:
    """Return the running asynchronous generator among the locals of a frame, or of the context manager in it."""
    held = [*names.values(), getattr(names.get("self"), "gen", None)]
    return next((each for each in held if inspect.isasyncgen(each) and each.ag_running), None)


def _attribute(waiting: object, name: str) -> Any:
    """Return the attribute `frame` or `await` of a coroutine (`cr_`), generator (`gi_`) or async generator (`ag_`)."""
    for prefix in ("cr", "gi", "ag"):
        of_generator = f"{prefix}_{'yieldfrom' if (prefix, name) == ('gi', 'await') else name}"
        if hasattr(waiting, of_generator):
            return getattr(waiting, of_generator)
    return None


def _text(value: object) -> str:
    try:
        return _short.repr(value)
    except Exception as error:  # noqa: BLE001 - a backend's `__repr__` may be broken
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
