"""What a connection costs, in octets and in timers touched: 1,000,000 of them on the memory driver."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass._bench import Bench
from bypass.site.image import SiteImage, open_image
from bypass.site.output import compile_to_memfd

MANY = 1_000_000
FEW = 1_000
OCTETS_MOST = 256
"""For an established idle connection, all told (docs/limits.md)."""
PAGE = os.sysconf("SC_PAGESIZE")
SYN_ACK_TICKS = 6000
"""After so many every timer of a handshake has been looked at, 256 of them a turn."""


def resident() -> int:
    """Octets of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteImage]:
    root = tmp_path_factory.mktemp("site")
    (root / "page").write_bytes(b"x" * 1000)
    fd, _ = compile_to_memfd(root)
    with open_image(fd) as opened:
        yield opened
    os.close(fd)


@pytest.mark.slow
def test_a_million_idle_connections_fit_and_each_is_answered(image: SiteImage) -> None:
    start = resident()
    few = Bench(image.buffer, FEW)
    few.open()
    few.get(b"/page", 40_000)  # so that every frame's memory has been touched
    before = resident()
    fixed = before - start
    bench = Bench(image.buffer, MANY)
    bench.open()
    assert bench.connections == MANY
    parts = bench.memory()
    client = parts.pop("client")
    grown = (resident() - before - fixed) / (MANY - FEW) - client
    print(f"\n{MANY} connections: {sum(parts.values()):.1f} octets each by accounting, {parts}")
    print(f"{grown:.1f} octets each by resident memory, beyond an engine with {FEW} connections")
    assert sum(parts.values()) <= OCTETS_MOST
    assert grown <= OCTETS_MOST + 8  # pages of malloc, and of Python
    bench.shuffle(2)
    bench.get(b"/page", MANY)
    assert bench.answered() == MANY and bench.connections == MANY
    assert bench.frames_lost == 0


@pytest.mark.slow
def test_a_tick_touches_what_is_due_and_no_other_connection(image: SiteImage) -> None:
    """Idle for 18 minutes, of which some pass."""
    touched = {}
    for count in (FEW, MANY // 5):
        bench = Bench(image.buffer, count)
        bench.open()
        assert sum(bench.pass_time(SYN_ACK_TICKS)) == count, "the timer of the handshake, once each"
        touched[count] = bench.pass_time(100_000)
        del bench
        gc.collect()
    assert {count: sum(ticks) for count, ticks in touched.items()} == dict.fromkeys(touched, 0)
