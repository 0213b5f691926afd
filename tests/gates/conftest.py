"""What the gates look at: the tree's own source files and the C that Cython makes of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Translation:
    """The C text, and what the Cython compiler said while making it."""

    c_text: str
    messages: str


def translate(source: Path, output: Path, folder: Path = ROOT) -> Translation:
    """Runs the Cython compiler as setup.py does, with output elsewhere."""
    options = [f"-X{name}={value}" for name, value in directives().items() if name != "language_level"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "cython",
            "-3",
            "--force",
            *options,
            "-I",
            str(ROOT),
            str(source),
            "-o",
            str(output),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    return Translation(output.read_text(encoding="utf-8"), run.stdout + run.stderr)


def directives() -> dict[str, object]:
    """DIRECTIVES of setup.py, read and not run."""
    module = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    for node in module.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DIRECTIVES":
            value = ast.literal_eval(node.value)
            assert isinstance(value, dict)
            return value
    raise AssertionError("setup.py has no DIRECTIVES")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tracked_files() -> list[Path]:
    """Files under version control, and new ones; in an unpacked archive, every file."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    assert names, "no files found"
    return [ROOT / name for name in names]


@pytest.fixture(scope="session")
def engine_translation(tmp_path_factory: pytest.TempPathFactory) -> Translation:
    return translate(Path("cython_ext/engine.pyx"), tmp_path_factory.mktemp("c") / "engine.c")
