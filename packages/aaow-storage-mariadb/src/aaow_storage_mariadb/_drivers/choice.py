"""The drivers by their names. The module of one is imported when it is used."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aaow_storage_mariadb._drivers.driver import Driver

DEFAULT: Final = "pymysql"
_MODULES: Final = {DEFAULT: "pymysql"}
"""The Python module of each driver."""


def driver_named(name: str) -> "Driver":
    """Return a driver that `problem_of` has found nothing wrong with."""
    driver: Driver = importlib.import_module(f"aaow_storage_mariadb._drivers.{name}").DRIVER
    return driver


def problem_of(name: Any) -> str | None:
    """Return why there is no such driver, with the remedy; None if there is."""
    if not isinstance(name, str) or name not in _MODULES:
        return f"must be one of {', '.join(_MODULES)}, not {name!a:.100}"
    return None
