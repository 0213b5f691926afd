"""The fault wrapper does to frames what it says, repeatably, and loses none of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass._probe_driver import MemoryProbe

ALWAYS = 1_000_000
RATES = st.fixed_dictionaries(
    {
        name: st.sampled_from([0, 100_000, 500_000, ALWAYS])
        for name in ("drop", "duplicate", "reorder", "corrupt")
    }
)


def _receive_all(driver: MemoryProbe, frames: list[bytes], bursts: int = 4) -> list[bytes]:
    assert all(driver.inject(frame) for frame in frames)
    received = []
    for _ in range(bursts):
        burst = driver.rx_burst()
        received += [octets for _, octets in burst]
        driver.recycle([index for index, _ in burst])
    return received


def _send_all(driver: MemoryProbe, frames: list[bytes], wakeups: int = 40) -> list[bytes]:
    assert driver.send(frames) == len(frames)
    sent = []
    for _ in range(wakeups):
        for index, octets in driver.collect():
            sent.append(octets)
            driver.complete(index)
        assert driver.wakeup() == 0
    return sent


def _bits_that_differ(a: bytes, b: bytes) -> int:
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


FRAMES = [bytes([number]) * 64 for number in range(16)]


def test_without_rates_everything_passes_in_order() -> None:
    driver = MemoryProbe(32, 32, rx_faults={})
    assert _receive_all(driver, FRAMES) == FRAMES
    assert _send_all(driver, FRAMES) == FRAMES


def test_dropped_frames_never_arrive_and_are_recycled() -> None:
    driver = MemoryProbe(32, 32, rx_faults={"drop": ALWAYS}, tx_faults={"drop": ALWAYS})
    assert _receive_all(driver, FRAMES) == []
    assert _send_all(driver, FRAMES) == []
    assert driver.pools == (32, 32)
    assert [counts["dropped"] for counts in driver.fault_counts] == [16, 16]


def test_duplicates_arrive_twice() -> None:
    driver = MemoryProbe(32, 32, rx_faults={"duplicate": ALWAYS}, tx_faults={"duplicate": ALWAYS})
    assert sorted(_receive_all(driver, FRAMES)) == sorted(FRAMES * 2)
    assert sorted(_send_all(driver, FRAMES)) == sorted(FRAMES * 2)
    assert driver.pools == (32, 32)


def test_reordered_frames_arrive_once_in_another_order() -> None:
    driver = MemoryProbe(32, 32, rx_faults={"reorder": 300_000}, tx_faults={"reorder": 300_000}, seed=7)
    received = _receive_all(driver, FRAMES)
    assert received != FRAMES
    assert sorted(received) == FRAMES
    sent = _send_all(driver, FRAMES)
    assert sent != FRAMES
    assert sorted(sent) == FRAMES


def test_corruption_flips_one_bit() -> None:
    driver = MemoryProbe(32, 32, rx_faults={"corrupt": ALWAYS}, tx_faults={"corrupt": ALWAYS})
    received = _receive_all(driver, FRAMES)
    sent = _send_all(driver, FRAMES)
    assert [_bits_that_differ(a, b) for a, b in zip(received, FRAMES, strict=True)] == [1] * 16
    assert [_bits_that_differ(a, b) for a, b in zip(sent, FRAMES, strict=True)] == [1] * 16


@pytest.mark.parametrize("seed", [1, 2, 2**63])
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    rates = {"drop": 200_000, "duplicate": 200_000, "reorder": 200_000, "corrupt": 200_000}
    runs = [
        _receive_all(MemoryProbe(32, 32, rx_faults=rates, tx_faults=rates, seed=seed), FRAMES)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != FRAMES


def test_the_rate_is_roughly_kept() -> None:
    driver = MemoryProbe(64, 1, rx_faults={"drop": 250_000}, seed=3)
    for _ in range(100):
        _receive_all(driver, [b"x" * 60] * 40, bursts=1)
    assert 800 < driver.fault_counts[0]["dropped"] < 1200


@settings(deadline=None, max_examples=60)
@given(RATES, RATES, st.integers(1, 2**64 - 1), st.lists(st.integers(0, 4), max_size=60))
def test_no_frame_is_lost_whatever_the_rates(
    rx: dict[str, int], tx: dict[str, int], seed: int, steps: list[int]
) -> None:
    driver = MemoryProbe(16, 8, rx_faults=rx, tx_faults=tx, seed=seed)
    for step in steps:
        if step == 0:
            driver.inject(b"x" * 60)
        elif step == 1:
            driver.rx_burst(5)
        elif step == 2:
            driver.send([b"y" * 60] * 3)
        elif step == 3:
            driver.submit(driver.held_indices()[:4])
            driver.wakeup()
        else:
            for index, _ in driver.collect():
                driver.complete(index)
        assert driver.lost() == 0
    driver.end_faults()
    driver.recycle(driver.held_indices())
    for _ in range(3):
        driver.recycle([index for index, _ in driver.rx_burst()])
        driver.wakeup()
        for index, _ in driver.collect():
            driver.complete(index)
    assert driver.pools == (16, 8)
