"""Many transfers by curl, side by side; how long each took, and that every octet arrived."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRIORITY = 1
"""Of SCHED_FIFO: before whatever else the machine does, the kernel's own packet threads included, whose turn
at ordinary priority comes late on a busy machine."""
FORMAT = "%{time_total} %{time_starttransfer} %{size_download}"


@dataclass(frozen=True)
class Transfer:
    """Seconds until the last and the first octet, octets of the body."""

    total_s: float
    first_s: float
    octets: int


def take_precedence(pid: int) -> None:
    """All threads of a process, for measurements."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(PRIORITY))


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
    reuse: bool = False,
    cpu: int | None = None,
) -> list[Transfer]:
    """keep: bodies go to files of `folder`, named by their number. reuse: connections are used again, as
    curl does by itself; else each URL has its own. cpu: for measurements; then with precedence too."""
    lines = ["parallel", f"parallel-max = {parallel}", "parallel-immediate", "fail", "silent", "show-error"]
    for number, url in enumerate(urls):
        output = folder / str(number) if keep else "/dev/null"
        lines += [f'url = "{url}"', f'output = "{output}"', f"max-time = {deadline_s}"]
        lines += [] if reuse else ['header = "Connection: close"']
        lines += [f'write-out = "{FORMAT}\\n"', "next"]
    script = folder / "curl.conf"
    script.write_text("\n".join(lines[:-1]) + "\n")
    pinned = [] if cpu is None else ["chrt", "-f", str(PRIORITY), "taskset", "-c", str(cpu)]
    done = run([*pinned, "timeout", str(deadline_s), "curl", "--config", str(script)])
    script.unlink()
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(urls)
    return [Transfer(float(total), float(first), int(octets)) for total, first, octets in rows]


def sums(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of what was fetched."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
