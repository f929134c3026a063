"""`aaow-storage config show`."""

from typing import Any

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import CHOICE, ChoiceOfStore, Injected


async def run(*, terminal: Injected, options: ChoiceOfStore = CHOICE) -> ExitCode | None:
    """Show which store a command would use, what named it, and the profiles of the configuration file.

    No store is opened. Passwords, and options whose names are those of secrets, are shown as ***.
    """
    import os

    from aaow_storage.authoring import redacted_url
    from aaow_storage_tools.command_line.configuration import read_configuration

    store, configuration = options.store, read_configuration()
    url = os.environ.get("DATABASE_URL")
    settings: dict[str, Any] = {
        "store": store.place,
        "named_by": store.source,
        "options": _shown(store.options),
        "DATABASE_URL": redacted_url(url) if url else None,
        "file": configuration.path,
        "file_is_there": configuration.is_there,
    }
    profiles = [
        {
            "profile": name,
            "is_default": name == configuration.default,
            "storage": redacted_url(profile.storage),
            "options": _shown(profile.options),
        }
        for name, profile in sorted(configuration.profiles.items())
    ]
    terminal.emit({"type": "config", **settings, "profiles": profiles})
    terminal.print_record({**settings, "options": settings["options"] or None})
    if profiles:
        terminal.print()
        terminal.print_table([{**each, "options": each["options"] or None} for each in profiles])
    return None


def _shown(options: Any) -> dict[str, Any]:
    """Return options with those hidden that hold a secret by their name or value."""
    from aaow_storage.authoring import redacted_text

    return {
        name: value if redacted_text(f"{name}={value}") == f"{name}={value}" else "***"
        for name, value in options.items()
    }
