"""The C that Cython makes of the engine compiles without a warning, strict ones included."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.gates.conftest import ROOT, Translation

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wtype-limits",
    "-Wsign-compare",
    "-Wunused-result",
    "-Wdiscarded-qualifiers",
]


def warnings_of(c_text: str, folder: Path) -> list[str]:
    """What the C compiler says of the text, with the flags that the interpreter was built with."""
    source = folder / "text.c"
    source.write_text(c_text)
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC")).split()[0]
    include = ["-I", str(ROOT / "cython_ext"), "-I", sysconfig.get_path("include")]
    command = [compiler, "-fsyntax-only", "-DNDEBUG", "-fwrapv", *_WARNINGS, *include, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "warning:" in line or "In function" in line]


def test_the_engine_compiles_without_warnings(engine_translation: Translation, tmp_path: Path) -> None:
    assert warnings_of(engine_translation.c_text, tmp_path) == []


def test_a_signed_comparison_is_found(tmp_path: Path) -> None:
    assert warnings_of("int f(unsigned a, int b) { return a < b; }\n", tmp_path)
    assert warnings_of("int f(unsigned a) { return a < 0; }\n", tmp_path)
    assert warnings_of("char *f(const char *a) { char *b = a; return b; }\n", tmp_path)
