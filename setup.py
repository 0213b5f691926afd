"""Builds the three compiled parts: engine, libbpf binding, XDP program.

BYPASS_DEBUG=1 turns on ownership checks and the sanitizers.
BYPASS_QUICK=1 compiles with -O1, BYPASS_DOORS="engine probe" only these: for work on the code.
BYPASS_FUZZ=1 builds only the fuzzer, with them (tests/fuzz/build.py).
CLANG names the compiler of the XDP program (default: clang).
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FUZZ = os.environ.get("BYPASS_FUZZ") == "1"
DEBUG = FUZZ or os.environ.get("BYPASS_DEBUG") == "1"
OPTIMIZE = "-O1" if os.environ.get("BYPASS_QUICK") == "1" else "-O3"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "warn.unused_result": True,
}
# No fused multiply-add: the simulation compares numbers, which shall be the same on every machine.
CFLAGS = [OPTIMIZE, "-g", "-ffp-contract=off", "-fno-strict-aliasing", "-fwrapv", "-fno-omit-frame-pointer"]
if DEBUG:
    CFLAGS = ["-O1", "-g", "-fno-strict-aliasing", "-fno-omit-frame-pointer", "-DBYPASS_DEBUG=1"]
    CFLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
LDFLAGS = ["-fsanitize=address,undefined"] if DEBUG else []
HEADERS = [str(path) for path in sorted(Path("cython_ext/abi").glob("*.h"))]
XDP_SOURCE = "bypass/xdp/redirect.bpf.c"
XDP_SOURCES = [XDP_SOURCE, *(str(path) for path in sorted(Path("bypass/xdp").glob("*.bpf.h")))]
XDP_OBJECT = "bypass/xdp/redirect.bpf.o"


class BuildAll(build_ext):
    """build_ext, and the XDP program: an object of bytecode, shipped as data of bypass.xdp."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        super().run()
        if not FUZZ:
            self._compile_xdp(Path(self._xdp_object()))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *XDP_SOURCES, "bypass/xdp/shim.c", *HEADERS]

    def get_outputs(self) -> list[str]:
        return [*super().get_outputs(), self._xdp_object()]

    def get_output_mapping(self) -> dict[str, str]:
        mapping = super().get_output_mapping()
        if self.inplace:
            mapping[str(Path(self.build_lib, XDP_OBJECT))] = XDP_OBJECT
        return mapping

    def _xdp_object(self) -> str:
        return XDP_OBJECT if self.inplace else str(Path(self.build_lib, XDP_OBJECT))

    def _compile_xdp(self, target: Path) -> None:
        newest = max(Path(source).stat().st_mtime for source in XDP_SOURCES)
        if not self.force and target.exists() and target.stat().st_mtime > newest:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # clang -target bpf does not look where this machine's <asm/types.h> lies.
        system = f"/usr/include/{sysconfig.get_config_var('MULTIARCH') or ''}"
        command = [os.environ.get("CLANG", "clang"), "-target", "bpf", "-O2", "-g", "-Wall", "-Werror"]
        command += [f"-ffile-prefix-map={Path.cwd()}=.", "-I", system, "-c", XDP_SOURCE, "-o", str(target)]
        self.announce(" ".join(command), level=2)
        subprocess.run(command, check=True)


def extension(name: str, source: str) -> Extension:
    return Extension(
        name,
        [source],
        include_dirs=["cython_ext"],
        depends=HEADERS,
        extra_compile_args=CFLAGS,
        extra_link_args=LDFLAGS,
    )


DOORS = [
    extension("bypass._engine", "cython_ext/engine.pyx"),
    extension("bypass._bench", "cython_ext/bench.pyx"),
    extension("bypass._probe", "cython_ext/probe.pyx"),
    extension("bypass._probe_driver", "cython_ext/probe_driver.pyx"),
    extension("bypass._sim", "cython_ext/sim.pyx"),
]
WANTED = {f"bypass._{door}" for door in os.environ.get("BYPASS_DOORS", "").split()}
FUZZ_DOORS = [extension("bypass._fuzz", "cython_ext/fuzz.pyx")]

setup(
    ext_modules=cythonize(
        FUZZ_DOORS if FUZZ else [door for door in DOORS if not WANTED or door.name in WANTED],
        compiler_directives=DIRECTIVES,
        nthreads=os.cpu_count() or 1,
    ),
    cffi_modules=[] if FUZZ else ["bypass/xdp/_bpf_build.py:ffibuilder"],
    cmdclass={"build_ext": BuildAll},
)
