"""The seed of a run: everything random in the suite follows from it, and the report names it."""

import random
from typing import NoReturn

import pytest

_SEEDS = [0]


def set_seed(seed: int) -> None:
    """Set the seed of this process."""
    _SEEDS[0] = seed


def rng_for(*names: object) -> random.Random:
    """Return a random number generator that depends only on the seed and the names.

    The names identify the use: the test, the parameter, the worker.
    """
    return random.Random("/".join(map(str, (*_SEEDS, *names))))  # noqa: S311 - not a secret


def inconclusive(why: str) -> NoReturn:
    """Skip a test that by chance did not test its rule; the report counts it as not run."""
    pytest.skip(f"inconclusive: {why}; run it again")
