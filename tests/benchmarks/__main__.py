"""Run benchmarks, and print what came of them: `python -m benchmarks --help`."""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.against_peers import against_peers
from benchmarks.beside_writer import beside_writer
from benchmarks.busy_loop import busy_loop
from benchmarks.cases import READS, WRITES, Case
from benchmarks.growth import growth
from benchmarks.handover import handover
from benchmarks.options import Options, parsed
from benchmarks.plot import throughput_svg
from benchmarks.processes import processes
from benchmarks.results import Bound, Ratio, Report, machine
from benchmarks.rounds import compared
from benchmarks.startup import startup
from benchmarks.sustained import sustained
from benchmarks.table import aligned, markdown, report_text

PEER_OPERATIONS = 512
SCENARIOS: dict[str, Callable[[Path, Options], Iterable[Bound]]] = {
    "handover": lambda folder, options: handover(folder, 2 * options.rounds + 1, options.share),
    "beside_writer": lambda folder, options: beside_writer(folder, options.seconds / 5, options.rounds),
    "processes": lambda folder, options: processes(folder, options.seconds / 3),
    "sustained": lambda folder, options: sustained(folder, options.seconds),
    "startup": lambda folder, options: startup(folder, 2 * options.rounds + 1),
    "busy_loop": lambda folder, options: busy_loop(folder, options.seconds / 3),
}
"""Measurements that are not ratios to a baseline, by the name that `--only` takes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, say what was just done, and print the whole at the end."""
    options = parsed(arguments)
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.folder) as name:
        folder = Path(name)
        report = Report(machine(folder))
        for line in measured(report, folder, options):
            print(line, file=sys.stderr, flush=True)
    print(report_text(report, aligned), end="")
    if options.markdown is not None:
        options.markdown.write_text(report_text(report, markdown), encoding="utf-8")
    if options.json is not None:
        report.written(options.json)
    if options.plot is not None:
        options.plot.write_text(throughput_svg(report.ratios, options.synchronous[0]), encoding="utf-8")


def measured(report: Report, folder: Path, options: Options) -> Iterator[str]:
    """Fill the report, and yield what has just been measured."""
    if options.scale is not None:
        report.bounds += growth(folder, options.scale, options.rounds)
        yield "growth"
        return
    if options.backend == "postgresql":
        # Imported here, since the driver is not needed to measure SQLite.
        from benchmarks.on_postgresql import flushing_server, on_postgresql  # noqa: PLC0415

        with flushing_server() as server:
            if options.peers:
                report.bounds += beside_peers(folder, options, server.url("").rstrip("/"))
            else:
                report.ratios += on_postgresql(
                    server, callers=options.callers, rounds=options.rounds, share=options.share, only=options.only
                )
        yield options.backend
        return
    if options.backend == "mariadb":
        from benchmarks import on_mariadb  # noqa: PLC0415 - as above

        with on_mariadb.flushing_server() as mariadb:
            report.ratios += on_mariadb.on_mariadb(
                mariadb,
                callers=options.callers,
                rounds=options.rounds,
                share=options.share,
                only=options.only,
                driver=options.driver,
            )
        yield options.backend
        return
    if options.peers:
        report.bounds += beside_peers(folder, options, None)
        yield "peers"
        return
    for case in (*WRITES, *READS):
        if options.only in case.name:
            report.ratios += ratios_of(case, folder, options)
            yield case.name
    for name, scenario in SCENARIOS.items():
        if options.only in name:
            report.bounds += scenario(folder, options)
            yield name


def beside_peers(folder: Path, options: Options, server: str | None) -> Iterator[Bound]:
    """Yield what other libraries reach, on SQLite or on that server."""
    return against_peers(folder, options.rounds, round(PEER_OPERATIONS * options.share), options.only, server)


def ratios_of(case: Case, folder: Path, options: Options) -> Iterator[Ratio]:
    """Yield the ratios of a case; durability makes no difference to one that reads."""
    for synchronous in options.synchronous if case in WRITES else options.synchronous[:1]:
        yield from compared(
            case,
            folder,
            callers=options.callers,
            synchronous=synchronous,
            rounds=options.rounds,
            share=options.share,
        )


if __name__ == "__main__":
    main()
