"""docs/tcp-conformance.md, from the rules."""

from __future__ import annotations

from tests.conformance.rules import NUMBERED, RFCS, ROOT, Row, collect
from tests.scripts.language import parse

PAGE = ROOT / "docs/tcp-conformance.md"

HEAD = """# What TCP asks for, and what proves it

Written by `python -m tests.conformance --write` from the marks of the tests, the headers of the scripts in
`tests/scripts` and `tests/conformance/refused.txt`; a test compares. A row is a rule: supported, with the
tests that prove it, or refused, with the reason. RFC 9293's numbers are those of its Appendix B, and all
of them are here.

A name that ends in `.tcp` is a script, in [a language](../tests/scripts/README.md) of its own: it is played
on this server in virtual time, and where it is marked “common” on Linux too, over a veth pair. Where the two
disagree the script says so, and a test asserts that they still do. Every supported rule has a script, but for
those that are marked “not on the wire”, with the reason.
"""

PACING = """## Pacing

No timer for each packet: a budget of octets in the flight block (`cython_ext/tcp/pacing.pxd`) fills at two
windows per round trip and pays for what leaves; who has used it up is looked at again at the next tick. An
initial window goes at once, unused time is worth half a window at most, what leaves in recovery is held by
proportional rate reduction alone, and round trips below 4 ms are not paced. `test_tcp_pacing` proves it.

Measured in simulation, every path with 40 lengths between 1 and 1.3 times the row's, before and with it:
marked (ECN) 56.7 to 77.9 Mbit/s; 2 share 65.2 to 73.2, Jain 857 to 890; clean 47.2 to 49.2; lost in bursts
36.2 to 36.9; 100 share 91.5 to 92.6; reordered 27.8 to 28.1; 1 % lost 10.5 to 10.4; 300 ms with 1 % lost
0.97 to 0.94, with half as much sent again. With 1.2 windows beyond slow start, as Linux, reordered was 26.5.
It does not cure the overshoot of slow start that “clean” shows: acknowledgements already clock it at twice
the rate of the path, and the delay tells of the queue one round trip after it has filled.
"""


def render(rows: list[Row]) -> str:
    parts = [HEAD, _summary(rows)]
    for rfc, title in RFCS.items():
        mine = [row for row in rows if row.key.rfc == rfc]
        parts.append(f"## RFC {rfc}: {title}\n")
        parts.append("| RFC | Section | Level | Rule | Supported | Tests |\n|---|---|---|---|---|---|")
        parts += [_row(row) for row in mine]
        parts.append("")
    return "\n".join([*parts, PACING, _linux()]).rstrip() + "\n"


def _row(row: Row) -> str:
    key = row.key
    support = f"no: {row.refused}" if row.refused else "yes"
    tests = ", ".join(f"`{_short(test)}`" for test in row.tests) or "–"
    if row.off_wire:
        tests += f"; not on the wire: {row.off_wire}"
    return f"| {key.rfc} | {key.section} | {key.level} | {key.words} | {support} | {tests} |"


def _short(test: str) -> str:
    """Without the folder that they all share."""
    return test.removeprefix("tests/").removeprefix("engine/").replace(".py::", "::")


def _summary(rows: list[Row]) -> str:
    supported = sum(not row.refused for row in rows)
    numbered = [row for row in rows if NUMBERED.match(row.key.level)]
    kept = sum(not row.refused for row in numbered)
    return (
        f"{len(rows)} rules: {supported} supported, {len(rows) - supported} refused. "
        f"Of the {len(numbered)} numbered requirements of RFC 9293 {kept} are supported.\n"
        "Files without a folder are in `tests/engine`, the rest in `tests`.\n\n" + _counts(rows)
    )


def _counts(rows: list[Row]) -> str:
    """How many rules of each RFC."""
    lines = ["| RFC | About | Rules | Supported | Refused |", "|---|---|---|---|---|"]
    for rfc, title in RFCS.items():
        refused = [bool(row.refused) for row in rows if row.key.rfc == rfc]
        no = sum(refused)
        lines.append(f"| {rfc} | {title} | {len(refused)} | {len(refused) - no} | {no} |")
    return "\n".join(lines) + "\n"


def _linux() -> str:
    scripts = [parse(path) for path in sorted((ROOT / "tests/scripts").glob("*.tcp"))]
    lines = [
        "## Where Linux does otherwise\n",
        "| Script | What Linux does, and why we do not |",
        "|---|---|",
    ]
    lines += [f"| `scripts/{one.path.name}` | {one.linux} |" for one in scripts if one.linux]
    return "\n".join(lines)


def current() -> str:
    return render(collect())
