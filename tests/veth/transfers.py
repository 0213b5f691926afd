"""Many transfers by curl, side by side; how long each took, and that every octet arrived."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NICE = -15
FORMAT = "%{time_total} %{time_starttransfer} %{size_download}"


@dataclass(frozen=True)
class Transfer:
    """Seconds until the last and the first octet, octets of the body."""

    total_s: float
    first_s: float
    octets: int


Run = Callable[..., subprocess.CompletedProcess[Any]]
"""Runs a command where the client is."""


def fetch(
    run: Run,
    folder: Path,
    urls: list[str],
    *,
    parallel: int,
    deadline_s: int,
    keep: bool = True,
    cpu: int | None = None,
) -> list[Transfer]:
    """Each URL with a connection of its own. keep: bodies go to files of `folder`, named by their number.
    cpu: for measurements; then with precedence too."""
    lines = ["parallel", f"parallel-max = {parallel}", "parallel-immediate", "fail", "silent", "show-error"]
    for number, url in enumerate(urls):
        output = folder / str(number) if keep else "/dev/null"
        lines += [f'url = "{url}"', f'output = "{output}"', f"max-time = {deadline_s}"]
        lines += ['header = "Connection: close"', f'write-out = "{FORMAT}\\n"', "next"]
    script = folder / "curl.conf"
    script.write_text("\n".join(lines[:-1]) + "\n")
    pinned = [] if cpu is None else ["nice", "-n", str(NICE), "taskset", "-c", str(cpu)]
    done = run([*pinned, "timeout", str(deadline_s), "curl", "--config", str(script)])
    script.unlink()
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(urls)
    return [Transfer(float(total), float(first), int(octets)) for total, first, octets in rows]


def sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of what was fetched."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
