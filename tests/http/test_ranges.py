"""The Range field (RFC 9110 14.1.2), against a reading of the grammar with a regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass._probe import range_parse

_SPEC = re.compile(r"(\d+)-(\d*)|-(\d+)")


def expected(text: str, whole: int) -> object:
    if text[:6].lower() != "bytes=":
        return "IGNORED"
    specs = [spec for part in text[6:].split(",") if (spec := part.strip(" \t"))]
    found = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None or (match[1] and match[2] and int(match[2]) < int(match[1])):
            return "IGNORED"
        if match[3] is not None:
            octets = min(int(match[3]), whole)
            first = whole - octets
        else:
            first = int(match[1])
            octets = min(int(match[2]) + 1 if match[2] else whole, whole) - first
        if octets > 0:
            found.append((first, octets))
    if not specs or len(specs) > 64:
        return "IGNORED"
    parts = joined(found)
    return parts or "UNSATISFIABLE" if len(parts) <= 32 else "IGNORED"


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that overlap or touch as one, in the place of the first of them."""
    parts: list[tuple[int, int]] = []
    for first, octets in ranges:
        near = [
            at for at, (other, size) in enumerate(parts) if other <= first + octets and first <= other + size
        ]
        while near:
            together = [parts[at] for at in near] + [(first, octets)]
            first = min(start for start, _ in together)
            octets = max(start + size for start, size in together) - first
            for at in reversed(near[1:]):
                del parts[at]
            parts[near[0]] = (first, octets)
            others = [at for at, (other, size) in enumerate(parts) if at != near[0]]
            again = [
                at for at in others if parts[at][0] <= first + octets and first <= parts[at][0] + parts[at][1]
            ]
            near = sorted([*again, near[0]]) if again else []
            if not again:
                break
        else:
            parts.append((first, octets))
    return parts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 500)]),
        ("bytes=-500", [(9500, 500)]),
        ("bytes=9500-", [(9500, 500)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=9999-", [(9999, 1)]),
        ("bytes=0-", [(0, 10000)]),
        ("bytes=-20000", [(0, 10000)]),
        ("bytes=9000-99999999999999999999999", [(9000, 1000)]),
        ("BYTES=1-2", [(1, 2)]),
        ("bytes= 1-2 , ,", [(1, 2)]),
        ("bytes=20000-, 5-6", [(5, 2)]),
        ("bytes=10000-", "UNSATISFIABLE"),
        ("bytes=-0", "UNSATISFIABLE"),
        ("bytes=99999999999999999999999-", "UNSATISFIABLE"),
        ("bytes=0-0,2-2", [(0, 1), (2, 1)]),
        ("bytes=5-6,0-1", [(5, 2), (0, 2)]),
        ("bytes=0-1,2-3", [(0, 4)]),
        ("bytes=0-1,10-11,1-9", [(0, 12)]),
        ("bytes=8-9,0-1,5-6,1-8", [(0, 10)]),
        ("bytes=20-21,10-11,9-", [(9, 9991)]),
        ("bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(33)), "IGNORED"),
        ("bytes=2-1", "IGNORED"),
        ("bytes=", "IGNORED"),
        ("bytes", "IGNORED"),
        ("bytes=-", "IGNORED"),
        ("bytes=a-b", "IGNORED"),
        ("bytes=1 -2", "IGNORED"),
        ("bytes=1-2x", "IGNORED"),
        ("bytes=1", "IGNORED"),
        ("items=0-1", "IGNORED"),
        ("bytes=" + "1-2," * 65, "IGNORED"),
    ],
)
def test_a_field_names_what_the_rfc_says(text: str, answer: object) -> None:
    assert range_parse(text.encode(), 10000) == answer == expected(text, 10000)


@given(st.text("bytes=0123456789-, \t", max_size=24), st.sampled_from([0, 1, 2, 10, 10**12]))
def test_any_text_is_read_as_the_grammar_says(text: str, whole: int) -> None:
    for field in (text, "bytes=" + text):
        assert range_parse(field.encode(), whole) == expected(field, whole)


@given(st.integers(0, 10**20), st.integers(0, 10**20), st.sampled_from([0, 1, 1000, 2**40]))
def test_any_two_numbers_are_read(first: int, last: int, whole: int) -> None:
    for text in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        if max(first, last) < 10**17 or "-" in (text[-1], text[6]):
            assert range_parse(text.encode(), whole) == expected(text, whole)
        else:
            range_parse(text.encode(), whole)
