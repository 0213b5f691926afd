"""Our parser beside h11 and llhttp: the same requests and damaged requests, by a fixed seed.

What we accept the others accept, with the same method, target, framing and end. Every other case falls
into a class that is named and explained.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.http.disagreements import LOOSER, STRICTER
from tests.http.generate import damaged
from tests.http.oracles import Reading, h11_reads, httptools_reads, ours, ours_octet_by_octet

REQUESTS = 12_000
BEHIND = b"GET /behind HTTP/1.1\r\nHost: s\r\n\r\n"
ORACLES: dict[str, Callable[[bytes], Reading]] = {"h11": h11_reads, "llhttp": httptools_reads}


@pytest.fixture(scope="module")
def samples() -> list[tuple[bytes, Reading]]:
    rng = random.Random(20)
    octets = [damaged(rng) + BEHIND for _ in range(REQUESTS)]
    return [(data, ours(data)) for data in octets]


def looser(data: bytes, oracle: str) -> list[str]:
    return [what for what, told, who in LOOSER if oracle in who and told(data)]


def stricter(data: bytes) -> list[str]:
    return [what for what, told in STRICTER if told(data)]


def test_octet_by_octet_everything_is_read_the_same(samples: list[tuple[bytes, Reading]]) -> None:
    for data, reading in samples:
        assert ours_octet_by_octet(data) == reading, data


def test_what_lies_behind_a_request_is_not_needed_to_read_it(samples: list[tuple[bytes, Reading]]) -> None:
    """And, the other way round, nothing behind it changes it: the samples have a second request there."""
    accepted = [(data, reading) for data, reading in samples if reading.accepted]
    for data, reading in accepted:
        assert ours(data[: reading.end]) == reading, data
        assert not ours(data[: reading.end - 1]).accepted, data
    assert len(accepted) > REQUESTS // 20


@pytest.mark.parametrize("oracle", ORACLES)
def test_what_we_accept_is_read_the_same_by_others(oracle: str, samples: list[tuple[bytes, Reading]]) -> None:
    agreed = 0
    for data, reading in samples:
        if not reading.accepted:
            continue
        other = ORACLES[oracle](data)
        if other.accepted:
            assert other == reading, data
            agreed += 1
        else:
            assert looser(data, oracle), f"{oracle} refuses {data!r}"
    assert agreed > REQUESTS // 20


@pytest.mark.parametrize("oracle", ORACLES)
def test_what_others_accept_and_we_refuse_has_a_named_reason(
    oracle: str, samples: list[tuple[bytes, Reading]]
) -> None:
    explained = 0
    for data, reading in samples:
        if not reading.accepted and ORACLES[oracle](data).accepted:
            assert stricter(data), f"{oracle} reads {data!r}"
            explained += 1
    assert explained > REQUESTS // 100


def _disagreements(samples: list[tuple[bytes, Reading]]) -> Iterator[str]:
    for data, reading in samples:
        for oracle, read in ORACLES.items():
            if read(data).accepted != reading.accepted:
                yield from looser(data, oracle) if reading.accepted else stricter(data)


def test_every_named_class_is_met(samples: list[tuple[bytes, Reading]]) -> None:
    met = Counter(_disagreements(samples))
    assert set(met) == {what for what, *_ in [*LOOSER, *STRICTER]}
