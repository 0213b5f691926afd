"""Under random loss, bypass beside nginx with CUBIC over the same link, in the same run.

At 5 % we deliver what nginx does, and more. At 1 % we aim at that and do not reach it in every run
(docs/performance.md): there the test only holds what was always reached.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pytest

from bypass.bench.servers import run_bypass, run_nginx
from bypass.serve.vethpair import VethPair
from tests.veth.transfers import NICE, fetch
from tests.veth.tuning import cubic, dropped, lose, must, no_offloads

SERVER_CPU, CLIENT_CPU = 0, 1
pytestmark = pytest.mark.alone
BODY_BYTES = 1_000_000
PARALLEL = 2
RUNS, RUNS_MOST = 5, 9


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@pytest.fixture
def root() -> Iterator[Path]:
    """World-readable, as nginx's worker is no root; so not below pytest's own folder."""
    with TemporaryDirectory(prefix="bypass-site-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "large.bin").write_bytes(os.urandom(BODY_BYTES))
        yield folder


def take_precedence(pid: int) -> None:
    """Before whatever else the machine does: our TCP runs in a process, nginx's in the kernel."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(thread), NICE)


def goodput_mbps(pair: VethPair, pid: int, folder: Path, transfers: int) -> float:
    """Of the transfers one after the other, from a body's first octet to its last: what a lost SYN or request
    costs is up to the client's kernel, and a second each time, in which the rest would drown."""
    take_precedence(pid)
    urls = [f"http://{pair.server.v4}/large.bin"] * transfers
    done = fetch(pair.run, folder, urls, parallel=PARALLEL, deadline_s=120, keep=False, cpu=CLIENT_CPU)
    assert all(one.octets == BODY_BYTES for one in done)
    return transfers * BODY_BYTES * 8 / 1e6 / sum(one.total_s - one.first_s for one in done)


def test_nginx_has_cubic(pair: VethPair, root: Path, tmp_path: Path) -> None:
    cubic(pair)
    with run_nginx(pair, root, cpu=SERVER_CPU, folder=tmp_path):
        with pair.inside_client():
            client = socket.create_connection((str(pair.server.v4), 80), timeout=10)
        with client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            until = time.monotonic() + 10
            while not (seen := must(pair, "ss", "-Htin", "sport", "=", ":80", server=True)):
                assert time.monotonic() < until
    assert "cubic" in seen.split()


@pytest.mark.slow
@pytest.mark.parametrize(("percent", "transfers", "least"), [(1, 60, 0.3), (5, 16, 0.9)])
def test_goodput_is_at_least_a_part_of_that_of_nginx(
    pair: VethPair, root: Path, tmp_path: Path, percent: int, transfers: int, least: float
) -> None:
    """Medians of interleaved runs; on a busy machine of more of them, for each run has few timeouts and each
    timeout weighs as much as many transfers."""
    cubic(pair)
    no_offloads(pair)
    lose(pair, percent)
    bypass: list[float] = []
    nginx: list[float] = []
    while len(bypass) < RUNS or (median(bypass) < least * median(nginx) and len(bypass) < RUNS_MOST):
        with run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced") as pid:
            bypass.append(goodput_mbps(pair, pid, tmp_path, transfers))
        with run_nginx(pair, root, cpu=SERVER_CPU, folder=tmp_path) as pid:
            nginx.append(goodput_mbps(pair, pid, tmp_path, transfers))
    ours, theirs = median(bypass), median(nginx)
    print(f"{percent} % lost: bypass {ours:.0f}, nginx {theirs:.0f} Mbit/s: {ours / theirs:.2f}")
    print(f"runs: {[round(rate) for rate in bypass]}, {[round(rate) for rate in nginx]}")
    assert min(dropped(pair)) > 0, "the link lost nothing"
    assert ours >= least * theirs
