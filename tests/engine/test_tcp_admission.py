"""Who is let in when it is tight: connections per source, and room in a full table."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND, Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.stream import responses

V6_NEIGHBOURS = [bytes.fromhex("fd00" + "00" * 6 + f"{i:016x}") for i in range(2, 12)]
V6_ELSEWHERE = bytes.fromhex("fd00" + "00" * 5 + "01" + "00" * 7 + "02")


@pytest.mark.parametrize("version", [4, 6])
def test_a_source_has_so_many_connections_and_no_more(make_host: MakeHost, version: int) -> None:
    host = make_host(connections_per_source=3)
    peers = [Peer(host, port=1 + i, version=version).connect() for i in range(3)]
    late = Peer(host, port=9, version=version)
    assert late.ask("S") == [] and host.count("source_limited") == 1
    peers[1].send("R")
    host.settle()
    late.connect()
    assert responses(late.fetch("/b1")) and responses(peers[0].fetch("/b1"))
    assert host.engine.open_connections == 3


def test_other_sources_are_not_concerned(make_host: MakeHost) -> None:
    host = make_host(connections_per_source=1)
    for i in range(40):
        assert responses(Peer(host, address=bytes([10, 0, 1, i])).connect().fetch("/b1"))
    assert host.count("source_limited") == 0


def test_an_ipv6_source_is_a_whole_64(make_host: MakeHost) -> None:
    host = make_host(connections_per_source=3)
    for address in V6_NEIGHBOURS[:3]:
        Peer(host, version=6, address=address).connect()
    assert Peer(host, version=6, address=V6_NEIGHBOURS[5]).ask("S") == []
    Peer(host, version=6, address=V6_ELSEWHERE).connect()
    Peer(host).connect()


@pytest.mark.rfc("4987", "3.2", "MAY", "half-open connections of forged sources lock nobody out")
def test_handshakes_that_nobody_completes_lock_no_source_out(make_host: MakeHost) -> None:
    """Anybody can send a SYN in another's name."""
    host = make_host(connections=64, connections_per_source=2)
    for i in range(20):
        Peer(host, port=100 + i).syn()
    assert responses(Peer(host).connect().fetch("/b1"))
    assert host.count("source_limited") == 0


def test_many_handshakes_at_once_do_not_slip_through(make_host: MakeHost) -> None:
    host = make_host(connections_per_source=2)
    peers = [Peer(host, port=100 + i) for i in range(6)]
    for peer in peers:
        peer.syn()
    answers = [[got.flags for got in peer.ask("A", seq=1)] for peer in peers]
    assert answers == [[], [], ["RA"], ["RA"], ["RA"], ["RA"]]
    assert host.engine.open_connections == 2 and host.count("source_limited") == 4
    assert host.count("connections_opened") == 2


def test_waiting_records_do_not_count_and_every_end_is_taken_off(make_host: MakeHost) -> None:
    host = make_host(connections_per_source=1, time_wait_ns=60 * SECOND, idle_timeout_ns=20 * SECOND)
    ours = Peer(host, port=1).connect()
    ours.fetch("/b1", close=True)
    ours.send("FA")
    ours.get()
    theirs = Peer(host, port=2).connect()
    theirs.send("FA")
    theirs.get()
    theirs.send("A")
    host.settle()
    Peer(host, port=3).connect()
    host.sleep(50_000, 100)
    assert host.count("connections_aborted") == 1
    Peer(host, port=4).connect().send("R")
    host.settle()
    host.sleep(61_000, 500)
    Peer(host, port=5).connect()
    assert host.count("source_limited") == 0 and host.engine.open_connections == 1


def test_a_cookie_does_not_get_around_the_limit(make_host: MakeHost) -> None:
    host = make_host(connections=8, connections_per_source=1)
    for i in range(5):
        Peer(host, port=1 + i, address=bytes([10, 0, 0, 66])).syn()
    first, second = (Peer(host, port=50 + i) for i in range(2))
    first.syn()
    second.syn()
    first.send("A")
    first.expect()
    second.send("A")
    second.expect(seg("R"))
    assert host.count("cookies_sent") == 2 and host.count("cookies_accepted") == 1
    assert host.count("source_limited") == 1 and responses(first.fetch("/b1"))


