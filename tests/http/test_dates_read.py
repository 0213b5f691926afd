"""HTTP-date in its three forms (RFC 9110 5.6.7), against Python's own calendar."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass._probe import date_parse

NOW_S = 1_000_000_000  # 2001
EXAMPLE_S = 784_111_777
SECONDS = st.integers(0, 253_402_300_799)


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_examples_of_the_rfc_are_one_second(text: str) -> None:
    assert date_parse(text.encode(), NOW_S) == EXAMPLE_S


@given(SECONDS)
def test_every_second_is_read_as_it_was_written(second: int) -> None:
    assert date_parse(formatdate(second, usegmt=True).encode(), NOW_S) == second
    moment = datetime.fromtimestamp(second, UTC)
    asctime = f"{moment:%a %b} {moment.day:2} {moment:%H:%M:%S} {moment.year:04}"
    assert date_parse(asctime.encode(), NOW_S) == second


@given(SECONDS.filter(lambda second: second < 4_000_000_000), st.integers(0, 4_000_000_000))
def test_a_two_digit_year_is_the_nearest_that_is_not_50_years_ahead(second: int, now_s: int) -> None:
    moment = datetime.fromtimestamp(second, UTC)
    found = date_parse(f"{moment:%A, %d-%b-%y %H:%M:%S} GMT".encode(), now_s)
    now_year = 1970 + now_s // 31556952
    year = now_year - now_year % 100 + moment.year % 100
    year -= 100 if year > now_year + 50 else 0
    leap = (
        moment.month == 2 and moment.day == 29 and not (year % 4 == 0 and year % 400 in (0, *range(1, 400)))
    )
    if year < 1970 or leap:
        assert found is None
    elif not (moment.month == 2 and moment.day == 29):
        assert found == int(moment.replace(year=year).timestamp())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sun",
        "Sun,",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Day, 06 Nov 1994 08:49:37 GMT",
        "Sunda, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 06 08:49:37 94",
        "784111777",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_parse(text.encode(), NOW_S) is None


@given(st.binary(max_size=40))
def test_any_octets_are_judged(octets: bytes) -> None:
    date_parse(octets, int(time.time()))


@pytest.mark.parametrize("cut", range(29))
def test_a_cut_date_is_none(cut: int) -> None:
    assert date_parse(b"Sun, 06 Nov 1994 08:49:37 GMT"[:cut], NOW_S) is None
