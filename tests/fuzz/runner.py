"""Starts the fuzzer in a process of its own and reads what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bypass.site.compile import compile_description
from tests.fuzz.build import build, environment
from tests.fuzz.site import describe_files
from tests.fuzz.texts import SITE, request_texts


@dataclass(frozen=True)
class Fuzz:
    """Everything that a run needs, ready on disk."""

    extension: Path
    image: Path
    texts: Path

    def run(self, *, timeout_s: float, **job: int) -> subprocess.CompletedProcess[str]:
        """job: frames, rounds and seed; or world; or breach (see child.py)."""
        files = {"extension": str(self.extension), "image": str(self.image), "texts": str(self.texts)}
        return subprocess.run(
            [sys.executable, str(Path(__file__).with_name("child.py")), json.dumps({**files, **job})],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )


def prepare(folder: Path) -> Fuzz:
    """Builds the extension and, in `folder`, the site and the requests."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "site.img"
    with image.open("w+b") as output:
        compile_description(describe_files(SITE), output, name="fuzz")
    texts = folder / "texts.json"
    texts.write_text(json.dumps([text.hex() for text in request_texts()]))
    return Fuzz(build(), image, texts)


def totals_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the child counted; AssertionError, with its last words, when it did not get that far."""
    assert done.returncode == 0, done.stderr[-6000:]
    totals = json.loads(done.stdout)
    assert isinstance(totals, dict)
    return totals
