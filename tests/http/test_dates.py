"""The Date value is what the standard library writes, and its sums are its own."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from bypass._probe import date_make, sum_octets

LAST = 2**32 - 1  # 2106-02-07
DAY = 86400

EDGES = [0, 1, 59, 60, 3599, 3600, DAY - 1, DAY, LAST, LAST - 1, 2**31 - 1, 2**31]
EDGES += [
    int(datetime(year, month, day, tzinfo=UTC).timestamp()) + offset
    for year in (1972, 1999, 2000, 2001, 2004, 2026, 2038, 2096, 2100, 2104)
    for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
    for offset in (-1, 0, DAY - 1, DAY)
]


def expected(second: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True).encode()


@pytest.mark.parametrize("second", EDGES)
def test_the_edges_of_days_months_and_years(second: int) -> None:
    assert date_make(second)[0] == expected(second)


def test_every_day_up_to_2106() -> None:
    rng = random.Random(5)
    for day in range(LAST // DAY + 1):
        second = min(day * DAY + rng.randrange(DAY), LAST)
        assert date_make(second)[0] == expected(second)


def test_every_minute_and_second_of_a_day() -> None:
    for second in range(1_000_000_000, 1_000_000_000 + DAY, 7):
        assert date_make(second)[0] == expected(second)


def test_the_sums_are_those_of_the_text_at_an_even_and_at_an_odd_place() -> None:
    for second in range(0, LAST, LAST // 500):
        text, even, odd = date_make(second)
        assert even == sum_octets(text)
        assert odd == sum_octets(b"\0" + text)
