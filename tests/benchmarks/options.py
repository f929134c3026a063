"""What the command line says."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

SESSIONS = 1_000_000
ON_SERVERS = ("postgresql", "mariadb")


@frozen
class Options:
    """How much is measured, and where the results go."""

    only: str
    rounds: int
    callers: tuple[int, ...]
    synchronous: tuple[str, ...]
    share: float
    """How much of the usual number of operations a run has."""
    seconds: float
    """How long a run by time lasts."""
    json: Path | None
    markdown: Path | None
    plot: Path | None
    scale: int | None
    peers: bool
    backend: str
    driver: str
    """The driver of the MariaDB adapter."""
    folder: Path


def parsed(arguments: Sequence[str] | None) -> Options:
    """Read the arguments; `--quick` is for a first look, and says little that is exact."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="what has this in its name")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each pair runs (5)")
    parser.add_argument(
        "--callers",
        type=int,
        nargs="+",
    )
    parser.add_argument("--synchronous", nargs="+", default=["FULL", "NORMAL"], choices=["FULL", "NORMAL"])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON too")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables for a page of the documentation"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw throughput against callers, as SVG")
    parser.add_argument(
        "--scale", type=int, nargs="?", const=SESSIONS, metavar="N", help="compare with a store of N sessions instead"
    )
    parser.add_argument("--peers", action="store_true", help="measure other libraries instead")
    parser.add_argument(
        "--backend", default="sqlite", choices=["sqlite", *ON_SERVERS], help="what is measured (sqlite)"
    )
    parser.add_argument("--driver", default="pymysql", help="the driver of the MariaDB adapter (pymysql)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the stores are, on the disk to be measured")
    given = parser.parse_args(arguments)
    if given.peers and given.backend == "mariadb":
        parser.error("--peers: the other libraries are measured on SQLite and PostgreSQL; pass --backend postgresql")
    return Options(
        only=given.only,
        rounds=given.rounds or (2 if given.quick else 5),
        callers=tuple(given.callers or ((1, 32, 64) if given.backend in ON_SERVERS else (1, 16, 64, 256))),
        synchronous=tuple(given.synchronous),
        share=0.2 if given.quick else 1.0,
        seconds=1.0 if given.quick else 10.0,
        json=given.json,
        markdown=given.markdown,
        plot=given.plot,
        scale=given.scale,
        peers=given.peers,
        backend=given.backend,
        driver=given.driver,
        folder=given.folder,
    )
