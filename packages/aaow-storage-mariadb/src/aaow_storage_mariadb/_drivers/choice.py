"""The drivers by their names. The module of one is imported when it is used."""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aaow_storage_mariadb._drivers.driver import Driver

DEFAULT_DRIVER: Final = "pymysql"
_OPTIONAL: Final = {"mysqlclient": "MySQLdb._mysql"}
"""The drivers that are not always installed, and the Python module of each."""
_NAMES: Final = (DEFAULT_DRIVER, *_OPTIONAL)


def driver_named(name: str) -> "Driver":
    """Return a driver that `problem_of` has found nothing wrong with."""
    driver: Driver = importlib.import_module(f"aaow_storage_mariadb._drivers.{name}").DRIVER
    return driver


def problem_of(name: Any) -> str | None:
    """Return why there is no such driver, with the remedy; None if there is."""
    if not isinstance(name, str) or name not in _NAMES:
        return f"must be one of {', '.join(_NAMES)}, not {name!a:.100}"
    if name in _OPTIONAL:
        try:
            importlib.import_module(_OPTIONAL[name])
        except ImportError as error:
            remedy = f"pip install aaow-storage-mariadb[{name}]"
            return f"names {name}, which cannot be imported ({error}); {remedy}, or leave the option out"
    return None
