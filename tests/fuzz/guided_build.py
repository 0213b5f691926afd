"""The coverage-guided fuzzer: one executable of libFuzzer and the engine's C, under both sanitizers.

It lies in build/guided. The interpreter's library is linked because Cython's C names it; none is started.
Only the engine is instrumented, not the code that plays its clients: coverage is the engine's.
"""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

from tests.fuzz.build import ROOT, sources_digest
from tests.gates.conftest import translate

FOLDER = ROOT / "build" / "guided"
SOURCE = Path("cython_ext/fuzz_guided.pyx")
NOT_INSTRUMENTED = """\
[coverage]
fun:__pyx_f_10cython_ext_4fuzz_*
fun:__pyx_f_6bypass_*
fun:LLVMFuzzer*
fun:Py*
fun:__Pyx_*
fun:__pyx_pymod*
"""


@functools.cache
def build_guided() -> Path:
    """The executable; made anew (about half a minute) only when a source has changed since."""
    program, stamp = FOLDER / "fuzz", FOLDER / "stamp"
    wanted = sources_digest(SOURCE, Path(__file__).relative_to(ROOT))
    if not (stamp.exists() and stamp.read_text() == wanted and program.exists()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        _compile(program)
        stamp.write_text(wanted)
    return program


def environment() -> dict[str, str]:
    """For a process of the executable."""
    return {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=8",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def _compile(program: Path) -> None:
    translate(SOURCE, FOLDER / "fuzz_guided.c")
    ignored = FOLDER / "not-instrumented.txt"
    ignored.write_text(NOT_INSTRUMENTED)
    command = [os.environ.get("CLANG", "clang"), "-O1", "-g", "-fno-inline", "-fno-omit-frame-pointer"]
    command += ["-fno-strict-aliasing", "-w", "-DBYPASS_DEBUG=1", "-D__SANITIZE_ADDRESS__=1"]
    command += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=undefined"]
    # Numbers compared in the engine are rarely found in a tape: watching them costs more than it finds.
    command += ["-fno-sanitize-coverage=trace-cmp", f"-fsanitize-coverage-ignorelist={ignored}"]
    command += ["-I", str(ROOT / "cython_ext"), "-I", sysconfig.get_path("include")]
    command += [str(FOLDER / "fuzz_guided.c"), "-o", str(program), *_interpreter()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(
            f"the coverage-guided fuzzer does not compile:\n{done.stderr[-4000:]}\n"
            "It needs clang's libFuzzer: on Debian, the package libclang-rt-VERSION-dev of its version."
        )


def _interpreter() -> list[str]:
    names = ("LIBDIR", "LIBPL", "LDVERSION", "LIBS", "SYSLIBS")
    folder, static, version, *libraries = (str(sysconfig.get_config_var(name) or "") for name in names)
    return [
        f"-L{folder}",
        f"-L{static}",
        f"-Wl,-rpath,{folder}",
        f"-lpython{version}",
        *(word for words in libraries for word in shlex.split(words)),
    ]
