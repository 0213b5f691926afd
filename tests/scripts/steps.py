"""One line of a script: when, what kind, and its fields. The words are explained in README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.scripts.values import ScriptError, nanoseconds

_STEP = re.compile(r"(?:\[(ours|linux)\]\s*)?(?:([+@]\S+)\s+)?(<|>\?|>|none|[a-z]+)\s+(.*)$")
_FLAGS = re.compile(r"[SAFRPUEC]+$|-$")
_FRAME = dict.fromkeys(("eth", "to", "src", "dst", "ttl", "df", "ecn", "tos", "id", "vlan", "x"), 1)
_FRAME |= dict.fromkeys(("badsum", "badipsum"), 0)
_SEGMENT = "seq ack len win mss scale urg data get times raw isn sport dport opts off total frag ipopts cut"
_BARE = "sackok nosackok nots noscale nomss nosack new psh nopsh close"
_ICMP = "type code mtu quote qlen qsport qdport qsrc qdst seq len target flags lladdr cut"
_ARP = "op sha spa tha tpa"
_FIELDS = {
    "tcp": dict.fromkeys(_SEGMENT.split(), 1) | dict.fromkeys(_BARE.split(), 0) | {"ts": 2},
    "icmp": dict.fromkeys(_ICMP.split(), 1),
    "arp": dict.fromkeys(_ARP.split(), 1),
}
"""How many values follow each field."""
_WORDS = {"none", "pass", "conn", "dial", "let", "check", "count", "state", "restart", "round"}
"""Steps that are no frame."""


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
    """One of < > >? and the words."""
    only: str | None
    when: Window | None
    flags: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field name to its values, as written; bare words to ()."""
    blocks: tuple[tuple[str, str], ...] = ()
    """SACK blocks."""
    proto: str = "tcp"
    """tcp, icmp or arp."""
    rest: str = ""
    """What follows a word."""


def demand(path: Path, line: int, holds: bool, expected: str, seen: str) -> None:
    if not holds:
        raise ScriptError(f"{path.name}:{line}: expected {expected}, seen {seen}")


def read_step(path: Path, number: int, line: str) -> Step:
    match = _STEP.match(line)
    known = match is not None and (match[3][0] in "<>" or match[3] in _WORDS)
    demand(path, number, known, "a step", line)
    assert match is not None
    only, when, kind, rest = match.groups()
    window = _window(path, number, when) if when else None
    if kind in ("none", "pass"):
        return Step(number, line, kind, only, _window(path, number, f"+{rest.strip()}"))
    if kind in _WORDS:
        return Step(number, line, kind, only, window, rest=rest.strip())
    words = rest.split()
    proto = words[0] if words and words[0] in ("icmp", "arp") else "tcp"
    demand(path, number, bool(words) and (proto != "tcp" or bool(_FLAGS.match(words[0]))), "flags", rest)
    fields, blocks = _fields(path, number, words, proto)
    flags = words[0].strip("-") if proto == "tcp" else ""
    return Step(number, line, kind, only, window, flags, fields, tuple(blocks), proto)


def _fields(
    path: Path, number: int, words: list[str], proto: str
) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, str]]]:
    known = _FIELDS[proto] | _FRAME
    fields: dict[str, tuple[str, ...]] = {}
    blocks: list[tuple[str, str]] = []
    at = 1
    while at < len(words):
        name = words[at]
        if name == "sack" and proto == "tcp":
            at += 1
            while at < len(words) and "-" in words[at] and words[at][0].isdigit():
                start, _, end = words[at].partition("-")
                blocks.append((start, end))
                at += 1
            continue
        count = known.get(name, -1)
        demand(path, number, 0 <= count < len(words) - at + (count == 0), "a field", " ".join(words[at:]))
        fields[name] = tuple(words[at + 1 : at + 1 + count])
        at += 1 + count
    return fields, blocks


def _window(path: Path, number: int, text: str) -> Window:
    low, dots, high = text[1:].partition("..")
    return Window(_time(path, number, low), _time(path, number, high or low), text[0] == "@", not dots)


def _time(path: Path, number: int, text: str) -> int:
    found = nanoseconds(text)
    demand(path, number, found is not None, "a time as 200ms or 1.5s", text)
    assert found is not None
    return found
