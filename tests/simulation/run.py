"""Runs a scenario: two engines, one seed after the other; every body is checked."""

from __future__ import annotations

import os
import random
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bypass._sim import ClientEngine, Simulation
from bypass.site.image import SiteImage, open_image
from bypass.site.output import compile_to_memfd
from tests.simulation.scenarios import SCENARIOS, Scenario

SECOND = 1_000_000_000
START = 1_000_000 * SECOND
IDLE_NS = 900 * SECOND
"""Long enough that nobody is given up while a timeout backs off."""
SERVER, CLIENT = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
SERVER_MAC, CLIENT_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"


@dataclass
class Outcome:
    """What the runs of one scenario came to. Times in virtual nanoseconds."""

    scenario: Scenario
    times_ns: list[int] = field(default_factory=list)
    """Of every fetch, from its SYN to its last octet."""
    total_ns: int = 0
    """Of all runs, each from the first SYN to the last octet."""
    counted: dict[str, int] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)

    @property
    def octets(self) -> int:
        return len(self.times_ns) * self.scenario.body_bytes

    @property
    def goodput_kbps(self) -> int:
        """Kilobits a second of bodies, while a run lasted."""
        return self.octets * 8_000_000 // self.total_ns

    @property
    def fairness(self) -> int:
        """Jain's index of the flows' goodput, in thousandths (Jain, Chiu and Hawe 1984)."""
        rates = [self.scenario.body_bytes * SECOND // time for time in self.times_ns]
        return 1000 * sum(rates) ** 2 // (len(rates) * sum(rate * rate for rate in rates))

    @property
    def median_ms(self) -> int:
        return sorted(self.times_ns)[len(self.times_ns) // 2] // 1_000_000

    @property
    def worst_ms(self) -> int:
        return max(self.times_ns) // 1_000_000


@contextmanager
def site() -> Iterator[tuple[SiteImage, dict[int, int]]]:
    """A file of each size that a scenario wants, named by it; size -> CRC-32."""
    sums = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sorted({scenario.body_bytes for scenario in SCENARIOS}):
            body = random.Random(size).randbytes(size)
            Path(folder, f"{size}.bin").write_bytes(body)
            sums[size] = zlib.crc32(body)
        fd, _ = compile_to_memfd(Path(folder))
    try:
        with open_image(fd) as image:
            yield image, sums
    finally:
        os.close(fd)


def simulate(image: SiteImage, scenario: Scenario, seed: int, *, target: bytes = SERVER) -> Simulation:
    """One run, made but not begun."""
    to_client, to_server = scenario.ways()
    request = f"GET /{scenario.body_bytes}.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()
    client = ClientEngine(
        address=CLIENT,
        target=target,
        target_port=80,
        mac=CLIENT_MAC,
        target_mac=SERVER_MAC,
        request=request,
        secret=bytes(range(16)),
        now_ns=START,
        connections=scenario.flows,
        idle_timeout_ns=IDLE_NS,
        window=scenario.window_bytes,
        ecn=scenario.ecn,
        frames=4096,
    )
    return Simulation(
        image=image.buffer,
        client=client,
        seed=seed,
        now_ns=START,
        secret=bytes(range(32)),
        to_client=to_client,
        to_server=to_server,
        congestion=scenario.congestion,
        idle_timeout_ns=IDLE_NS,
    )


def run(image: SiteImage, scenario: Scenario, crc32: int) -> Outcome:
    """AssertionError: a body did not arrive as it is."""
    outcome = Outcome(scenario)
    for seed in range(scenario.runs):
        simulation = simulate(image, scenario, 1000 * seed)
        outcome.total_ns += simulation.run(
            scenario.flows, scenario.limit_s * SECOND, round(scenario.spacing_ms * 1_000_000)
        )
        for fetch in simulation.fetches():
            where = f"{scenario.name}, seed {seed}: {fetch}"
            assert (fetch["state"], fetch["status"]) == ("done", 200), where
            assert (fetch["body_bytes"], fetch["crc32"]) == (scenario.body_bytes, crc32), where
            outcome.times_ns.append(fetch["ended_ns"] - fetch["started_ns"])
        _add(outcome.counted, simulation.counters())
        for way, counts in simulation.links().items():
            _add(outcome.links, {f"{way} {name}": value for name, value in counts.items()})
    return outcome


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value