def full(make_host: MakeHost, **options: int) -> tuple[Host, list[Peer]]:
    """Four connections, which are all there can be, opened at intervals of 2 s."""
    host = make_host(connections=4, idle_timeout_ns=100 * SECOND, **options)
    peers = []
    for i in range(4):
        peers.append(Peer(host, port=1 + i).connect())
        host.sleep(2000, 500)
    return host, peers


def test_a_syn_alone_takes_nobodys_place(make_host: MakeHost) -> None:
    host, peers = full(make_host)
    for i in range(100):
        Peer(host, port=100 + i).syn()
    assert host.engine.open_connections == 4
    assert all(responses(peer.fetch("/b1")) for peer in peers)
    assert host.count("cookies_sent") == 100 and host.count("idle_evicted") == 0


def test_a_completed_handshake_takes_the_place_of_who_has_idled_longest(make_host: MakeHost) -> None:
    host, peers = full(make_host)
    peers[0].fetch("/b1")
    late = Peer(host, port=9).connect()
    (reset,) = peers[1].get()
    assert reset.flags == "RA", "and is told"
    assert all(peer.get() == [] for peer in (peers[0], peers[2], peers[3]))
    assert responses(late.fetch("/b1")) and host.count("idle_evicted") == 1
    assert host.engine.open_connections == 4


def test_who_is_busy_keeps_its_place_and_the_request_is_repeated(make_host: MakeHost) -> None:
    host, peers = full(make_host)
    peers[0].request("/b1m")
    peers[1].send("A", b"GET /")
    peers[2].send("A", get_request("/b1").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n"))
    peers[3].window = 0
    peers[3].request("/b1")
    for peer in peers:
        peer.get()
    host.sleep(1500, 100)
    late = Peer(host, port=9).connect()
    assert host.count("table_full") == 1 and host.count("idle_evicted") == 0
    late.request("/b1", seq=1)
    assert late.get() == [] and host.count("table_full") == 2
    peers[0].send("R")
    host.settle()
    late.request("/b1", seq=1)
    assert responses(late.get()[0].payload)


def test_between_two_requests_a_connection_is_not_idle_for_a_second(make_host: MakeHost) -> None:
    host, peers = full(make_host)
    for peer in peers:
        peer.fetch("/b1")
    host.sleep(950, 50)
    Peer(host, port=9).connect()
    assert host.count("idle_evicted") == 0 and host.count("table_full") == 1


def test_handshakes_that_had_to_be_repeated_go_first(make_host: MakeHost) -> None:
    host = make_host(connections=4)
    old = Peer(host, port=1).connect()
    halves = [Peer(host, port=10 + i, address=bytes([10, 0, 0, 66])) for i in range(3)]
    for half in halves:
        half.syn()
    Peer(host, port=20).connect()
    assert host.count("half_open_evicted") == 0 and host.count("table_full") == 1
    host.sleep(1200, 100)
    assert responses(Peer(host, port=21).connect().fetch("/b1"))
    assert host.count("half_open_evicted") == 1 and host.count("idle_evicted") == 0
    assert responses(old.fetch("/b1"))


def test_a_large_table_is_looked_through_in_parts(make_host: MakeHost) -> None:
    """64 records are looked at for one place; all connections come to be looked at."""
    host = make_host(connections=300, idle_timeout_ns=100 * SECOND)
    busy = [Peer(host, port=1 + i, window=0).connect() for i in range(100)]
    for peer in busy:
        peer.request("/b1")
        host.settle()
    for i in range(200):
        Peer(host, port=1000 + i).connect()
    host.sleep(1500, 100)
    for i in range(300):
        late = Peer(host, port=3000 + i, window=0).connect()
        late.request("/b1", seq=1)
        host.settle()
    assert host.count("idle_evicted") == 200 and host.count("table_full") > 0
    assert all(not any("R" in got.flags for got in peer.get()) for peer in busy)
