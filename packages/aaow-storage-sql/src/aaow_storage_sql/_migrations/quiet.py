"""Keeping what alembic tells of itself out of the log of a program that only opens a store."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("alembic.runtime.migration", "alembic.runtime.plugins")


class _InOtherThreads(logging.Filter):
    """Passes warnings, and what other threads log, such as a migration of the program's own."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or threading.get_ident() != self._thread


@contextmanager
def without_alembics_log() -> Iterator[None]:
    """Drop what alembic logs in this thread inside the block, below a warning; importing it logs too."""
    unwanted = _InOtherThreads()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(unwanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(unwanted)
