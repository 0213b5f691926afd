"""Linux as peer while packets are lost at random in both directions: every transfer arrives whole."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.serving import serving
from tests.veth.transfers import fetch, sums
from tests.veth.tuning import dropped, lose, no_offloads

TRANSFERS = 200
PARALLEL = 100
BODY_BYTES = 1_000_000
DEADLINE_S = 120


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


def run_transfers(pair: VethPair, folder: Path, percent: int, **options: object) -> None:
    body = random.Random(percent).randbytes(BODY_BYTES)
    hosts = [str(pair.server.v4), f"[{pair.server.v6}]"]
    urls = [f"http://{hosts[number % 2]}/large.bin" for number in range(TRANSFERS)]
    if percent:
        no_offloads(pair)
        lose(pair, percent)
    with serving(pair, {"large.bin": body}, **options) as server:
        fetch(pair.run, folder, urls, parallel=PARALLEL, deadline_s=DEADLINE_S)
        counted = server.counters()
    found = sums(folder)
    assert len(found) == TRANSFERS
    assert set(found.values()) == {hashlib.sha256(body).hexdigest()}
    if percent:
        arriving, leaving = dropped(pair)
        assert arriving > TRANSFERS and leaving > 0, "the link lost nothing"
        assert counted["retransmitted"] >= arriving // 2


@pytest.mark.parametrize("percent", [0, 1, 5, 10])
def test_200_transfers_arrive_whole_when_packets_are_lost(
    pair: VethPair, tmp_path: Path, percent: int
) -> None:
    run_transfers(pair, tmp_path, percent)


def test_newreno_recovers_too(pair: VethPair, tmp_path: Path) -> None:
    run_transfers(pair, tmp_path, 5, congestion="newreno")
