"""A small language for TCP conversations: what a client sends, what the server must answer, and when.

README.md beside this file explains every word of it. A script is a header of `key: value` lines, then one
step a line; `repeat N i` to `end` stands for N times what is between, with $i for 0, 1 and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.scripts.steps import Step, demand, read_step
from tests.scripts.values import nanoseconds

KEYS = ("title", "rule", "runs", "linux", "engine", "opens", "ip")


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
    engine: Mapping[str, int | str]
    steps: tuple[Step, ...]
    opens: bool = False
    """The other side is a client."""
    claims: bool = False
    """The other side is a start of ours that asks for an address."""
    version: int = 4
    """Of IP."""

    @property
    def differs(self) -> bool:
        return any(step.only for step in self.steps)

    @property
    def stated_ns(self) -> int:
        """The least time it takes where time is real."""
        return sum(step.when.low_ns for step in self.steps if step.when and not step.when.absolute)


def parse(path: Path, text: str | None = None) -> Script:
    """Reads a script. ScriptError: names the line that is wrong."""
    header: dict[str, list[str]] = {}
    steps: list[Step] = []
    for number, line in _expanded(path, path.read_text() if text is None else text):
        key, colon, value = line.partition(":")
        if colon and key in KEYS and not steps:
            header.setdefault(key, []).append(value.strip())
        else:
            steps.append(read_step(path, number, line))
    return _script(path, header, steps)


def _expanded(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without comments, repetitions written out."""
    block: list[tuple[int, str]] = []
    times, name, begun = 0, "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#")[0].strip()
        words = line.split()
        if words[:1] == ["repeat"]:
            fine = len(words) == 3 and words[1].isdigit() and not begun
            demand(path, number, fine, "repeat N name, not within another", line)
            times, name, begun, block = int(words[1]), words[2], number, []
        elif words == ["end"]:
            demand(path, number, begun > 0, "a repeat before it", line)
            yield from ((at, one.replace(f"${name}", str(i))) for i in range(times) for at, one in block)
            begun = 0
        elif line and begun:
            block.append((number, line))
        elif line:
            yield number, line
    demand(path, begun, not begun, "an end of the repeat", "none")


def _script(path: Path, header: dict[str, list[str]], steps: list[Step]) -> Script:
    def one(key: str) -> str:
        return " ".join(header.get(key, []))

    runs, version = one("runs"), one("ip") or "4"
    reason = runs.removeprefix("ours-only because ")
    demand(path, 1, bool(one("title")), "a title", "none")
    demand(path, 1, bool(header.get("rule")), "at least one rule", "none")
    demand(path, 1, runs == "common" or (len(reason) > 10 and reason != runs), "common, or a reason", runs)
    demand(path, 1, bool(steps), "steps", "none")
    demand(path, 1, one("opens") in ("", "theirs", "claims"), "theirs or claims", one("opens"))
    demand(path, 1, version in ("4", "6"), "ip: 4 or 6", version)
    script = Script(
        path,
        one("title"),
        tuple(_rule(path, text) for text in header["rule"]),
        runs == "common",
        one("linux"),
        {name: _setting(value) for name, _, value in (part.partition("=") for part in one("engine").split())},
        tuple(steps),
        one("opens") == "theirs",
        one("opens") == "claims",
        int(version),
    )
    same = script.differs == bool(script.linux)
    demand(path, 1, same, "`linux:` if and only if steps are for one side", script.linux or "none")
    for step in steps:
        fine = step.kind != "restart" or not script.common
        demand(path, step.line, fine, "restart in a script for ours only", step.text)
    return script


def _setting(text: str) -> int | str:
    """A number, a time in nanoseconds, or a word."""
    time_ns = nanoseconds(text)
    if time_ns is not None:
        return time_ns
    return int(text) if text.isdigit() else text


def _rule(path: Path, text: str) -> Rule:
    parts = [part.strip() for part in text.split("|")]
    fine = len(parts) == 4 and parts[0].isdigit() and len(parts[0]) == 4
    demand(path, 1, fine, "RFC | section | level | words", text)
    return Rule(*parts)
