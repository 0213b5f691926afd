"""Drivers that give sent frames back late and by lumps, at lengths of time that change under load.

tests/driver proves the accounting with completions in any order; here a real driver is slow.
"""

from __future__ import annotations

import random
import time

import pytest

from tests.vm.netlab import GuestLab, Wire
from tests.vm.serving import GuestServer, fetch, in_background, load, serving

ROUNDS = 12
MOST_LATE_US = 8000
LARGE_BYTES = 1_000_000
FRAMES_LEAST = 600
"""Of one large file: 691 segments."""


@pytest.mark.parametrize("lab", ["igb"], indirect=True)
def test_interrupts_held_back_at_random(lab: GuestLab) -> None:
    """igb frees sent frames in its interrupt, which `ethtool -C` puts off by up to 10 ms."""
    chance = random.Random(5)
    try:
        with serving(lab, "--zero-copy") as server, in_background(lab, lab.wire, "/large.bin"):
            for _ in range(ROUNDS):
                late_us = chance.randrange(10, MOST_LATE_US)
                lab.guest(f"ethtool -C eth0 rx-usecs {late_us} tx-usecs {chance.randrange(10, MOST_LATE_US)}")
                time.sleep(chance.random() / 5)
            assert load(lab, lab.wire.url(), connections=32, seconds=1).errors == 0
            assert len(fetch(lab, lab.wire.url(path="/large.bin"), "--max-time", "60")) == LARGE_BYTES
            account = server.stop()
        assert account.lost == 0
    finally:
        lab.guest("ethtool -C eth0 rx-usecs 3 tx-usecs 3")
    assert sum(account.sent.values()) > FRAMES_LEAST


SLOW_CARD = 1


@pytest.mark.parametrize("lab", ["virtio"], indirect=True)
def test_a_device_that_sends_by_the_clock_and_restarts_meanwhile(lab: GuestLab) -> None:
    """The device looks at what it was given milliseconds later; stopping falls into that time, too."""
    wire: Wire = lab.wires[SLOW_CARD]
    with in_background(lab, wire, "/large.bin"):
        for _ in range(3):
            server = GuestServer(lab, "--zero-copy", "--drain-timeout", "0", wire=wire)
            assert "zero-copy" in server.wait_until_serving()
            assert len(fetch(lab, wire.url(path="/large.bin"), "--max-time", "60")) == LARGE_BYTES
            account = server.stop()
            assert account.lost == 0
            assert sum(account.sent.values()) > FRAMES_LEAST
    with serving(lab, "--zero-copy", wire=wire) as server:
        assert load(lab, wire.url(), connections=32, seconds=1).errors == 0
        assert server.stop().lost == 0
