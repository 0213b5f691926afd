"""`bypass demo` as a process: the proof, and nothing left behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyroute2 import IPRoute, netns

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "bypass", "demo"]


def left_by(pid: int) -> list[str]:
    """Namespaces and links that carry the process's number."""
    with IPRoute() as route:
        links = [str(link.get("ifname")) for link in route.get_links()]
    return [name for name in netns.listnetns() if f"-{pid}-" in name] + [
        name for name in links if name.startswith(f"bp{pid}x")
    ]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DEMO, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_once_proves_both_ip_versions_and_leaves_nothing() -> None:
    process = start("--once")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    proofs = [line for line in said.splitlines() if line.startswith("ok  ")]
    assert len(proofs) == 2
    assert "http://198.1" in proofs[0]
    assert "http://[fd" in proofs[1]
    assert left_by(process.pid) == []


def test_a_site_of_ones_own_without_front_page_is_proved_too(tmp_path: Path) -> None:
    (tmp_path / "a page.bin").write_bytes(os.urandom(300_000))
    process = start(str(tmp_path), "--once")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert said.count("a%20page.bin") == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_stopped_demo_leaves_nothing(number: int, code: int) -> None:
    process = start()
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    made = left_by(process.pid)
    assert len(made) == 2, said
    assert f"ip netns exec {made[0]} curl" in said
    process.send_signal(number)
    rest = process.communicate(timeout=20)[0]
    assert process.returncode == code, rest
    assert left_by(process.pid) == []


def test_a_demo_that_fails_leaves_nothing(tmp_path: Path) -> None:
    process = start(str(tmp_path), "--once")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "Traceback" not in said
    assert left_by(process.pid) == []
