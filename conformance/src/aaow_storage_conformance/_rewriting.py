"""Imported first: pytest then explains the asserts of all modules of the suite, however the suite is installed."""

import pkgutil
import sys
from pathlib import Path

import pytest

PACKAGE = __name__.rpartition(".")[0]

# A name stands for the module or package and, if a package, for all modules in it.
pytest.register_assert_rewrite(
    *sorted(
        {f"{PACKAGE}.{module.name}" for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - set(sys.modules)
    )
)
