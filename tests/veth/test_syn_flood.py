"""A flood of SYN segments from sources that do not exist, and honest clients beside it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import pytest

from bypass.serve.vethpair import VethPair

pytestmark = [pytest.mark.root, pytest.mark.alone]

ROOT = Path(__file__).resolve().parents[2]
PAGE = os.urandom(1000)
SERVER_CPU, FLOOD_CPU = 0, 1
CONNECTIONS = 4096
WARM_S, FLOOD_S = 2, 8
FRAMES_MOST = 20_000_000
REQUEST_MOST_S = 10.0


@dataclass(frozen=True)
class Honest:
    """What clients saw who ask one after the other."""

    asked: int
    answered: int
    p99_ms: float
    failures: tuple[str, ...]


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@pytest.fixture
def server(pair: VethPair, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "index.html").write_bytes(PAGE)
    command = [sys.executable, "-m", "bypass", "serve", str(tmp_path), "-i", pair.server.ifname]
    command += ["--connections", str(CONNECTIONS), "--cpu", str(SERVER_CPU)]
    process = subprocess.Popen(
        pair.command(command, server=True), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "of packets" in line:
            break
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(10)
    process.stderr.close()


@pytest.fixture(scope="module")
def flooder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("flood") / "syn_flood"
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC")).split()[0]
    source = Path(__file__).with_name("syn_flood.c")
    subprocess.run([compiler, "-O2", "-Wall", "-Werror", "-o", str(target), str(source)], check=True)
    return target


def flood(pair: VethPair, program: Path, seconds: int) -> subprocess.Popen[str]:
    """Started; communicate() gives the number of frames sent."""
    ends = [end.mac.replace(":", "") for end in (pair.client, pair.server)]
    command = ["taskset", "-c", str(FLOOD_CPU), str(program), pair.client.ifname, *ends]
    command += [str(pair.server.v4), "80", str(seconds), str(FRAMES_MOST)]
    return subprocess.Popen(pair.command(command), stdout=subprocess.PIPE, text=True)


def ask(pair: VethPair) -> str:
    """One connection, one request; "" when its whole page came, else what went wrong."""
    with pair.inside_client():
        client = socket.socket()
    with client:
        client.settimeout(REQUEST_MOST_S)
        step = "connect"
        try:
            client.connect((str(pair.server.v4), 80))
            step = "response"
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            got = b"".join(iter(lambda: client.recv(65536), b""))
        except OSError as error:
            return f"{step}: {error!r}"
    return "" if got.endswith(PAGE) else f"{len(got)} octets"


def honest(pair: VethPair, seconds: float) -> Honest:
    times = []
    failures = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.monotonic()
        failure = ask(pair)
        failures += [failure] if failure else []
        times.append(1000 * (time.monotonic() - start))
    return Honest(len(times), len(times) - len(failures), quantiles(times, n=100)[98], tuple(failures))


def rss_kb(pid: int) -> int:
    (line,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line)


def test_honest_clients_are_served_beside_a_flood_and_memory_stands_still(
    pair: VethPair, server: subprocess.Popen[str], flooder: Path
) -> None:
    before = honest(pair, 3)
    assert flood(pair, flooder, WARM_S).communicate(timeout=WARM_S + 20)[0]
    held_kb = rss_kb(server.pid)
    running = flood(pair, flooder, FLOOD_S)
    beside = honest(pair, FLOOD_S - 1)
    sent = int(running.communicate(timeout=FLOOD_S + 20)[0])
    grown_kb = rss_kb(server.pid) - held_kb
    server.send_signal(signal.SIGTERM)
    assert server.stderr is not None
    said = server.stderr.read()
    (cookies,) = re.findall(r"(\d+) connection requests answered by a SYN cookie", said)
    print(f"{sent / FLOOD_S:.0f} SYN/s, {cookies} cookies, memory {grown_kb:+} kB")
    print(f"without: {before}; beside: {beside}")
    assert server.wait(20) == 0
    assert running.returncode == 0 and sent > 10_000
    assert before.answered == before.asked
    assert beside.asked >= 10
    assert beside.answered >= 0.99 * beside.asked
    assert int(cookies) > 5_000
    assert grown_kb <= 256
