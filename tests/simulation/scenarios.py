"""The paths of the simulation, each with what is fetched over it.

Rates are what the link sends, headers included; delays are one way; a queue drops what comes when it is full.
Loss, reordering, duplication and corruption are the same in both directions unless said.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MS = 1_000_000
PERCENT = 10_000
"""In millionths."""
MB = 1_000_000
BDP = 250_000
"""Octets under way on the ordinary path: 100 Mbit/s, 20 ms there and back."""


@dataclass(frozen=True)
class Scenario:
    """`runs` seeds, each with `flows` connections that fetch one body each over the same path."""

    name: str
    body_bytes: int = 2 * MB
    rate_mbps: int = 100
    delay_ms: float = 10
    queue_bytes: int = BDP
    both: dict[str, int] = field(default_factory=dict)
    """Settings of both ways."""
    down: dict[str, int] = field(default_factory=dict)
    """Settings of the way to the client alone."""
    flows: int = 1
    runs: int = 1
    spacing_ms: float = 0
    limit_s: int = 600
    window_bytes: int = 1 << 20
    congestion: str = "cubic"
    ecn: bool = False

    def ways(self) -> tuple[dict[str, int], dict[str, int]]:
        """To the client, to the server."""
        path = {
            "rate_bps": self.rate_mbps * 1_000_000,
            "delay_ns": round(self.delay_ms * MS),
            "queue_bytes": self.queue_bytes,
            **self.both,
        }
        return {**path, **self.down}, path


def lost(percent: float) -> dict[str, int]:
    return {"loss_ppm": round(percent * PERCENT)}


SCENARIOS = (
    Scenario("clean"),
    *(Scenario(f"{percent:g} % lost", both=lost(percent), runs=10) for percent in (0.1, 1, 5, 10, 20)),
    Scenario("1 % lost, NewReno", both=lost(1), runs=10, congestion="newreno"),
    Scenario("lost in bursts", both={"bad_ppm": 2000, "good_ppm": 200_000, "bad_loss_ppm": 600_000}, runs=10),
    Scenario("300 ms", delay_ms=150, queue_bytes=4_000_000, window_bytes=1 << 23, body_bytes=10 * MB),
    Scenario("300 ms, 1 % lost", delay_ms=150, both=lost(1), window_bytes=1 << 23, runs=5),
    Scenario("bufferbloat", rate_mbps=10, queue_bytes=1_250_000, window_bytes=1 << 22, body_bytes=4 * MB),
    Scenario("marked (ECN)", down={"mark_bytes": 60_000}, ecn=True, body_bytes=10 * MB),
    Scenario("shallow queue", queue_bytes=15_000, runs=3),
    Scenario("large packets vanish", down={"largest": 1300}, runs=3),
    Scenario("reordered", both={"reorder_ppm": 2 * PERCENT, "late_ns": 3 * MS}, runs=10),
    Scenario("reordered far", both={"reorder_ppm": 2 * PERCENT, "late_ns": 30 * MS}, runs=10),
    Scenario("duplicated", both={"duplicate_ppm": 5 * PERCENT}, runs=5),
    Scenario("corrupted", both={"corrupt_ppm": 1 * PERCENT}, runs=10),
    Scenario(
        "all at once",
        both={
            **lost(1),
            "reorder_ppm": 2 * PERCENT,
            "late_ns": 3 * MS,
            "duplicate_ppm": 2 * PERCENT,
            "corrupt_ppm": 5000,
        },
        runs=10,
    ),
    Scenario("next door", rate_mbps=1000, delay_ms=0.05, queue_bytes=MB, body_bytes=MB, runs=20),
    *(
        Scenario(
            f"next door, {percent} % lost",
            rate_mbps=1000,
            delay_ms=0.05,
            queue_bytes=MB,
            both=lost(percent),
            body_bytes=MB,
            runs=50,
        )
        for percent in (1, 5)
    ),
    Scenario("2 share", flows=2, spacing_ms=100, body_bytes=20 * MB),
    Scenario("100 share", flows=100, spacing_ms=1, body_bytes=MB),
    Scenario("100 share, NewReno", flows=100, spacing_ms=1, body_bytes=MB, congestion="newreno"),
)
