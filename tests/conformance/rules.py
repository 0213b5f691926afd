"""The rules of TCP that this server follows, from the tests that prove them, and those it refuses.

A rule is stated where it is proved: `@pytest.mark.rfc(rfc, section, level, words)` on a test, or a `rule:`
line of a script in tests/scripts. A requirement numbered in RFC 9293 Appendix B is marked
`@pytest.mark.rfc("9293", "MUST-13")`: its section and words are in appendix_b.txt. What is refused, or does
not apply, is a line of refused.txt with its reason. Every supported rule has a script, or is a line of
off_wire.txt with the reason why no segment can show it. Nothing is imported or run here: sources are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.scripts.language import parse

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NUMBERED = re.compile(r"(?:MUST|SHLD|MAY|REC)-\d+$")
LEVELS = ("MUST", "SHOULD", "MAY")
RFCS = {
    "9293": "Transmission Control Protocol",
    "5961": "blind in-window attacks",
    "6528": "sequence number attacks",
    "6056": "port randomization",
    "6191": "TIME-WAIT and timestamps",
    "7323": "extensions for high performance",
    "6691": "options and the MSS",
    "1191": "path MTU discovery",
    "8201": "path MTU discovery for IPv6",
    "5927": "ICMP attacks",
    "4821": "packetization layer path MTU discovery",
    "6298": "the retransmission timer",
    "5681": "congestion control",
    "2861": "idle restart",
    "2018": "selective acknowledgement",
    "6675": "loss recovery with SACK",
    "2883": "duplicate SACK",
    "8985": "RACK-TLP",
    "5682": "F-RTO",
    "3522": "Eifel detection",
    "9438": "CUBIC",
    "9406": "HyStart++",
    "6582": "NewReno",
    "6928": "the initial window",
    "3168": "explicit congestion notification",
    "4987": "SYN flooding",
    "5227": "IPv4 address conflicts",
}
"""Every RFC that the table covers, in its order, with what it is about."""


class RuleError(AssertionError):
    """A mark, a script or a line of a data file is wrong. The text says where."""


@dataclass(frozen=True)
class Key:
    rfc: str
    section: str
    level: str
    words: str


@dataclass
class Row:
    """One rule. Either `tests` (path::name) prove it or `refused` says why it is not followed.

    off_wire: why none of the tests is a script.
    """

    key: Key
    tests: list[str] = field(default_factory=list)
    refused: str = ""
    off_wire: str = ""

    @property
    def scripts(self) -> list[str]:
        return [test for test in self.tests if test.endswith(".tcp")]


def appendix_b() -> dict[str, tuple[str, str]]:
    """Number -> section and words."""
    return {number: (section, words) for number, section, words in _lines(HERE / "appendix_b.txt", 3)}


def collect(root: Path = ROOT) -> list[Row]:
    """Every row, in the order of RFCS and of sections."""
    rows: dict[Key, Row] = {}
    for where, parts in _proofs(root):
        key = _key(where, parts)
        rows.setdefault(key, Row(key)).tests.append(where)
    for key, why in _reasons("refused.txt"):
        if key in rows:
            raise RuleError(f"refused.txt: {key} is refused and proved by {rows[key].tests}")
        rows[key] = Row(key, refused=why)
    for key, why in _reasons("off_wire.txt"):
        if key not in rows or rows[key].refused:
            raise RuleError(f"off_wire.txt: {key} is no supported rule")
        rows[key].off_wire = why
    return sorted(rows.values(), key=_order)


def _reasons(name: str) -> Iterator[tuple[Key, str]]:
    """The rules of a data file, each with its reason."""
    for rfc, section, level, words, why in _lines(HERE / name, 5):
        key = _key(name, [rfc, level] if NUMBERED.match(level) else [rfc, section, level, words])
        if key.section != section:
            raise RuleError(f"{name}: {level} is in section {key.section}, not {section}")
        yield key, why


def _proofs(root: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted((root / "tests").rglob("test_*.py")):
        yield from marks(path.read_text(encoding="utf-8"), str(path.relative_to(root)))
    for path in sorted((root / "tests/scripts").glob("*.tcp")):
        for rule in parse(path).rules:
            numbered = NUMBERED.match(rule.level) is not None
            rest = [rule.level] if numbered else [rule.section, rule.level, rule.words]
            yield str(path.relative_to(root)), [rule.rfc, *rest]


def marks(source: str, path: str) -> Iterator[tuple[str, list[str]]]:
    """(path::test, arguments) of every rfc mark in a test module."""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rfc":
                if not node.name.startswith("test_"):
                    raise RuleError(f"{path}:{node.lineno}: a mark on what is no test")
                yield f"{path}::{node.name}", [ast.literal_eval(one) for one in decorator.args]


def _key(where: str, parts: list[str]) -> Key:
    if len(parts) == 2 and parts[0] == "9293":
        found = appendix_b().get(parts[1])
        if found is None:
            raise RuleError(f"{where}: RFC 9293 has no {parts[1]}")
        return Key("9293", found[0], parts[1], found[1])
    if len(parts) != 4 or parts[0] not in RFCS or parts[2] not in LEVELS:
        raise RuleError(f"{where}: expected RFC, section, level, words; seen {parts}")
    return Key(*parts)


def _order(row: Row) -> tuple[int, list[int], str]:
    numbers = [int(part) for part in re.findall(r"\d+", row.key.section)]
    return list(RFCS).index(row.key.rfc), numbers, f"{row.key.level:>9}{row.key.words}"


def _lines(path: Path, cells: int) -> Iterator[list[str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in line.split("|")]
            if len(parts) != cells or not all(parts):
                raise RuleError(f"{path.name}:{number}: expected {cells} cells, seen {line}")
            yield parts
