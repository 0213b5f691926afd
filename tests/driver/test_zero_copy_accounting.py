"""Frames in zero-copy mode: completions come late and in any order, wakeups fail while a driver resets, and
no frame is ever lost."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from bypass._probe_driver import RingsProbe

FRAMES = 16


@pytest.fixture
def driver() -> Iterator[RingsProbe]:
    kernel_end, driver_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with kernel_end, driver_end:
        yield RingsProbe(
            driver_end.fileno(),
            rx_frames=FRAMES,
            tx_frames=FRAMES,
            rx_entries=FRAMES,
            tx_entries=FRAMES,
            zero_copy=True,
        )


@pytest.mark.parametrize("seed", range(20))
def test_completions_may_be_late_and_in_any_order(driver: RingsProbe, seed: int) -> None:
    chance = random.Random(seed)
    buffers: list[int] = []
    under_way: list[int] = []
    for _ in range(2000):
        for index, _octets in driver.rx_burst(chance.randrange(1, 8)):
            if chance.random() < 0.5 or driver.submit([index]) == 0:
                driver.recycle([index])
        for index in driver.alloc(chance.randrange(4)):
            driver.write(index, b"x" * 60)
            if driver.submit([index]) == 0:
                driver.recycle([index])
        while chance.random() < 0.6 and (address := driver.kernel_take_buffer()) is not None:
            buffers.append(address)
        while buffers and chance.random() < 0.6:
            assert driver.kernel_deliver(buffers.pop(chance.randrange(len(buffers))) + 256, 60)
        while chance.random() < 0.6 and (sent := driver.kernel_take_tx()) is not None:
            under_way.append(sent[0])
        while under_way and chance.random() < 0.4:
            driver.kernel_complete(under_way.pop(chance.randrange(len(under_way))))
        assert driver.wakeup() == 0
        assert driver.lost() == 0
    assert driver.stats["tx_completed"] > 1000
    while (sent := driver.kernel_take_tx()) is not None:
        under_way.append(sent[0])
    for address in under_way:
        driver.kernel_complete(address)
        assert driver.wakeup() == 0
    driver.rx_burst(0)
    assert driver.outstanding == 0
    assert driver.pools[1] == FRAMES
    assert driver.pools[0] + driver.lent == FRAMES
