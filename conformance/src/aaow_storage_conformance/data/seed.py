"""Where chance comes from: everything random in the suite follows from one seed, which the report names."""

import random
from typing import NoReturn

import pytest

_SEEDS = [0]


def set_seed(seed: int) -> None:
    """Let everything random in this process follow from the seed."""
    _SEEDS[0] = seed


def rng_for(*names: object) -> random.Random:
    """Return a source of chance that follows from the seed and the names, whatever ran before.

    The names tell the places apart that need one: the test, the parameter, the worker.
    """
    return random.Random("/".join(map(str, (*_SEEDS, *names))))  # noqa: S311 - not a secret


def inconclusive(why: str) -> NoReturn:
    """Leave a test that chance kept from testing what it is for; the report counts it as not run."""
    pytest.skip(f"inconclusive: {why}; run it again")
