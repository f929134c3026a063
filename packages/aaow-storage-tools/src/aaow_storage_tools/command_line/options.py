"""The options that commands share, as parameters that a command declares.

    async def run(*, terminal: Injected, options: StoreOptions = STORE) -> None: ...

A command that opens no store, or several, takes `options: OutputOptions = OUTPUT`.
"""

from typing import TYPE_CHECKING, Annotated

from attrs import frozen
from cyclopts import Group, Parameter

from aaow_storage_tools.command_line import completers
from aaow_storage_tools.command_line.terminal import Terminal

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from aaow_storage import StorageAdapter
    from aaow_storage_tools.command_line.stores import Store

SHARED = Group("Options of all commands", sort_key=100)
CHOICE_OF_STORE = Group("Choice of the store", sort_key=99)

Injected = Annotated[Terminal, Parameter(parse=False)]
"""The terminal, which the program passes to every command as `terminal`."""

Kind = Annotated[str, Parameter(completer=completers.offer_kinds)]
"""The name of a kind of records, as `list` takes it."""

Id = Annotated[str, Parameter(completer=completers.offer_ids)]
"""The id of a record of the argument `kind`."""

SessionId = Annotated[str | None, Parameter(completer=completers.offer_sessions)]
PendingApprovalId = Annotated[str, Parameter(completer=completers.offer_pending_approvals)]
SessionStatusOption = Annotated[str | None, Parameter(metavar="STATUS", completer=completers.offer_session_statuses)]

Yes = Annotated[
    bool,
    Parameter("--yes", negative="", show_default=False, help="do it; otherwise only what would be done is shown."),
]


@Parameter(name="*")
@frozen(kw_only=True)
class OutputOptions:
    """The options of every command."""

    json: Annotated[bool, Parameter(negative="", show_default=False, group=SHARED, help="write JSON for programs.")] = (
        False
    )
    quiet: Annotated[
        bool,
        Parameter(
            ("--quiet", "-q"), negative="", show_default=False, group=SHARED, help="leave out progress and notes."
        ),
    ] = False


@Parameter(name="*")
@frozen(kw_only=True)
class ChoiceOfStore(OutputOptions):
    """The options of a command that is about one store, which it need not open."""

    storage: Annotated[
        str | None,
        Parameter(
            ("--storage", "-s"),
            metavar="NAME_OR_URL",
            group=CHOICE_OF_STORE,
            help="a backend's name, a URL, or a path of SQLite; else DATABASE_URL, then the configuration file.",
        ),
    ] = None
    profile: Annotated[
        str | None,
        Parameter(
            metavar="NAME",
            group=CHOICE_OF_STORE,
            completer=completers.offer_profiles,
            help="a profile of the configuration file, instead.",
        ),
    ] = None

    @property
    def store(self) -> "Store":
        """The store that the options, the environment or the configuration file names.

        Raises:
            UsageError: both options are given, or the profile is not there.
        """
        from aaow_storage_tools.command_line.stores import chosen_store

        return chosen_store(self.storage, self.profile)


@Parameter(name="*")
@frozen(kw_only=True)
class StoreOptions(ChoiceOfStore):
    """The options of every command that opens one store."""

    def open(self) -> "AbstractAsyncContextManager[StorageAdapter]":
        """Return the store for `async with`, which opens it as it is: it is neither made nor migrated."""
        return self.store.open()


OUTPUT = OutputOptions()
CHOICE = ChoiceOfStore()
STORE = StoreOptions()
