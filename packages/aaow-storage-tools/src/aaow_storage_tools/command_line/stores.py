"""The store of a command: which one was named, by what, and how it is opened without being made."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from aaow_storage import (
    NotOfferedError,
    SchemaVersionError,
    StorageAdapter,
    StorageError,
    create_adapter,
    maintenance_of,
)
from aaow_storage.authoring import StoreMaintenance, redacted_url, url_scheme
from aaow_storage_tools.command_line.configuration import read_configuration
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.usage_error import UsageError

DEFAULT_URL = "file:./aaow.db"
"""The store if nothing names one, as in `open_adapter()`."""


_SCHEMES = {"file": "sqlite", "postgres": "postgresql"}
"""The schemes of URLs that are not the name of their backend."""


class StoreNotThereError(StorageError):
    """There is no store where one was named."""

    exit_code = ExitCode.NOT_THERE

    def __init__(self, place: str, source: str) -> None:
        super().__init__(place, source)
        self.place = place
        self.source = source

    def __str__(self) -> str:
        return (
            f"there is no store at {self.place} ({self.source}): check the name, or make one with `aaow-storage copy`, "
            "`import` or `restore`, or with your application"
        )


class FileNotThereError(StorageError):
    """There is no file where one was named."""

    exit_code = ExitCode.NOT_THERE

    def __init__(self, file: str, consequence: str) -> None:
        super().__init__(file, consequence)
        self.file = file
        self.consequence = consequence

    def __str__(self) -> str:
        return f"there is no file {self.file}, and {self.consequence}: check the path"


@frozen(kw_only=True)
class Store:
    """A store that was named: the arguments of `create_adapter`, and what named it."""

    name_or_url: str
    url: str | None = None
    options: Mapping[str, Any] = field(factory=dict)
    source: str
    """What named it, such as `--storage` or `DATABASE_URL`."""

    @property
    def place(self) -> str:
        """The name or URL for messages, without its password."""
        return redacted_url(self.url or self.name_or_url)

    @property
    def backend(self) -> str:
        """The name of the backend."""
        scheme = url_scheme(self.name_or_url)
        return self.name_or_url if scheme is None else _SCHEMES.get(scheme, scheme)

    def adapter(self) -> StorageAdapter:
        """Return a new adapter for the store, which is not initialized.

        Raises:
            BackendNotFoundError: no usable backend has that name.
            ValidationError: the URL or an option is wrong.
        """
        return create_adapter(self.name_or_url, self.url, **self.options)

    def maintenance(self) -> StoreMaintenance:
        """Return what only the backend can tell of the store, or do with it.

        Raises:
            NotOfferedError: the backend offers no maintenance.
            BackendNotFoundError: no usable backend has that name.
            ValidationError: the URL or an option is wrong.
        """
        return maintenance_of(self.name_or_url, self.url, **self.options)

    async def offered_maintenance(self) -> StoreMaintenance | None:
        """Return what only the backend can tell of the store, or do with it; None if it offers nothing.

        Raises:
            StoreNotThereError: there is no store.
            StorageUnavailableError: it cannot be reached.
        """
        try:
            maintenance = self.maintenance()
        except NotOfferedError:
            return None
        with suppress(NotOfferedError):
            await self.check_existence(maintenance)
        return maintenance

    async def check_existence(self, maintenance: StoreMaintenance) -> None:
        """Check that there is a store, without opening it.

        Raises:
            StoreNotThereError: there is no store.
            NotOfferedError: the backend cannot tell.
            StorageUnavailableError: it cannot be reached.
        """
        if not await maintenance.exists():
            raise StoreNotThereError(self.place, self.source)

    @asynccontextmanager
    async def open(self, *, create: bool = False) -> AsyncIterator[StorageAdapter]:
        """Open the store for `async with`; it is neither made nor migrated, unless `create` is true.

        Raises:
            StoreNotThereError: there is no store.
            SchemaVersionError: its schema is older or newer than this program.
            StorageUnavailableError: it cannot be reached.
        """
        adapter = self.adapter()
        try:
            await adapter.initialize(migrate=create)
        except SchemaVersionError as error:
            if error.found is None:
                raise StoreNotThereError(self.place, self.source) from error
            raise
        async with adapter:
            yield adapter


def named_store(name_or_url: str, source: str = "the argument") -> Store:
    """Return the store that an argument names: the name of a backend, a URL, a path of SQLite, or `@PROFILE`.

    Raises:
        UsageError: there is no such profile, or the text is empty.
    """
    if not name_or_url:
        raise UsageError(f"{source} is empty; it takes the name of a backend, a URL, a path, or @PROFILE")
    if name_or_url.startswith("@"):
        return profile_store(name_or_url[1:], f"{source}, a profile")
    if _is_path(name_or_url):
        return Store(name_or_url="sqlite", url=_expanded(name_or_url), source=source)
    return Store(name_or_url=name_or_url, source=source)


def profile_store(name: str, source: str) -> Store:
    """Return the store of a profile.

    Raises:
        UsageError: there is no such profile.
    """
    configuration = read_configuration()
    profile = configuration.profile(name)
    store = named_store(profile.storage, f"the profile {name!r} of {configuration.path}: `storage`")
    return Store(
        name_or_url=store.name_or_url, url=store.url, options={**store.options, **profile.options}, source=source
    )


def chosen_store(storage: str | None, profile: str | None) -> Store:
    """Return the store of a command: of `--storage` or `--profile`, of `DATABASE_URL`, of the default profile, or
    SQLite's `file:./aaow.db`.

    Raises:
        UsageError: both options are given, or the profile is not there.
    """
    if storage is not None and profile is not None:
        raise UsageError("--storage and --profile both name a store; give one of them")
    if storage is not None:
        return named_store(storage, "--storage")
    if profile is not None:
        return profile_store(profile, "--profile")
    if url := os.environ.get("DATABASE_URL"):
        return named_store(url, "DATABASE_URL")
    configuration = read_configuration()
    if configuration.default is not None:
        return profile_store(configuration.default, f"the default profile of {configuration.path}")
    return Store(name_or_url=DEFAULT_URL, source="the default, because nothing names a store")


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _is_path(text: str) -> bool:
    """Say whether a text is a path rather than a URL or the name of a backend."""
    if Path(text).suffix in {".db", ".sqlite", ".sqlite3"}:
        return ":" not in text.partition("/")[0]
    return text.startswith(("/", "./", "../", "~/"))
