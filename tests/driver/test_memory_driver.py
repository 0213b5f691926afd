"""The in-memory driver keeps the contract: pools, bursts, order, accounting."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass._probe_driver import MemoryProbe

RX_FRAMES = 8
TX_FRAMES = 4


@pytest.fixture
def driver() -> MemoryProbe:
    return MemoryProbe(RX_FRAMES, TX_FRAMES)


def test_injected_frames_arrive_in_order_with_their_octets(driver: MemoryProbe) -> None:
    frames = [bytes([number]) * (60 + number) for number in range(5)]
    assert all(driver.inject(frame) for frame in frames)
    assert [octets for _, octets in driver.rx_burst()] == frames


def test_injection_is_refused_and_counted_when_the_rx_pool_is_empty(driver: MemoryProbe) -> None:
    assert all(driver.inject(b"x" * 60) for _ in range(RX_FRAMES))
    assert not driver.inject(b"x" * 60)
    assert driver.inject_refused == 1
    received = driver.rx_burst()
    assert len(received) == RX_FRAMES
    assert not driver.inject(b"x" * 60), "frames in the worker's hands are not free"
    driver.recycle([received[0][0]])
    assert driver.inject(b"x" * 60)


def test_a_frame_that_does_not_fit_is_refused(driver: MemoryProbe) -> None:
    assert driver.inject(b"x" * driver.capacity)
    assert not driver.inject(b"x" * (driver.capacity + 1))
    assert not driver.inject(b"")
    assert driver.inject_refused == 2


def test_a_burst_hands_out_at_most_sixty_four_frames() -> None:
    driver = MemoryProbe(100, 1)
    assert all(driver.inject(b"x") for _ in range(100))
    assert [len(driver.rx_burst(1000)), len(driver.rx_burst(1000))] == [64, 36]


def test_frames_leave_only_after_a_wakeup(driver: MemoryProbe) -> None:
    (index,) = driver.alloc(1)
    driver.write(index, b"hello")
    assert driver.submit([index]) == 1
    assert driver.collect() == []
    assert driver.wakeup() == 0
    assert driver.collect() == [(index, b"hello")]


def test_a_slow_peer_cannot_take_the_rx_pool(driver: MemoryProbe) -> None:
    assert len(driver.alloc(64)) == TX_FRAMES
    assert driver.alloc(1) == []
    assert driver.stats["alloc_failed"] == 1
    assert driver.inject(b"x")
    assert len(driver.rx_burst()) == 1


def test_completed_frames_return_to_the_pool_they_came_from(driver: MemoryProbe) -> None:
    assert driver.inject(b"ping")
    ((turned, _),) = driver.rx_burst()
    (fresh,) = driver.alloc(1)
    driver.write(fresh, b"pong")
    assert driver.submit([turned, fresh]) == 2
    assert driver.wakeup() == 0
    assert [index for index, _ in driver.collect()] == [turned, fresh]
    assert driver.lost() == 0
    driver.complete(fresh)
    assert driver.pools == (RX_FRAMES - 1, TX_FRAMES)
    driver.complete(turned)
    assert driver.pools == (RX_FRAMES, TX_FRAMES)


def test_a_frame_that_is_returned_too_often_is_refused_and_counted(driver: MemoryProbe) -> None:
    driver.complete(0)
    assert driver.refused == 1
    assert driver.pools == (RX_FRAMES, TX_FRAMES)


@pytest.mark.parametrize("sizes", [(0, 1, 2048), (1, 0, 2048), (1, 1, 1000), (1, 1, 8192), (2**31, 1, 2048)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        MemoryProbe(*sizes)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 8)), max_size=80))
def test_no_sequence_of_bursts_loses_a_frame(steps: list[tuple[int, int]]) -> None:
    driver = MemoryProbe(RX_FRAMES, TX_FRAMES)
    wire: list[int] = []
    for step, count in steps:
        if step == 0:
            for _ in range(count):
                driver.inject(b"x" * 60)
        elif step == 1:
            driver.rx_burst(count)
        elif step == 2:
            for index in driver.alloc(count):
                driver.write(index, b"y" * 60)
        elif step == 3:
            driver.submit(driver.held_indices()[:count])
            driver.wakeup()
        elif step == 4:
            wire += [index for index, _ in driver.collect(count)]
        else:
            driver.recycle(driver.held_indices()[:count])
            for _ in range(min(count, len(wire))):
                driver.complete(wire.pop())
        assert driver.lost() == 0
        assert driver.refused == 0
