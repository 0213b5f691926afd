"""Linux as peer while packets are lost at random in both directions: every transfer arrives whole."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.serving import serving

TRANSFERS = 200
PARALLEL = 100
BODY_BYTES = 1_000_000
DEADLINE_S = 120
RULES = """
table inet loss {{
    chain arriving {{
        type filter hook prerouting priority -300;
        iifname "{ifname}" numgen random mod 100 < {percent} counter drop
    }}
    chain leaving {{
        type filter hook output priority -300;
        oifname "{ifname}" numgen random mod 100 < {percent} counter drop
    }}
}}
"""


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


def lose(pair: VethPair, percent: int) -> None:
    """Of packets to and from the client, at random. GSO off: else one drop takes 64 KB of segments."""
    name = pair.client.ifname
    done = pair.run(["ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off"])
    assert done.returncode == 0, done.stderr
    done = pair.run(["nft", "-f", "-"], input=RULES.format(ifname=name, percent=percent))
    assert done.returncode == 0, done.stderr


def dropped(pair: VethPair) -> list[int]:
    """Packets that each of the two chains dropped."""
    words = pair.run(["nft", "list", "table", "inet", "loss"]).stdout.split()
    return [int(words[place + 1]) for place, word in enumerate(words) if word == "packets"]


def fetch(pair: VethPair, folder: Path) -> dict[str, str]:
    """TRANSFERS with a connection each, IPv4 and IPv6 by turns; file name -> SHA-256."""
    lines = ["parallel", f"parallel-max = {PARALLEL}", "parallel-immediate", "fail", "silent", "show-error"]
    for number in range(TRANSFERS):
        host = f"[{pair.server.v6}]" if number % 2 else str(pair.server.v4)
        lines += [f'url = "http://{host}/large.bin"', f'output = "{folder / str(number)}"']
        lines += [f"max-time = {DEADLINE_S}", 'header = "Connection: close"', "next"]
    script = folder / "curl.conf"
    script.write_text("\n".join(lines[:-1]) + "\n")
    done = pair.run(["timeout", str(DEADLINE_S), "curl", "--config", str(script)])
    script.unlink()
    assert done.returncode == 0, done.stderr
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def run_transfers(pair: VethPair, folder: Path, percent: int, **options: object) -> None:
    body = random.Random(percent).randbytes(BODY_BYTES)
    if percent:
        lose(pair, percent)
    with serving(pair, {"large.bin": body}, **options) as server:
        sums = fetch(pair, folder)
        counted = server.counters()
    assert len(sums) == TRANSFERS
    assert set(sums.values()) == {hashlib.sha256(body).hexdigest()}
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
