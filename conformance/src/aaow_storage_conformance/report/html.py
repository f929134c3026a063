"""The report as one self-contained HTML page."""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from aaow_storage_conformance.report.results import Outcome, Result, Verdict

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --ground: #fff; --panel: #f6f8fa;
  --good: #1a7f37; --bad: #c4262e; --warn: #8a6100; --plain: #3a6ea5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --line: #30363d; --ground: #0d1117;
  --panel: #161b22; --good: #3fb950; --bad: #ff7b72; --warn: #d8a328; --plain: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.verdict { border-left: .4rem solid; padding: .7rem 1rem; background: var(--panel); margin: 1.2rem 0;
  font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.n, th.n { text-align: right; } .scroll { overflow-x: auto; }
code, pre { font-family: ui-monospace, monospace; font-size: .86em; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--panel); padding: .6rem .8rem; margin: .4rem 0; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; } summary b { display: inline-block; min-width: 4.2rem; }
ul { margin: .3rem 0 .6rem; padding-left: 1.4rem; } li { margin: .15rem 0; }
.tag { font-size: .8em; font-weight: 600; white-space: nowrap; margin-right: .4rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .plain { color: var(--plain); }
a { color: inherit; }
"""
CLASSES: dict[str, str] = {
    Verdict.CONFORMANT: "good",
    Verdict.NOT_CONFORMANT: "bad",
    Verdict.INCOMPLETE: "warn",
    Verdict.QUICK: "warn",
    Verdict.NOTHING: "bad",
    Result.PASSED: "good",
    Result.FAILED: "bad",
    Result.INCOMPLETE: "warn",
    Result.WAIVED: "warn",
    Result.NOT_CLAIMED: "plain",
    Outcome.NOT_APPLICABLE: "plain",
    Outcome.NOT_RUN: "warn",
}
"""CSS classes of outcomes, results and verdicts; equal texts share an entry."""


def render_page(document: dict[str, Any]) -> str:
    """Render the JSON of a report as a page that loads nothing; all values are escaped."""
    return "\n".join(_page(document)) + "\n"


def _page(report: dict[str, Any]) -> Iterator[str]:
    backend = report["backend"]
    title = f"{backend['name']}: storage contract {backend['contract']}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(title)}</h1>\n<p class=soft>{escape(backend['summary'])}</p>"
    yield f'<p class="verdict {CLASSES[report["verdict"]]}">{escape(report["sentence"])}</p>'
    yield from _waivers(report)
    yield from _areas(report["clauses"])
    yield from _facts(report)
    for area, group in groupby(report["clauses"], key=lambda each: each["area"]):
        yield f'<h2 id="{escape(area)}">{escape(area)}</h2>'
        for each in group:
            yield from _clause(each, report["tests"])
    yield "</body>\n</html>"


def _waivers(report: dict[str, Any]) -> Iterator[str]:
    lines = [f"{each['clause']} until {each['expires']}: {each['reason']}" for each in report["waivers"]]
    if lines or report["problems"]:
        yield "<h2>Waivers</h2>\n<ul>"
        yield from (f"<li>{escape(line)}</li>" for line in lines)
        yield from (f"<li class=bad>{escape(line)}</li>" for line in report["problems"])
        yield "</ul>"


def _areas(clauses: list[dict[str, Any]]) -> Iterator[str]:
    columns = (Result.PASSED, Result.FAILED, Result.WAIVED, Result.NOT_CLAIMED, Result.INCOMPLETE, Result.NOT_RUN)
    heads = "".join(f"<th class=n>{column}</th>" for column in ("clauses", *columns, "tests", "seconds"))
    yield f"<h2>Clauses by area</h2>\n<div class=scroll><table>\n<tr><th>area</th>{heads}</tr>"
    for area, group in groupby(clauses, key=lambda each: each["area"]):
        of_area = list(group)
        counts = [sum(each["result"] == column for each in of_area) for column in columns]
        tests = len({test for each in of_area for test in each["tests"]})
        seconds = f"{sum(each['duration_s'] for each in of_area):.1f}"
        cells = "".join(f"<td class=n>{cell or ''}</td>" for cell in (len(of_area), *counts, tests, seconds))
        yield f'<tr><td><a href="#{escape(area)}">{escape(area)}</a></td>{cells}</tr>'
    yield "</table></div>"


def _facts(report: dict[str, Any]) -> Iterator[str]:
    backend, contract, suite, environment = (report[name] for name in ("backend", "contract", "suite", "environment"))
    libraries = ", ".join(f"{name} {version}" for name, version in environment["libraries"].items() if version)
    unclaimed = set(backend["declared_capabilities"]) - set(backend["capabilities"])
    facts = {
        "backend": f"{backend['name']}, of {backend['distribution'] or 'no distribution'} {backend['version'] or ''}",
        "claims": ", ".join(backend["capabilities"]) or "no capability",
        **({"declared, but not claimed by this store": ", ".join(sorted(unclaimed))} if unclaimed else {}),
        "contract": f"{contract['version']}; the backend was built for {backend['contract']}, and is held to that",
        "clauses (SHA-256)": contract["digest"],
        "suite": f"{suite['distribution']} {suite['version']}",
        "Python": f"{environment['implementation']} {environment['python']}",
        "platform": environment["platform"],
        "libraries": libraries,
        "seed": report["seed"],
        "run": f"{report['started_at']}, {report['duration_s']:.0f} s",
    }
    yield "<h2>What was tested, and how</h2>\n<table>"
    yield from (f"<tr><th>{escape(name)}</th><td>{escape(str(fact))}</td></tr>" for name, fact in facts.items())
    yield f"</table>\n<p>To run the same again:</p>\n<pre>{escape(report['command'])}</pre>"


def _clause(each: dict[str, Any], tests: dict[str, Any]) -> Iterator[str]:
    is_open = " open" if each["result"] == Result.FAILED else ""
    needs = f" (capability {each['capability']})" if each["capability"] else ""
    yield f'<details id="{escape(each["id"])}"{is_open}><summary><b>{escape(each["id"])}</b> {_tag(each["result"])}'
    yield f"{escape(each['sentence'])}</summary>"
    yield f"<p class=soft>{escape(each['level'])}{escape(needs)}, since {escape(each['since'])}</p>\n<ul>"
    for name in each["tests"]:
        test = tests[name]
        detail = f"<pre>{escape(test['detail'])}</pre>" if test["detail"] else ""
        seconds = f" <span class=soft>{test['duration_s']:.2f} s</span>" if test["duration_s"] else ""
        yield f"<li>{_tag(test['outcome'])}<code>{escape(name)}</code>{seconds}{detail}</li>"
    yield f"</ul>\n<pre>{escape(each['command'])}</pre></details>"


def _tag(word: str) -> str:
    return f'<span class="tag {CLASSES[word]}">{escape(word)}</span> '
