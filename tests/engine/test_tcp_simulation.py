"""Whole responses through bad networks: every octet arrives, none changes (seeded, virtual time)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND
from tests.engine.simulation import Network, Simulation

NETWORKS = {
    "clean": Network(),
    "slow": Network(delay_ms=400),
    "2 % lost": Network(loss=0.02, delay_ms=10),
    "10 % lost": Network(loss=0.1, delay_ms=20, jitter_ms=3),
    "20 % lost": Network(loss=0.2, delay_ms=20, jitter_ms=30),
    "mixed and doubled": Network(delay_ms=5, jitter_ms=60, duplicate=0.2),
}
WINDOWS = {
    "wide": [65535],
    "narrow": [1000, 3000, 500],
    "closing": [8000, 0, 65535, 2000],
}
SMALL = ["b0", "b1", "b63", "b64", "b65", "b1k", "b10k"]


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_small_responses_arrive_whole(
    make_host: MakeHost, files: dict[str, bytes], network: str, windows: str, seed: int
) -> None:
    host = make_host(idle_timeout_ns=10_000 * SECOND, time_wait_ns=SECOND, tx_frames=64)
    paths = ["/" + name for name in SMALL]
    run = Simulation(
        host, NETWORKS[network], seed, paths, windows=WINDOWS[windows], server_closes=seed % 2 == 0
    )
    answers = run.run(limit_s=3000)
    assert [answer.body for answer in answers] == [files[name] for name in SMALL]
    assert run.received.octets() == run.peer.stream.octets()
    assert host.count("connections_aborted") == host.count("connections_reset") == 0
    assert host.count("connections_closed") == 1


@pytest.mark.parametrize("congestion", ["cubic", "newreno"])
@pytest.mark.parametrize("network", ["clean", "2 % lost", "10 % lost", "mixed and doubled"])
@pytest.mark.parametrize("seed", [1, 5])
def test_a_large_response_arrives_whole(
    make_host: MakeHost, files: dict[str, bytes], network: str, congestion: str, seed: int
) -> None:
    host = make_host(
        idle_timeout_ns=10_000 * SECOND, time_wait_ns=SECOND, rx_frames=4096, congestion=congestion
    )
    run = Simulation(
        host, NETWORKS[network], seed, ["/b1m"], windows=[65535], server_closes=False, sizes=[536, 1460]
    )
    (answer,) = run.run(limit_s=3000)
    assert answer.body == files["b1m"]
    lossy = "lost" in network
    assert (host.count("retransmitted") > 0) >= lossy and (host.count("fast_retransmits") > 0) >= lossy
