"""The fuzzer's own build of the engine: address and undefined-behaviour sanitizers, ownership checks.

It lies in build/sanitized and never replaces the extensions in place.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "sanitized"


def build() -> Path:
    """The extension; compiled (about half a minute) only when a source has changed since."""
    stamp = FOLDER / "stamp"
    wanted = sources_digest(Path("cython_ext/fuzz.pyx"))
    if not (stamp.exists() and stamp.read_text() == wanted and _built()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        command = [sys.executable, "setup.py", "-q", "build_ext"]
        command += ["--build-lib", str(FOLDER / "lib"), "--build-temp", str(FOLDER / "temp")]
        environment = {**os.environ, "BYPASS_FUZZ": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"the fuzzer does not compile:\n{done.stdout}{done.stderr}")
        stamp.write_text(wanted)
    return _built()[0]


def environment() -> dict[str, str]:
    """For a process that loads the extension: the sanitizer's library comes first."""
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC")).split()[0]
    command = [compiler, "-print-file-name=libasan.so"]
    library = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=16",  # leaks: Python's own, by the hundred
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def _built() -> list[Path]:
    return sorted((FOLDER / "lib" / "bypass").glob("_fuzz.*.so"))


def sources_digest(*own: Path) -> str:
    """Of all that the engine is made of, and the files `own`, named from the root."""
    found = hashlib.sha256(sys.version.encode())
    sources = [ROOT / "setup.py", *(ROOT / path for path in own)]
    for path in [
        *sources,
        *sorted((ROOT / "cython_ext").rglob("*.pxd")),
        *sorted(ROOT.glob("cython_ext/abi/*.h")),
    ]:
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
