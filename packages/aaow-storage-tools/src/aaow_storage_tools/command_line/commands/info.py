"""`aaow-storage info`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions

if TYPE_CHECKING:
    from aaow_storage_tools._looking.description import KindCount, StoreDescription
    from aaow_storage_tools.command_line.terminal import Terminal


async def run(
    *,
    exact: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Tell what is in a store, how large it is, its schema and settings, and what is to be said against it.

    The counts are by kind and status, with the oldest and the newest time. What only a backend knows (sizes, settings
    that decide what a commit survives, the version of the schema) is there if the backend offers it. A store whose
    schema is older or newer than this program is described without counts; the exit code is 12.

    Args:
        exact: count everything, also what has to be read for that, such as tool calls.
    """
    from attrs import evolve

    from aaow_storage import NotOfferedError, SchemaVersionError
    from aaow_storage_tools._looking.description import describe_contents, describe_store

    store = options.store
    code = ExitCode.DONE
    try:
        maintenance = store.maintenance()
        await store.check_existence(maintenance)
    except NotOfferedError:
        maintenance = None
    description = await describe_store(maintenance)  # opening the store may change settings, such as the journal mode
    with terminal.progress() as progress:
        try:
            async with store.open() as storage:
                capabilities = sorted(storage.capabilities)
                kinds = await describe_contents(storage, exact=exact, progress=progress)
                description = evolve(description, kinds=kinds)
        except SchemaVersionError:
            if maintenance is None:
                raise
            code, capabilities = ExitCode.SCHEMA_DIFFERS, None
    terminal.emit(_document(store.place, store.source, capabilities, description))
    if not terminal.is_json:
        _print(terminal, {"store": f"{store.place}, named by {store.source}"}, description)
    return code


def _document(place: str, source: str, capabilities: Any, description: "StoreDescription") -> dict[str, Any]:
    sizes, durability, schema = description.sizes, description.durability, description.schema
    return {
        "type": "info",
        "store": place,
        "source": source,
        "capabilities": capabilities,
        "kinds": [
            {
                "kind": each.kind,
                "count": each.count,
                "is_exact": each.is_exact,
                "by_status": dict(each.by_status),
                "oldest": each.oldest,
                "newest": each.newest,
            }
            for each in description.kinds
        ],
        "sizes": None
        if sizes is None
        else {
            "total_bytes": sizes.total_bytes,
            "free_bytes": sizes.free_bytes,
            "tables": [
                {"name": table.name, "table_bytes": table.table_bytes, "index_bytes": table.index_bytes}
                for table in sizes.tables
            ],
        },
        "durability": None if durability is None else dict(durability.settings),
        "schema_version": None
        if schema is None
        else {
            "found": schema.found,
            "expected": schema.expected,
            "is_current": schema.is_current,
            "pending": list(schema.pending),
        },
        "warnings": list(description.warnings),
    }


def _print(terminal: "Terminal", heading: dict[str, Any], description: "StoreDescription") -> None:
    from aaow_storage_tools.command_line.tables import size_text

    sizes, durability, schema = description.sizes, description.durability, description.schema
    if schema is not None:
        heading["schema"] = f"{schema.found}, {'current' if schema.is_current else f'needed is {schema.expected}'}"
    if sizes is not None:
        free = "" if sizes.free_bytes is None else f", {size_text(sizes.free_bytes)} of it free"
        heading["size"] = f"{size_text(sizes.total_bytes)}{free}"
    if durability is not None and durability.settings:
        heading["settings"] = ", ".join(f"{name} {value}" for name, value in durability.settings.items())
    terminal.print_record(heading)
    if description.kinds:
        terminal.print()
        terminal.print_table([_row(each) for each in description.kinds])
    if sizes is not None and sizes.tables:
        terminal.print()
        terminal.print_table(
            [
                {"table": each.name, "size": size_text(each.table_bytes), "indexes": size_text(each.index_bytes)}
                for each in sizes.tables
            ]
        )
    for warning in description.warnings:
        terminal.print()
        terminal.print_record({"warning": warning})


def _row(each: "KindCount") -> dict[str, Any]:
    return {
        "kind": each.kind.replace("_", " "),
        "count": f"{each.count:,}" if each.is_exact else f"{each.count:,}+",
        "oldest": None if each.oldest is None else f"{each.oldest:%Y-%m-%d}",
        "newest": None if each.newest is None else f"{each.newest:%Y-%m-%d}",
        "by status": ", ".join(f"{number:,} {status.replace('_', ' ')}" for status, number in each.by_status.items()),
    }
