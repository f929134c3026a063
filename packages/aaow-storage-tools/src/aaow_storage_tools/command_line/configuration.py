"""The configuration file: where it is, and the stores that its profiles name.

    profile = "production"                # the one that is used if nothing else names a store

    [profiles.production]
    storage = "postgresql://app@db/agents"
    options = { pool_size = 5 }           # of the backend, as in open_adapter(URL, pool_size=5)

A command takes another profile by `--profile`; `copy` and its like take one as `@production`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from aaow_storage_tools.command_line.usage_error import UsageError


@frozen(kw_only=True)
class Profile:
    """A store that the configuration file names: its backend or URL, and the options of the backend."""

    storage: str
    options: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Configuration:
    """What the configuration file says; without a file, nothing."""

    path: Path
    is_there: bool
    default: str | None = None
    """The name of the profile that is used if nothing else names a store."""
    profiles: Mapping[str, Profile] = field(factory=dict)

    def profile(self, name: str) -> Profile:
        """Return a profile by name.

        Raises:
            UsageError: the file has no such profile.
        """
        if name not in self.profiles:
            known = ", ".join(sorted(self.profiles)) or "none"
            raise UsageError(f"there is no profile {name!r} in {self.path} (there: {known})")
        return self.profiles[name]


def configuration_path() -> Path:
    """Return where the configuration file is, whether or not it is there."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "aaow-storage" / "config.toml"


def read_configuration() -> Configuration:
    """Read the configuration file, if it is there.

    Raises:
        UsageError: it cannot be read, is not TOML, or says what no configuration says; the message names the place.
    """
    path = configuration_path()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Configuration(path=path, is_there=False)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file {path} cannot be read: {error}") from error
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the configuration file {path} is not TOML: {error}") from error
    return _configuration(path, settings)


def _configuration(path: Path, settings: Mapping[str, Any]) -> Configuration:
    _check_keys(path, "the file", settings, {"profile": str, "profiles": dict})
    profiles = {}
    for name, profile in settings.get("profiles", {}).items():
        where = f"[profiles.{name}]"
        if not isinstance(profile, dict):
            raise UsageError(f"{path}: {where} is not a table; write [profiles.{name}] and storage = ... below it")
        _check_keys(path, where, profile, {"storage": str, "options": dict})
        if "storage" not in profile:
            raise UsageError(f"{path}: {where} has no `storage`; write storage = NAME_OR_URL")
        profiles[name] = Profile(**profile)
    return Configuration(path=path, is_there=True, default=settings.get("profile"), profiles=profiles)


def _check_keys(path: Path, where: str, table: Mapping[str, Any], known: Mapping[str, type]) -> None:
    names: dict[type, str] = {str: "a string", dict: "a table"}
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{path}: {where} has the unknown key `{key}`; the keys are {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise UsageError(f"{path}: `{key}` of {where} must be {names[known[key]]}, not {type(value).__name__}")
