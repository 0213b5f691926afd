"""Internet checksum sums against arithmetic modulo 65535 (RFC 1071)."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from bypass._engine import body_sums
from bypass._probe import sum_add, sum_fold, sum_octets, sum_subtract, sum_swap

words = st.integers(min_value=0, max_value=0xFFFF)
octets = st.binary(max_size=700)


def native_sum(data: bytes) -> int:
    """Slow, one word at a time, end-around carry each time."""
    total = 0
    for (word,) in struct.iter_unpack("=H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(octets)
@example(b"")
@example(b"\xff" * 65)
@example(b"\0" * 64)
@example(b"\xff\xff")
def test_the_sum_is_that_of_its_words(data: bytes) -> None:
    assert sum_octets(data) == native_sum(data)


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
@example((1 << 64) - 1)
@example(0)
@example(0xFFFF_FFFF_0000_0000)
@example(0xFFFF_0001)
def test_folding_keeps_the_value(wide: int) -> None:
    folded = sum_fold(wide)
    assert folded % 0xFFFF == wide % 0xFFFF
    assert (folded == 0) == (wide == 0), "a sum of something is never plus zero"


@given(octets, octets)
def test_sums_of_parts_add_up_to_the_sum_of_the_whole(first: bytes, second: bytes) -> None:
    part = sum_octets(second)
    total = sum_add(sum_octets(first), sum_swap(part) if len(first) % 2 else part)
    assert total == sum_octets(first + second)


@given(words, words)
def test_subtracting_undoes_adding(a: int, b: int) -> None:
    assert sum_subtract(sum_add(a, b), b) % 0xFFFF == a % 0xFFFF


@given(words)
def test_swapping_is_the_sum_moved_by_one_octet(value: int) -> None:
    assert sum_swap(value) == (value << 8 | value >> 8) & 0xFFFF
    assert sum_swap(value) % 0xFFFF == value * 256 % 0xFFFF


@given(st.binary(max_size=400))
def test_prefix_sums_are_the_sums_of_the_prefixes(body: bytes) -> None:
    sums = memoryview(bytearray(2 * (len(body) // 64 + 1))).cast("H")
    body_sums(body, sums)
    for step, value in enumerate(sums):
        assert value == sum_octets(body[: 64 * step])
