"""One source has many connections and takes of everything all it can get: what is left is for the others."""

from __future__ import annotations

import random

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND, Host
from tests.engine.peer import Peer, get_request
from tests.engine.stream import responses

BLOCKS = 32
MOST = BLOCKS // 2 + BLOCKS // 8
"""Blocks of one source: the first half is anybody's, of the second an eighth of all."""
GREEDY = 2 * BLOCKS
OTHER = bytes([10, 0, 7, 1])
V6_NEIGHBOURS = [bytes.fromhex("fd00" + "00" * 6 + f"{i:016x}") for i in range(2, 2 + GREEDY)]


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    options = dict.fromkeys(("request_buffers", "flight_blocks", "reassembly_blocks"), BLOCKS)
    return make_host(connections=256, tx_frames=4096, rx_frames=1024, **options)


def greedy(host: Host, *, version: int = 4, first_port: int = 1000) -> list[Peer]:
    """Connections of one source: an IPv4 address, or neighbours in one /64."""
    addresses = V6_NEIGHBOURS if version == 6 else [None] * GREEDY
    return [
        Peer(host, port=first_port + i, version=version, sack=True, address=address).connect()
        for i, address in enumerate(addresses)
    ]


def begin(peer: Peer) -> bool:
    """Sends the beginning of a head; whether the server took it."""
    (got,) = peer.ask("A", b"GET /b1 HT")
    peer.snd = got.ack
    return got.ack == 11


def leave_hole(peer: Peer) -> bool:
    """Sends what lies behind a hole; whether the server holds it."""
    before = peer.host.count("no_reassembly")
    peer.ask("A", get_request("/b1")[5:], seq=6)
    return peer.host.count("no_reassembly") == before


def download(peer: Peer) -> bool:
    """Asks for many segments and acknowledges none; whether a flight block keeps account of them."""
    before = peer.host.count("no_flight_block")
    peer.request("/b10k")
    peer.host.settle()
    return peer.host.count("no_flight_block") == before


TAKERS = {"request buffers": begin, "reassembly blocks": leave_hole, "flight blocks": download}


@pytest.mark.parametrize("kind", TAKERS)
@pytest.mark.parametrize("version", [4, 6])
def test_a_source_takes_half_and_an_eighth_and_another_still_finds_some(
    host: Host, kind: str, version: int
) -> None:
    take = TAKERS[kind]
    assert [take(peer) for peer in greedy(host, version=version)] == [True] * MOST + [False] * (GREEDY - MOST)
    others = [Peer(host, address=bytes([10, 0, 9, i]), sack=True).connect() for i in range(3 * BLOCKS // 8)]
    assert all(take(peer) for peer in others)


@pytest.mark.parametrize("kind", TAKERS)
def test_what_is_given_back_counts_no_more(host: Host, kind: str) -> None:
    """In any order, over and over: a source is neither locked out for good nor let in beyond its part."""
    dice = random.Random(kind)
    for turn in range(4):
        peers = greedy(host, first_port=1000 * (turn + 1))
        assert sum(TAKERS[kind](peer) for peer in peers) == MOST
        dice.shuffle(peers)
        for peer in peers:
            peer.send("R", seq=peer.snd)
            host.settle()
    assert host.engine.open_connections == 0


def test_who_has_its_part_takes_no_block_from_one_that_waits(host: Host) -> None:
    """A block without progress may be given to another, but not to the source that has the most already."""
    waiting = [Peer(host, address=bytes([10, 0, 9, i]), sack=True).connect() for i in range(3 * BLOCKS // 8)]
    hogs = greedy(host)
    taken = [hog for hog in hogs if leave_hole(hog)]
    assert all(leave_hole(peer) for peer in waiting)
    host.sleep(2000, 100)
    for hog in hogs[len(taken) :]:
        assert not leave_hole(hog)
    assert host.count("reassembly_given_up") == 0
    late = Peer(host, address=OTHER, sack=True).connect()
    assert leave_hole(late) and host.count("reassembly_given_up") == 1


def test_slow_heads_of_one_source_do_not_lock_out_a_head_in_two_segments(host: Host) -> None:
    """Slowloris from one address, as long as it likes."""
    slow = greedy(host)
    request = get_request("/b1")
    for second in range(5):
        for peer in slow:
            peer.send("A", b"X-a: b\r\n" if peer.snd > 1 else b"GET / HTTP/1.1\r\n")
            host.settle()
        honest = Peer(host, address=bytes([10, 0, 8, second])).connect()
        honest.send("A", request[:20])
        host.settle()
        honest.send("A", request[20:])
        assert responses(b"".join(got.payload for got in honest.get()))[0].status == 200
        host.now += SECOND
