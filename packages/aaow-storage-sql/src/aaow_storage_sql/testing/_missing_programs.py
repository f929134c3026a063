"""Tests that need a program: skipped where it is missing."""

import os
import unittest
from collections.abc import Iterator
from contextlib import contextmanager


class NotInstalledError(RuntimeError):
    """A program that a test needs is not installed; the message says how to install it."""


@contextmanager
def skipped_where_missing() -> Iterator[None]:
    """Skip the test if a program is not installed; with the environment variable CI it fails.

    Raises:
        NotInstalledError: a program is missing, on CI.
    """
    try:
        yield
    except NotInstalledError as error:
        if "CI" in os.environ:
            raise
        raise unittest.SkipTest(str(error)) from error
