"""The rules that gates check, as functions from text to findings. A finding is one line for a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

LAYERS: Mapping[str, frozenset[str]] = {
    "base": frozenset(),
    "wire": frozenset({"base"}),
    "driver": frozenset({"base"}),
    "net": frozenset({"base", "wire"}),
    "tcp": frozenset({"base", "wire", "net"}),
    "content": frozenset({"base", "wire"}),
    "accesslog": frozenset({"base", "wire", "content", "http"}),
    "http": frozenset({"base", "wire", "content"}),
    "worker": frozenset({"base", "wire", "driver", "net", "tcp", "content", "http", "accesslog"}),
    "bench": frozenset({"base", "wire", "driver", "net", "tcp", "content", "http", "worker"}),
    "fuzz": frozenset({"base", "wire", "driver", "net", "tcp", "content", "http", "worker"}),
    "client": frozenset({"base", "wire", "driver", "net", "tcp"}),
    "sim": frozenset({"base", "wire", "driver", "net", "tcp", "content", "http", "worker", "client"}),
}
"""Layer of cython_ext -> layers that it may import. TCP knows no HTTP, HTTP no TCP."""

OUTSIDE: frozenset[str] = frozenset({"bench", "fuzz", "sim"})
"""Layers that are no part of the engine: each is imported by the door of its name alone."""

_CIMPORT = re.compile(
    r"^\s*(?:from\s+cython_ext(?:\.(\w+))?\S*\s+c?import\s+\(?(\w*)|c?import\s+cython_ext\.(\w+))"
)
_INLINE = re.compile(r"^\s*cdef\s+inline\b")
_NOT_IN_PXD = re.compile(r"\b(object|with\s+gil|print|raise)\b")
_STRING = re.compile(r'"""(?:.|\n)*?"""|\'\'\'(?:.|\n)*?\'\'\'|"[^"\n]*"|\'[^\'\n]*\'')
_C_FUNCTION = re.compile(
    r"^(?:static|CYTHON_INLINE|__pyx_t_|[a-z])[^;={}]*?\b(__pyx_\w+)\([^;{}]*\)\s*\{$", re.M
)
_PYTHON_IN_C = re.compile(r"\b(?:_?Py[A-Z_]\w*|__Pyx_\w+)\b")


def without_text(source: str) -> str:
    """Cython or Python source with strings and comments blanked, lines kept."""
    blank = _STRING.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    return re.sub(r"#.*", "", blank)


def import_findings(layer: str, source: str) -> list[str]:
    """Imports of other layers that LAYERS does not allow."""
    assert layer in LAYERS, f"unknown layer {layer}: add it to LAYERS with what it may import"
    found = []
    for line in without_text(source).splitlines():
        match = _CIMPORT.match(line)
        if match is None:
            continue
        other = match[1] or match[2] or match[3]
        if other != layer and other not in LAYERS[layer]:
            found.append(f"{layer} may not import {other}: {line.strip()}")
    return found


def door_findings(door: str, source: str) -> list[str]:
    """Imports of a layer of OUTSIDE by the door `door`.pyx, unless it is a door of that layer: `layer` or
    `layer_more`."""
    found = []
    for line in without_text(source).splitlines():
        match = _CIMPORT.match(line)
        other = (match[1] or match[2] or match[3]) if match else ""
        if other in OUTSIDE and other != door.split("_")[0]:
            found.append(f"{door}.pyx may not import {other}: {line.strip()}")
    return found


def declaration_findings(source: str) -> list[str]:
    """`cdef inline` without noexcept nogil, and words of Python in a .pxd."""
    lines = without_text(source).splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if _INLINE.match(line):
            signature = _signature(lines[number - 1 :])
            if not re.search(r"\)\s*noexcept\s+nogil\s*:", signature):
                found.append(f"line {number}: not noexcept nogil: {line.strip()}")
        word = _NOT_IN_PXD.search(line)
        if word:
            found.append(f"line {number}: {word[0]!r} in a .pxd: {line.strip()}")
    return found


def _signature(lines: list[str]) -> str:
    """From `cdef inline` to the colon that ends the line of its closing parenthesis."""
    text = ""
    for line in lines:
        text += line.strip() + " "
        if text.count("(") == text.count(")") and "(" in text:
            return text
    return text


def c_functions(c_text: str) -> dict[str, str]:
    """Function name -> body, of the functions that Cython wrote."""
    found = {}
    for match in _C_FUNCTION.finditer(c_text):
        end = c_text.find("\n}", match.end())
        found[match[1]] = c_text[match.end() : end]
    return found


def reached(functions: Mapping[str, str], roots: Iterable[str]) -> set[str]:
    """The functions named in the bodies of `roots`, in theirs, and so on, roots included."""
    seen: set[str] = set()
    waiting = [name for name in roots if name in functions]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [other for other in re.findall(r"\b__pyx_\w+", functions[name]) if other in functions]
    return seen


def python_findings(functions: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """What of Python's C interface the named functions touch."""
    found = []
    for name in sorted(names):
        body = re.sub(r"/\*(?:.|\n)*?\*/", "", functions[name])
        words = sorted(set(_PYTHON_IN_C.findall(body)))
        if words:
            found.append(f"{name}: {', '.join(words)}")
    return found
