"""In a .pxd Python cannot appear: every inline function is noexcept nogil."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gates.rules import declaration_findings


def test_every_inline_function_is_noexcept_and_nogil(root: Path) -> None:
    paths = sorted((root / "cython_ext").rglob("*.pxd"))
    inline = sum(path.read_text().count("cdef inline") for path in paths)
    findings = [
        f"{path.relative_to(root)}: {line}"
        for path in paths
        for line in declaration_findings(path.read_text())
    ]
    assert inline > 10
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize(
    "source",
    [
        "cdef inline int f(int a):\n    return a\n",
        "cdef inline int f(int a) nogil:\n    return a\n",
        "cdef inline int f(int a) noexcept:\n    return a\n",
        "cdef inline int f(\n    int a,\n    int b,\n) nogil:\n    return a\n",
        "cdef object thing\n",
        "    with gil:\n",
        "    raise ValueError\n",
        "    print(3)\n",
    ],
)
def test_a_breach_is_found(source: str) -> None:
    assert declaration_findings(source)


def test_words_in_comments_and_strings_are_no_breach() -> None:
    source = '"""No object here."""\n# raise nothing\n'
    source += "cdef inline int f(\n    int a,\n) noexcept nogil:\n    return a\n"
    assert not declaration_findings(source)
