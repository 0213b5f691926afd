"""Single behaviours of the AF_XDP driver over rings in plain memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from bypass._probe_driver import RingsProbe

FRAME_BYTES = 2048


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    kernel_end, driver_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    kernel_end.setblocking(False)
    with kernel_end, driver_end:
        yield kernel_end, driver_end


@pytest.fixture
def driver(ends: tuple[socket.socket, socket.socket]) -> RingsProbe:
    return RingsProbe(ends[1].fileno(), rx_frames=4, tx_frames=4, rx_entries=4, tx_entries=4)


def test_a_burst_refills_the_fill_ring_before_it_hands_out_frames(driver: RingsProbe) -> None:
    assert driver.pools == (4, 4)
    assert driver.rx_burst() == []
    assert driver.pools == (0, 4)
    assert driver.lent == 4
    assert [driver.kernel_take_buffer() for _ in range(5)] == [0, 2048, 4096, 6144, None]


@pytest.mark.parametrize(
    ("address", "octets"),
    [(8 * FRAME_BYTES, 60), (2**63, 60), (FRAME_BYTES - 10, 60), (256, 2048), (4 * FRAME_BYTES + 256, 60)],
    ids=["behind the memory", "far away", "across two frames", "too long", "in the TX pool"],
)
def test_a_descriptor_that_points_outside_its_frame_is_dropped_and_counted(
    driver: RingsProbe, address: int, octets: int
) -> None:
    driver.rx_burst()
    good = [driver.kernel_take_buffer() for _ in range(2)]
    assert driver.kernel_deliver(address, octets)
    assert driver.kernel_deliver(good[1] + 256, 60)
    received = driver.rx_burst()
    assert [index for index, _ in received] == [1]
    assert driver.stats["rx_bad_descriptor"] == 1
    assert driver.stats["rx_frames"] == 1


def test_a_bad_descriptor_of_a_known_frame_returns_it_to_the_pool(driver: RingsProbe) -> None:
    driver.rx_burst()
    address = driver.kernel_take_buffer()
    assert driver.kernel_deliver(address + 256, FRAME_BYTES)
    assert driver.rx_burst() == []
    assert driver.lost() == 0
    assert driver.pools[0] == 1


def test_a_burst_gives_no_more_frames_than_asked_for(driver: RingsProbe) -> None:
    driver.rx_burst()
    for _ in range(4):
        assert driver.kernel_deliver(driver.kernel_take_buffer() + 256, 60)
    assert [len(driver.rx_burst(most)) for most in (1, 2, 64)] == [1, 2, 1]


def test_an_empty_ring_is_kicked_only_where_the_kernel_asks(driver: RingsProbe) -> None:
    driver.rx_burst()
    assert driver.stats["rx_kicks"] == 0
    driver.kernel_flags(fill=True, tx=False)
    driver.rx_burst()
    assert driver.stats["rx_kicks"] == 1


def test_no_more_frames_are_under_way_than_the_completion_ring_holds(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    driver = RingsProbe(ends[1].fileno(), rx_frames=4, tx_frames=8, rx_entries=4, tx_entries=4)
    indices = driver.alloc(8)
    for index in indices:
        driver.write(index, b"x" * 60)
    assert driver.submit(indices) == 4
    assert driver.stats["tx_ring_full"] == 4
    taken = [driver.kernel_take_tx()[0] for _ in range(4)]
    assert driver.submit(indices[4:]) == 0, "the TX ring is free, the completions are not in"
    driver.kernel_complete(taken[2])
    assert driver.submit(indices[4:]) == 1
    assert driver.lost() == 0


def test_alloc_collects_completions_when_the_pool_is_short(driver: RingsProbe) -> None:
    indices = driver.alloc(4)
    for index in indices:
        driver.write(index, b"x" * 60)
    assert driver.submit(indices) == 4
    assert driver.alloc(1) == []
    assert driver.stats["alloc_failed"] == 1
    driver.kernel_complete(driver.kernel_take_tx()[0])
    assert driver.alloc(2) == [indices[0]]


def test_a_received_frame_that_was_turned_around_completes_into_the_rx_pool(driver: RingsProbe) -> None:
    driver.rx_burst()
    assert driver.kernel_deliver(driver.kernel_take_buffer() + 256, 60)
    ((index, _),) = driver.rx_burst()
    assert driver.submit([index]) == 1
    address, octets, _ = driver.kernel_take_tx()
    assert (address, len(octets)) == (256, 60)
    driver.kernel_complete(address)
    assert driver.wakeup() == 0
    assert driver.pools == (1, 4)


def test_a_fresh_frame_starts_where_a_received_one_does(driver: RingsProbe) -> None:
    (index,) = driver.alloc(1)
    driver.write(index, b"x" * 60)
    assert driver.submit([index]) == 1
    address, _, _ = driver.kernel_take_tx()
    assert address == index * FRAME_BYTES + 256
    assert driver.capacity == FRAME_BYTES - 256


def test_a_full_socket_buffer_means_later_and_not_dead(driver: RingsProbe) -> None:
    driver.kernel_flags(fill=False, tx=True)
    (index,) = driver.alloc(1)
    driver.write(index, b"x" * 60)
    assert driver.submit([index]) == 1
    while driver.stats["wakeup_busy"] == 0:  # each wakeup leaves one datagram, until the queue is full
        assert driver.wakeup() == 0
        assert driver.stats["wakeup_calls"] < 1000
    assert driver.stats["wakeup_failed"] == 0


def test_a_dead_socket_is_reported(driver: RingsProbe) -> None:
    driver.kernel_flags(fill=False, tx=True)
    (index,) = driver.alloc(1)
    driver.write(index, b"x" * 60)
    assert driver.submit([index]) == 1
    driver.break_socket()
    assert driver.wakeup() < 0
    assert driver.stats["wakeup_failed"] == 1


def test_preferred_busy_polling_is_given_up_when_nothing_completes(driver: RingsProbe) -> None:
    driver.prefer_busy_poll = True
    (index,) = driver.alloc(1)
    driver.write(index, b"x" * 60)
    assert driver.submit([index]) == 1
    for _ in range(4095):
        assert driver.wakeup() == 0
    assert driver.prefer_busy_poll
    assert driver.wakeup() == 0
    assert not driver.prefer_busy_poll


def test_preferred_busy_polling_stays_while_frames_complete(driver: RingsProbe) -> None:
    driver.prefer_busy_poll = True
    for _ in range(3):
        (index,) = driver.alloc(1)
        driver.write(index, b"x" * 60)
        assert driver.submit([index]) == 1
        for _ in range(4000):
            assert driver.wakeup() == 0
        driver.kernel_complete(driver.kernel_take_tx()[0])
        assert driver.wakeup() == 0
    assert driver.prefer_busy_poll
