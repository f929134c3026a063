"""`aaow-storage studio`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, SessionStatusOption, StoreOptions

if TYPE_CHECKING:
    from collections.abc import Coroutine

Flag = Parameter(negative="", show_default=False)
Repeated = Parameter(negative="", show_default=False)


async def run(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 0,
    allow_decisions: Annotated[bool, Flag] = False,
    decides_as: Annotated[str | None, Parameter(name="--as", metavar="WHO")] = None,
    decider_header: Annotated[str | None, Parameter(metavar="NAME")] = None,
    approved_status: SessionStatusOption = None,
    rejected_status: SessionStatusOption = None,
    trusted_proxy: Annotated[tuple[str, ...], Repeated] = (),
    allowed_host: Annotated[tuple[str, ...], Repeated] = (),
    token: str | None = None,
    redact: Annotated[tuple[str, ...], Repeated] = (),
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Show a store in the browser, and let a person decide there, until Ctrl-C.

    It prints the address to open, which works once: the browser that opens it is signed in by a cookie. Records are
    only read. With --allow-decisions, requests for approval can be approved and rejected too. It needs the distribution
    aaow-storage-studio.

    Args:
        host: the address to listen at; another than this machine's own needs --token.
        port: the port; a free one if it is 0.
        allow_decisions: let people approve and reject; needs --as, or --decider-header.
        decides_as: who decides, for a studio of one person.
        decider_header: the header in which a trusted proxy says who decides, such as X-Forwarded-User.
        approved_status: the status that a session gets in the same step as its approval, such as running.
        rejected_status: the status that a session gets in the same step as its rejection, such as failed.
        trusted_proxy: the address of such a proxy; may be given several times.
        allowed_host: a name that the studio may be addressed by besides; may be given several times.
        token: what the address has to have; a random one if it is left out.
        redact: a regular expression; what it matches in texts is not shown. May be given several times.
    """
    import asyncio
    from contextlib import suppress

    from rich.text import Text

    from aaow_storage import NotOfferedError
    from aaow_storage_tools.command_line.interruptions import set_by_signal
    from aaow_storage_tools.command_line.usage_error import UsageError

    if token is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise UsageError(f"--host {host} can be reached from other machines: name a --token that they need")
    store = options.store
    studio = _installed_studio()
    settings = studio.StudioSettings(
        allow_decisions=allow_decisions,
        decides_as=decides_as,
        decider_header=decider_header,
        approved_status=approved_status,
        rejected_status=rejected_status,
        trusted_proxies=trusted_proxy,
        allowed_hosts=(*studio.LOOPBACK, *allowed_host),
        token=token,
        redact=redact,
        store_name=store.place,
    )

    def announce(url: str) -> None:
        terminal.start_writing()
        if not terminal.is_json:
            terminal.print_line(Text(url))
        terminal.emit_line("address", {"url": url})
        terminal.flush()

    async with options.open() as storage:
        maintenance = None
        with suppress(NotOfferedError):
            maintenance = store.maintenance()
        stopped = asyncio.Event()
        with set_by_signal(stopped):
            where = {"host": host, "port": port, "maintenance": maintenance}
            await _run_until(stopped, studio.serve_studio(storage, settings, announce=announce, **where))
    terminal.emit_line("result", {})
    return None


def _installed_studio() -> Any:
    """Return the package of the studio, which these tools can do without, and which is built on them."""
    from importlib import import_module

    from aaow_storage_tools.command_line.usage_error import UsageError

    try:
        return import_module("aaow_storage_studio")
    except ModuleNotFoundError as error:
        raise UsageError(f"the studio is not installed ({error}): pip install aaow-storage-studio") from None


async def _run_until(stopped: Any, serving: "Coroutine[Any, Any, None]") -> None:
    """Run until the event is set, or until the coroutine ends by itself."""
    import asyncio

    from aaow_storage_tools.command_line.usage_error import UsageError

    tasks = [asyncio.create_task(serving), asyncio.create_task(stopped.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    error = None if tasks[0].cancelled() else tasks[0].exception()
    if isinstance(error, OSError):
        raise UsageError(f"the address cannot be listened at: {error}; name another --port") from error
    if error is not None:
        raise error
