"""Every source file: not too long, says what it is, names no place of the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

MOST_LINES = 350
MOST_LINES_OF_A_TEST = 450
LONGER_FOR_A_REASON: dict[str, str] = {
    "cython_ext/probe_driver.pyx": "a door for tests: one thin method for each function of the driver layer",
}
"""Path -> why this file is longer."""

SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".h", ".c", ".sh"}
_HOME = re.compile(r"/(?:home|root|Users)/[A-Za-z0-9.]|/tmp/[a-z]+/[a-z]+/")
_DOCSTRING = re.compile(r'\s*(?:#.*\n\s*)*[rR]?"""')


def _sources(files: list[Path], *suffixes: str) -> list[Path]:
    return [path for path in files if path.suffix in (suffixes or SOURCES)]


def is_too_long(text: str, most: int = MOST_LINES) -> bool:
    return text.count("\n") > most


def opens_with_docstring(text: str) -> bool:
    return not text.strip() or _DOCSTRING.match(text) is not None


def machine_places(text: str, checkout: Path) -> list[str]:
    """Absolute paths of a person's or this machine's own folders."""
    found = _HOME.findall(text)
    return [*found, *([str(checkout)] if str(checkout) in text else [])]


def test_no_source_file_is_too_long(tracked_files: list[Path], root: Path) -> None:
    sources = {str(path.relative_to(root)): path.read_text() for path in _sources(tracked_files)}
    long = {
        name
        for name, text in sources.items()
        if is_too_long(text, MOST_LINES_OF_A_TEST if name.startswith("tests/") else MOST_LINES)
    }
    assert len(sources) > 20
    assert long - set(LONGER_FOR_A_REASON) == set()


def test_every_module_opens_with_a_docstring(tracked_files: list[Path], root: Path) -> None:
    silent = [
        str(path.relative_to(root))
        for path in _sources(tracked_files, ".py", ".pyi", ".pyx", ".pxd")
        if not opens_with_docstring(path.read_text())
    ]
    assert silent == []


def test_no_file_names_a_place_of_one_machine(tracked_files: list[Path], root: Path) -> None:
    found = {}
    for path in tracked_files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        places = machine_places(text, root)
        if places:
            found[str(path.relative_to(root))] = places
    assert found == {}


def test_the_checks_find_what_they_are_for() -> None:
    assert is_too_long("x\n" * (MOST_LINES + 1))
    assert not is_too_long("x\n" * MOST_LINES)
    assert not opens_with_docstring("import os\n")
    assert opens_with_docstring('# cython: language_level=3\n"""A module."""\n')
    assert machine_places("see /" + "home/ann/notes", Path("/srv/checkout"))
    assert machine_places("in /srv/checkout/x", Path("/srv/checkout"))
    assert not machine_places("/usr/share/doc and /var/www", Path("/srv/checkout"))
