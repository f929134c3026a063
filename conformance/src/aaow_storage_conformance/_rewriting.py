"""Imported first: lets pytest explain the asserts of every other module of the suite, however it is installed."""

import pkgutil
import sys
from pathlib import Path

import pytest

PACKAGE = __name__.rpartition(".")[0]

pytest.register_assert_rewrite(
    *sorted(
        {f"{PACKAGE}.{module.name}" for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - set(sys.modules)
    )
)
