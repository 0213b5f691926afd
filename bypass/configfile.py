"""The TOML file of settings: its keys with the lines they stand on, and every mistake in it.

Owns the tables a file may have. What a value must look like is the caller's (bypass/config.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bypass.errors import BypassError, ConfigError
from bypass.site.rules.settings import SiteConfig
from bypass.site.rules.tables import Flaw, read_site_tables
from bypass.text import did_you_mean

FILE_BYTES_MOST = 1 << 20
TABLES = ("serve", "site", "host")
_LINE = re.compile(r"\(at line (\d+)")

Judge = Callable[[str, object, str], object]
"""(key, raw value, origin) -> value; ConfigError for one that cannot be."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. line 0: the file as a whole. key and value are empty where there is none."""

    file: str
    line: int
    key: str
    value: str
    why: str
    remedy: str = ""

    def error(self) -> ConfigError:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{place}: {self.key}" if self.key else place
        if self.value:
            what += f" = {self.value}"
        return ConfigError(what, why=self.why, remedy=self.remedy)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as the file has it, and where."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class FileSettings:
    """entries: of [serve], by key. site: [site] and [[host]]. mistakes: in all of it."""

    entries: dict[str, Entry]
    site: SiteConfig
    mistakes: list[Mistake]


class Lines:
    """On which line a key stands. A prefix of whole statements is valid TOML itself, so the parser says."""

    def __init__(self, text: str) -> None:
        self._text = text.splitlines()
        self._steps: list[tuple[int, dict[str, object]]] | None = None

    def of(self, *path: str | int) -> int:
        """1 for the first line; 0 for a key that is not there. A number counts the tables of a list."""
        before = 0
        for line, document in self._prefixes():
            if _has(document, path):
                return before + 1
            before = line
        return 0

    def _prefixes(self) -> list[tuple[int, dict[str, object]]]:
        if self._steps is None:
            self._steps = []
            for line in range(1, len(self._text) + 1):
                try:
                    self._steps.append((line, tomllib.loads("\n".join(self._text[:line]) + "\n")))
                except tomllib.TOMLDecodeError:
                    continue  # in the middle of a statement
        return self._steps


def _has(document: object, path: tuple[str | int, ...]) -> bool:
    for step in path:
        if isinstance(document, list):
            if not isinstance(step, int) or step >= len(document):
                return False
            document = document[step]
        elif isinstance(document, Mapping) and step in document:
            document = document[step]
        else:
            return False
    return True


def read_file(path: Path, known: Mapping[str, str], judge: Judge) -> FileSettings:
    """What the file says, and all that is wrong with it. `known`: the keys of its table [serve]."""
    document, text, mistakes = _parse(path)
    lines = Lines(text)
    entries: dict[str, Entry] = {}
    for name, value in document.items():
        if name not in TABLES:
            mistakes.append(_unknown(path, lines.of(name), name, value, list(TABLES)))
    table = document.get("serve", {})
    if not isinstance(table, dict):
        why = "it must be a table"
        mistakes.append(Mistake(str(path), lines.of("serve"), "serve", repr(table), why, "Write [serve]"))
        table = {}
    for key, value in table.items():
        line = lines.of("serve", key)
        if key not in known:
            mistakes.append(_unknown(path, line, f"serve.{key}", value, list(known)))
            continue
        entry = Entry(value, f"{path}:{line}")
        try:
            judge(key, value, entry.origin)
        except ConfigError as error:
            mistakes.append(Mistake(str(path), line, f"serve.{key}", repr(value), error.why, error.remedy))
        entries[key] = entry
    site, flaws = read_site_tables(document, path.parent, path)
    mistakes += [_of_flaw(path, lines, flaw) for flaw in flaws]
    return FileSettings(entries, site, mistakes)


def _of_flaw(path: Path, lines: Lines, flaw: Flaw) -> Mistake:
    """With the line of the key, or of the nearest table around it when that is what lacks something."""
    steps = flaw.path
    line = 0
    while steps and not line:
        line = lines.of(*steps)
        steps = steps[:-1]
    value = "" if flaw.value is None else shortened(repr(flaw.value))
    return Mistake(str(path), line, flaw.key, value, flaw.why, flaw.remedy)


def shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."


def _parse(path: Path) -> tuple[dict[str, object], str, list[Mistake]]:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MOST + 1)
        if len(raw) > FILE_BYTES_MOST:
            return {}, "", [Mistake(str(path), 0, "", "", "longer than 1 MiB: this is no settings file")]
        text = raw.decode("utf-8")
        return tomllib.loads(text), text, []
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read", why=error.strerror or str(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = _LINE.search(str(error))
        why = f"not valid TOML: {_LINE.split(str(error))[0].rstrip()}"
        return {}, "", [Mistake(str(path), int(found[1]) if found else 0, "", "", why)]


def _unknown(path: Path, line: int, key: str, value: object, known: list[str]) -> Mistake:
    name = key.removeprefix("serve.")
    remedy = did_you_mean(name, known) or f"Known here: {', '.join(known)}"
    return Mistake(str(path), line, key, repr(value), "no such setting", remedy)


def first_error(mistakes: list[Mistake]) -> BypassError | None:
    """The mistake that stands first in the file."""
    return min(mistakes, key=lambda mistake: mistake.line).error() if mistakes else None
