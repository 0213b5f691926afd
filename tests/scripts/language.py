"""A small language for TCP conversations: what a client sends, what the server must answer, and when.

A script is a header of `key: value` lines, then one step a line; `#` begins a comment.

    title: A request is answered
    rule: 9293 | 3.10.7.4 | MUST-58 | the response acknowledges the request
    runs: common                    (or: ours-only because ...)
    linux: what differs, and why    (needed where a step is for one of the two only)
    engine: time_wait_ns=2000000000 (settings of the engine, where the defaults do not serve)
    opens: theirs                   (the other side opens and asks; the script plays the server)

    < S seq 0 win 65535 mss 1460 sackok scale 7 ts 100 0
    > SA seq 0 ack 1 mss 1460
    < A
    < PA get /b64
    > A seq 1 ack 1+req len resp
    +200ms < A                      sent 200 ms after what went before; nothing may come until then
    +1s > A                         comes 1 s after what went before, give or take the tolerance
    +0.2s..0.4s > A                 within these bounds
    @5s > R                         from the start of the script
    > A seq 1 len 1460 x 10         ten segments, one behind the other
    >? A                            may come
    < S new                         another connection: the answer's initial number is its own
    none 300ms                      nothing comes
    [ours] > R                      a step for our engine only; [linux] for Linux only

Sequence numbers are relative to the initial number of either side, so both SYNs are 0. What is not named
is filled in when sending and ignored when matching; PSH is always ignored. A value is a sum or difference
of numbers, products and names: req (octets of the last request), resp (octets of its response), snd (our
next number), rcv (the next octet expected), and names that a `ts` field captured. `a..b` is a range.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MS = 1_000_000
_UNITS = {"us": 1000, "ms": MS, "s": 1000 * MS}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)$")
_STEP = re.compile(r"(?:\[(ours|linux)\]\s*)?(?:([+@]\S+)\s+)?(<|>\?|>|none)\s+(.*)$")
_FLAGS = re.compile(r"[SAFRPUEC]+$")
_RULE = re.compile(r"\d{4}$")
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
_FIELDS = {
    "seq": 1,
    "ack": 1,
    "len": 1,
    "win": 1,
    "mss": 1,
    "scale": 1,
    "ts": 2,
    "urg": 1,
    "data": 1,
    "get": 1,
}
_FIELDS |= {"raw": 1, "x": 1}
_BARE = {"sackok", "nosackok", "nots", "noscale", "nomss", "nosack", "new"}


class ScriptError(AssertionError):
    """A script is wrong, or a server is. The text names file and line, expected and seen."""


@dataclass(frozen=True)
class Window:
    """When a step is due, in nanoseconds. absolute: since the start, else since the last event.

    exact: the script names one moment, to which a tolerance applies.
    """

    low_ns: int
    high_ns: int
    absolute: bool
    exact: bool


@dataclass(frozen=True)
class Step:
    line: int
    text: str
    kind: str
    """One of < > >? none."""
    only: str | None
    when: Window | None
    flags: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field name to its values, as written; bare words to ()."""
    blocks: tuple[tuple[str, str], ...] = ()
    """SACK blocks."""


@dataclass(frozen=True)
class Rule:
    rfc: str
    section: str
    level: str
    words: str


@dataclass(frozen=True)
class Script:
    path: Path
    title: str
    rules: tuple[Rule, ...]
    common: bool
    linux: str
    engine: Mapping[str, int]
    steps: tuple[Step, ...]
    opens: bool = False
    """The other side is a client."""

    @property
    def differs(self) -> bool:
        return any(step.only for step in self.steps)


def parse(path: Path, text: str | None = None) -> Script:
    """Reads a script. ScriptError: names the line that is wrong."""
    header: dict[str, list[str]] = {}
    steps: list[Step] = []
    for number, raw in enumerate((path.read_text() if text is None else text).splitlines(), 1):
        line = raw.split("#")[0].rstrip()
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if colon and key in ("title", "rule", "runs", "linux", "engine", "opens") and not steps:
            header.setdefault(key, []).append(value.strip())
        else:
            steps.append(_step(path, number, line.strip()))
    return _script(path, header, steps)


def _script(path: Path, header: dict[str, list[str]], steps: list[Step]) -> Script:
    def one(key: str) -> str:
        return " ".join(header.get(key, []))

    runs = one("runs")
    reason = runs.removeprefix("ours-only because ")
    _demand(path, 1, bool(one("title")), "a title", "none")
    _demand(path, 1, bool(header.get("rule")), "at least one rule", "none")
    _demand(path, 1, runs == "common" or (len(reason) > 10 and reason != runs), "common, or a reason", runs)
    _demand(path, 1, any(step.kind == ">" for step in steps) or bool(steps), "steps", "none")
    script = Script(
        path,
        one("title"),
        tuple(_rule(path, text) for text in header["rule"]),
        runs == "common",
        one("linux"),
        {name: int(value) for name, _, value in (part.partition("=") for part in one("engine").split())},
        tuple(steps),
        one("opens") == "theirs",
    )
    _demand(path, 1, one("opens") in ("", "theirs"), "opens: theirs", one("opens"))
    same = script.differs == bool(script.linux)
    _demand(path, 1, same, "`linux:` if and only if steps are for one side", script.linux or "none")
    return script


def _rule(path: Path, text: str) -> Rule:
    parts = [part.strip() for part in text.split("|")]
    _demand(path, 1, len(parts) == 4 and bool(_RULE.match(parts[0])), "RFC | section | level | words", text)
    return Rule(*parts)


def _demand(path: Path, line: int, holds: bool, expected: str, seen: str) -> None:
    if not holds:
        raise ScriptError(f"{path.name}:{line}: expected {expected}, seen {seen}")


def _step(path: Path, number: int, line: str) -> Step:
    match = _STEP.match(line)
    _demand(path, number, match is not None, "a step", line)
    assert match is not None
    only, when, kind, rest = match.groups()
    window = _window(path, number, when) if when else None
    if kind == "none":
        return Step(number, line, kind, only, _window(path, number, f"+{rest.strip()}"))
    words = rest.split()
    _demand(path, number, bool(words) and bool(_FLAGS.match(words[0])), "flags", rest)
    fields, blocks, at = {}, [], 1
    while at < len(words):
        name = words[at]
        if name == "sack":
            at += 1
            while at < len(words) and "-" in words[at] and words[at][0].isdigit():
                start, _, end = words[at].partition("-")
                blocks.append((start, end))
                at += 1
            continue
        count = 0 if name in _BARE else _FIELDS.get(name, -1)
        _demand(path, number, 0 <= count < len(words) - at + (count == 0), "a field", " ".join(words[at:]))
        fields[name] = tuple(words[at + 1 : at + 1 + count])
        at += 1 + count
    return Step(number, line, kind, only, window, words[0], fields, tuple(blocks))


def _window(path: Path, number: int, text: str) -> Window:
    low, dots, high = text[1:].partition("..")
    return Window(_time(path, number, low), _time(path, number, high or low), text[0] == "@", not dots)


def _time(path: Path, number: int, text: str) -> int:
    match = _TIME.match(text)
    _demand(path, number, match is not None, "a time as 200ms or 1.5s", text)
    assert match is not None
    return round(float(match[1]) * _UNITS[match[2]])


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """Sums, differences and products of numbers and names. ValueError: anything else."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return int(_OPERATORS[type(node.op)](value(node.left), value(node.right)))
        raise ValueError(f"no such value: {text}")

    return value(ast.parse(text, mode="eval").body)
