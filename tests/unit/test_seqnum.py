"""Sequence numbers compare around the end of 32 bits (RFC 9293 3.4)."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bypass._probe import seq_in, seq_le, seq_lt, seq_max

MODULUS = 1 << 32
numbers = st.integers(min_value=0, max_value=MODULUS - 1)
near = st.integers(min_value=1, max_value=(1 << 31) - 1)


@given(numbers, near)
@example(MODULUS - 1, 1)
@example((1 << 31) - 1, 1)
@example(0, (1 << 31) - 1)
def test_a_number_comes_before_what_lies_ahead_of_it(a: int, ahead: int) -> None:
    b = (a + ahead) % MODULUS
    assert seq_lt(a, b) and not seq_lt(b, a)
    assert seq_le(a, b) and not seq_le(b, a)
    assert seq_max(a, b) == seq_max(b, a) == b


@given(numbers)
def test_a_number_does_not_come_before_itself(a: int) -> None:
    assert not seq_lt(a, a)
    assert seq_le(a, a)
    assert seq_max(a, a) == a


@given(numbers, st.integers(min_value=0, max_value=1 << 31), st.integers(min_value=0, max_value=1 << 31))
@example(MODULUS - 2, 4, 3)
@example(MODULUS - 2, 4, 4)
@example(5, 0, 0)
def test_a_window_holds_size_numbers_from_its_start(start: int, size: int, offset: int) -> None:
    assert seq_in((start + offset) % MODULUS, start, size) == (offset < size)


@given(numbers)
def test_what_lies_before_a_window_is_not_in_it(start: int) -> None:
    assert not seq_in((start - 1) % MODULUS, start, 1 << 31)
