"""The kill matrix: which test of the suite catches which mistake."""

import argparse
import logging
import multiprocessing
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.util import Finalize

from aaow_storage_conformance.broken import BROKEN
from aaow_storage_conformance.broken._runner import RunnerError, Verdict, reference_backend_for, verdicts
from aaow_storage_conformance.harness.watchdog import exit_after, has_any_stalled

DEFAULT = "memory"
ENDS_WITHIN_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests of the suite on each broken backend. Return 0 if it catches all of them, 1 if not, 2 if misused."""
    options = _parser().parse_args(arguments)
    names = options.names or list(BROKEN)
    if unknown := [name for name in names if name not in BROKEN]:
        there_are = "aaow_storage_conformance.broken.BROKEN holds their names"
        print(f"there is no broken backend {', '.join(unknown)}; {there_are}", file=sys.stderr)
        return 2
    caught, survived, left_out = 0, 0, 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_be_quiet) as pool:
        for name, found in zip(names, pool.map(partial(_judge, options.on), names), strict=True):
            print(f"{name}: {BROKEN[name].mistake}")
            for verdict in found:
                print(f"  {verdict.clause:7} {verdict.test or f'SURVIVED {verdict.failure}'.strip()}", flush=True)
            if not found:
                left_out += 1
                print(f"  not run: no installed backend can be broken like this {_needs(name)}")
            elif all(verdict.test for verdict in found):
                caught += 1
            else:
                survived += 1
    print(f"{left_out} were not run" if left_out else "all were run", end="; ")
    print(f"{caught} of {caught + survived} broken backends caught")
    return 1 if survived else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m aaow_storage_conformance.broken", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of the broken backends (all)")
    parser.add_argument("--on", default=DEFAULT, metavar="BACKEND", help=f"the reference backend to break ({DEFAULT})")
    return parser


def _judge(preferred: str, name: str) -> list[Verdict]:
    broken = BROKEN[name]
    reference = reference_backend_for(broken, preferred)
    if reference is None:
        return []
    try:
        return verdicts(broken, reference)
    except RunnerError as error:
        return [Verdict(clause, failure=str(error)) for clause in broken.clauses]


def _needs(name: str) -> str:
    broken = BROKEN[name]
    wanted = [f"the backend {broken.on!r}"] if broken.on is not None else [f"{each!r}" for each in broken.needs]
    return f"(it takes {' and '.join(wanted)})"


def _be_quiet() -> None:
    """Hide the warnings and logs of what broken backends leave behind, such as tasks."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    Finalize(None, _end_soon, exitpriority=0)


def _end_soon() -> None:
    """End the process even if a stalled thread would keep it."""
    if has_any_stalled():
        exit_after(ENDS_WITHIN_S, 0)
