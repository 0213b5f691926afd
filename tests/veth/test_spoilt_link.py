"""Linux as client over a link that loses, delays, doubles and corrupts: every transfer arrives whole."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.impairing import Chances
from tests.veth.serving import serving
from tests.veth.spoilt import Spoilt, spoilt_client
from tests.veth.transfers import fetch, sums

TRANSFERS = 200
PARALLEL = 50
BODY_BYTES = 1_000_000
DEADLINE_S = 180
LINKS = {
    "reordered": Chances(late=0.02),
    "doubled": Chances(twice=0.02),
    "corrupted": Chances(corrupted=0.01),
    "all of it": Chances(lost=0.01, late=0.01, twice=0.01, corrupted=0.005),
}


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


def bad_checksums(client: Spoilt) -> int:
    """Segments that the client's kernel dropped for their checksum."""
    for line in client.run(["nstat", "-asz", "TcpInCsumErrors"]).stdout.splitlines():
        if line.startswith("TcpInCsumErrors"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not count checksums")


@pytest.mark.slow
@pytest.mark.parametrize("name", LINKS)
def test_200_transfers_arrive_whole_over_a_link_that_spoils(
    pair: VethPair, tmp_path: Path, name: str
) -> None:
    body = random.Random(name).randbytes(BODY_BYTES)
    folder = tmp_path / "fetched"
    folder.mkdir()
    hosts = [str(pair.server.v4), f"[{pair.server.v6}]"]
    urls = [f"http://{hosts[number % 2]}/large.bin" for number in range(TRANSFERS)]
    with serving(pair, {"large.bin": body}) as server:
        with spoilt_client(pair, LINKS[name], seed=1) as client:
            fetch(client.run, folder, urls, parallel=PARALLEL, deadline_s=DEADLINE_S)
            theirs = bad_checksums(client)
        counted = server.counters()
    print(f"{name}: {client.counts}, sent again {counted['retransmitted']}")
    found = sums(folder)
    assert len(found) == TRANSFERS
    assert set(found.values()) == {hashlib.sha256(body).hexdigest()}
    spoilt, chances = client.counts, LINKS[name]
    assert spoilt["frames"] > TRANSFERS * 700
    for what in ("lost", "late", "twice", "corrupted"):
        assert (spoilt[what] > TRANSFERS) == (getattr(chances, what) > 0), what
    if chances.corrupted:
        assert theirs > 0 and counted["drop_tcp_checksum"] > 0, "the sums caught nothing"
