"""Builds the three compiled parts: engine, libbpf binding, XDP program.

BYPASS_DEBUG=1 turns on bounds checks, ownership checks and the sanitizers.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("BYPASS_DEBUG") == "1"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "warn.unused_result": True,
}
CFLAGS = ["-O3", "-g", "-fno-strict-aliasing", "-fwrapv", "-fno-omit-frame-pointer"]
if DEBUG:
    CFLAGS = ["-O1", "-g", "-fno-strict-aliasing", "-fno-omit-frame-pointer", "-DBYPASS_DEBUG=1"]
    CFLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
LDFLAGS = ["-fsanitize=address,undefined"] if DEBUG else []
HEADERS = [str(path) for path in sorted(Path("cython_ext/abi").glob("*.h"))]


def extension(name: str, source: str) -> Extension:
    return Extension(
        name,
        [source],
        include_dirs=["cython_ext"],
        depends=HEADERS,
        extra_compile_args=CFLAGS,
        extra_link_args=LDFLAGS,
    )


setup(
    ext_modules=cythonize(
        [
            extension("bypass._engine", "cython_ext/engine.pyx"),
            extension("bypass._probe_driver", "cython_ext/probe_driver.pyx"),
        ],
        compiler_directives=DIRECTIVES,
    ),
)
