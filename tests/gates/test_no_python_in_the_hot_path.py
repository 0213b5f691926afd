"""The C that Cython makes of the layers touches nothing of Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gates.conftest import Translation, translate
from tests.gates.rules import LAYERS, c_functions, python_findings, reached

_LAYER_PREFIXES = tuple(f"__pyx_f_10cython_ext_{len(layer)}{layer}_" for layer in LAYERS)

_SAMPLE_PXD = """
cdef inline int clean(int a) noexcept nogil:
    return a + 1

cdef inline int dirty(int a) noexcept nogil:
    with gil:
        print(a)
    return clean(a)

cdef inline int outer(int a) noexcept nogil:
    return dirty(a)
"""
_SAMPLE_PYX = """
from sample cimport clean, outer

def use(int a):
    cdef int b
    with nogil:
        b = outer(clean(a))
    return b
"""


@pytest.mark.parametrize("root_function", ["worker_turn", "worker_run"])
def test_the_worker_reaches_no_python(engine_translation: Translation, root_function: str) -> None:
    functions = c_functions(engine_translation.c_text)
    roots = [name for name in functions if name.startswith(_LAYER_PREFIXES) and name.endswith(root_function)]
    assert roots, f"{root_function} is not in the generated C"
    names = reached(functions, roots)
    assert len(names) > 100
    findings = python_findings(functions, names)
    assert not findings, "\n".join(findings)


def test_no_function_of_any_layer_touches_python(engine_translation: Translation) -> None:
    functions = c_functions(engine_translation.c_text)
    names = [name for name in functions if name.startswith(_LAYER_PREFIXES)]
    assert len(names) > 100
    findings = python_findings(functions, names)
    assert not findings, "\n".join(findings)


def test_the_gate_reads_every_function_that_cython_wrote(engine_translation: Translation) -> None:
    written = set(re.findall(r"\b(__pyx_f_10cython_ext_\w+)\(", engine_translation.c_text))
    assert written <= set(c_functions(engine_translation.c_text))


def test_the_compiler_has_no_performance_hint(engine_translation: Translation) -> None:
    hints = [line for line in engine_translation.messages.splitlines() if "performance hint" in line]
    assert not hints, "\n".join(hints)


def test_python_below_an_inline_function_is_found(tmp_path: Path) -> None:
    (tmp_path / "sample.pxd").write_text(_SAMPLE_PXD)
    (tmp_path / "use.pyx").write_text(_SAMPLE_PYX)
    functions = c_functions(translate(Path("use.pyx"), tmp_path / "use.c", tmp_path).c_text)
    named = {name.rsplit("_", 1)[-1]: name for name in functions if name.startswith("__pyx_f_6sample_")}
    assert set(named) == {"clean", "dirty", "outer"}
    assert not python_findings(functions, reached(functions, [named["clean"]]))
    assert python_findings(functions, reached(functions, [named["outer"]]))


def test_a_missing_noexcept_gives_a_performance_hint(tmp_path: Path) -> None:
    (tmp_path / "sample.pxd").write_text("cdef inline void f(int a) nogil:\n    pass\n")
    (tmp_path / "use.pyx").write_text(
        "from sample cimport f\n\ndef use(int a):\n    with nogil:\n        f(a)\n"
    )
    assert "performance hint" in translate(Path("use.pyx"), tmp_path / "use.c", tmp_path).messages
