"""The commands: name, summary and place of each. `--help` is made of this table alone, and imports no command.

To add the command `copy`:

1. Write `commands/copy.py` with a coroutine function `run`. Its parameters are the command's arguments and options,
   documented under `Args:`; its docstring begins with the summary below. Import what is heavy inside of it.

        async def run(
            source: str, target: str, /, *, yes: Yes = False, terminal: Injected, options: OutputOptions = OUTPUT
        ) -> ExitCode | None:
            async with named_store(source).open() as storage: ...

   A command on one store takes `options: StoreOptions = STORE` instead, and opens it by `async with options.open()`.
   It returns an `ExitCode`, or None for `DONE`. It raises a `StorageError`, which the program turns into a message and
   the exit code that `exit_codes.py` says, or that is the attribute `exit_code` of the error.
2. Add it here, with an example that works but for the ids and stores in it: `tests/tools/test_conventions.py` runs it.
3. Write its page of the reference anew: `python tests/tools/command_reference.py`; a test compares.

A name of two words, such as `migrate plan`, is a command of a group, whose summary is in `GROUPS`.
"""

from typing import NamedTuple

LOOKING = "Look"
DECIDING = "Decide"
MOVING = "Move and back up"
KEEPING = "Keep in order"
SETTING_UP = "Set up"

SECTIONS = (LOOKING, DECIDING, MOVING, KEEPING, SETTING_UP)


class Command(NamedTuple):
    """A command: its name, its summary, its section in `--help`, and an example of its arguments."""

    name: str
    summary: str
    section: str
    example: str = ""

    @property
    def function(self) -> str:
        """Where its function is, as `module:name`."""
        return f"aaow_storage_tools.command_line.commands.{self.name.replace(' ', '_').replace('-', '_')}:run"


GROUPS: dict[str, tuple[str, str]] = {
    "migrate": ("Show or upgrade the schema of a store.", KEEPING),
    "config": ("See the configuration file, and which store it names.", SETTING_UP),
}
"""The summary and the section of each group of commands, by its name."""

COMMANDS = (
    Command("backends", "List the installed backends, and why one cannot be used.", LOOKING),
    Command(
        "info",
        "Tell what is in a store, how large it is, its schema and settings, and what is to be said against it.",
        LOOKING,
        "--exact",
    ),
    Command(
        "list",
        "List the records of a kind that match a query, the newest first.",
        LOOKING,
        "session status=running metadata.user=ada --order=-created_at",
    ),
    Command(
        "show",
        "Show a record; a session with all that belongs to it, a budget pool with the pools around it.",
        LOOKING,
        "session 01a2bf50",
    ),
    Command(
        "stats",
        "Sum up tokens, costs, failures and durations of model calls by model, workflow, node or day.",
        LOOKING,
        "success=false --by workflow,day --order=failed",
    ),
    Command("tail", "Follow what is written to a store, live, until Ctrl-C.", LOOKING, "01a2bf50 --once"),
    Command(
        "studio", "Show a store in the browser, and let a person decide there, until Ctrl-C.", LOOKING, "--port 8080"
    ),
    Command(
        "approve",
        "Approve a pending request; if somebody was first, tell who, when, and with which notes.",
        DECIDING,
        "01a2bf50-4c1e --by ada --notes fine",
    ),
    Command(
        "reject",
        "Reject a pending request; if somebody was first, tell who, when, and with which notes.",
        DECIDING,
        "01a2bf50-4c1e --by ada --notes expensive",
    ),
    Command(
        "expire",
        "Set the pending requests that nobody decided in time to expired, and list them.",
        DECIDING,
        "--session-status failed",
    ),
    Command(
        "backup",
        "Write a backup of a store, and a manifest with digests, while others go on writing.",
        MOVING,
        "agents.backup",
    ),
    Command(
        "restore",
        "Put a backup in the place of a store that is not there: all of it, or nothing.",
        MOVING,
        "agents.backup",
    ),
    Command(
        "verify",
        "Check a backup: compare every byte with its manifest, and let its backend read it.",
        MOVING,
        "agents.backup",
    ),
    Command(
        "copy",
        "Copy a store into another one, of any backend, and compare the two record by record.",
        MOVING,
        "agents.db postgresql://app@db.example/agents",
    ),
    Command(
        "export",
        "Write all records of a store to an archive: a file of JSON Lines, that people and other programs can read.",
        MOVING,
        "agents.jsonl.zst status=completed",
    ),
    Command(
        "import",
        "Store the records of an archive in a store that is empty, or is not there yet: all of them, or nothing.",
        MOVING,
        "agents.jsonl.zst",
    ),
    Command("check", "Read every record of a store, and tell what is wrong with it.", KEEPING, "--repair"),
    Command(
        "prune",
        "Delete the sessions that a policy gives up, with all that belongs to them.",
        KEEPING,
        "metadata.tier=free --older-than 90d --keep-last 10",
    ),
    Command(
        "erase",
        "Delete everything of the sessions that meet a condition, and write a receipt.",
        KEEPING,
        "--where metadata.user=ada --receipt ada.json",
    ),
    Command(
        "verify-receipt",
        "Look in a store for what a receipt of `erase` says is erased.",
        KEEPING,
        "RECEIPT",
    ),
    Command("migrate status", "Tell which schema a store has, which one this release needs, and what is due.", KEEPING),
    Command("migrate plan", "Print the SQL that an upgrade of the schema would run; nothing is run.", KEEPING),
    Command(
        "migrate upgrade", "Upgrade the schema of a store, after a copy of a SQLite store was made beside it.", KEEPING
    ),
    Command("config path", "Print where the configuration file is, whether or not it is there.", SETTING_UP),
    Command(
        "config show",
        "Show which store a command would use, what named it, and the profiles of the configuration file.",
        SETTING_UP,
    ),
    Command(
        "completion",
        "Print a script that makes a shell complete commands, options, kinds, profiles and ids.",
        SETTING_UP,
        "bash",
    ),
    Command(
        "new-backend",
        "Write a package for a backend of your own, which passes the conformance suite from the first minute.",
        SETTING_UP,
        "acme",
    ),
)
