"""What is bounded: records, half-open records, frames. Nothing is lost when a bound is met."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bypass.site.image import SiteImage
from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND, Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.stream import responses


@pytest.mark.rfc("4987", "3.4", "MAY", "the oldest record is recycled when the table is full")
def test_a_full_table_gives_up_the_oldest_waiting_record(make_host: MakeHost) -> None:
    host = make_host(connections=4, time_wait_ns=60 * SECOND)
    waiting = []
    for i in range(3):
        waiting.append(peer := Peer(host, port=1 + i).connect())
        peer.fetch("/b1", close=True)
        peer.send("FA")
        peer.get()
        host.sleep(10)
    Peer(host, port=10).connect()
    assert host.count("time_wait_evicted") == 0
    Peer(host, port=11).connect()
    assert host.count("time_wait_evicted") == 1
    answers = [bool(peer.ask("FA", seq=peer.snd - 1)[0].flags.count("R")) for peer in waiting]
    assert answers == [True, False, False]


def test_waiting_records_are_given_up_in_order_of_their_last_fin(make_host: MakeHost) -> None:
    host = make_host(connections=4, time_wait_ns=60 * SECOND)
    waiting = []
    for i in range(4):
        waiting.append(peer := Peer(host, port=1 + i).connect())
        peer.fetch("/b1", close=True)
        peer.send("FA")
        peer.get()
    for again in (1, 1, 3, 0):
        waiting[again].send("FA", seq=waiting[again].snd - 1)
        waiting[again].expect(seg("A"))
    gone: list[int] = []
    for i in range(4):
        Peer(host, port=10 + i).connect()
        for number in set(range(4)) - set(gone):
            peer = waiting[number]
            if "R" in peer.ask("A", b"x", seq=peer.snd)[0].flags:
                gone.append(number)
    assert gone == [2, 1, 3, 0] and host.count("time_wait_evicted") == 4


def test_peers_that_differ_in_one_octet_of_their_address_are_told_apart(make_host: MakeHost) -> None:
    """All of one port, several in each chain of the table."""
    host = make_host(connections=256)
    addresses = [bytes([10, 1, i, 2]) for i in range(60)] + [bytes([10, 1, 99, i]) for i in range(3, 33)]
    addresses += [
        bytes.fromhex("fd00") + bytes(j) + bytes([1 + i]) + bytes(13 - j) for i in range(8) for j in range(14)
    ]
    peers = [Peer(host, version=4 if len(it) == 4 else 6, address=it).connect() for it in addresses[:202:2]]
    assert host.engine.open_connections == len(peers) == 101
    for peer in peers:
        peer.request("/b1")
        assert responses(peer.get()[0].payload)[0].status == 200


@pytest.mark.rfc("4987", "3.2", "MAY", "half-open connections are bounded and leave room for open ones")
def test_half_open_records_are_bounded_to_half_the_table(make_host: MakeHost) -> None:
    """Beyond that, cookies."""
    host = make_host(connections=16)
    peers = [Peer(host, port=1 + i) for i in range(16)]
    for peer in peers:
        peer.syn()
    assert host.count("cookies_sent") == 7 and host.engine.open_connections == 9
    peers[0].send("A", seq=1)
    peers[1].send("R", seq=1)
    host.settle()
    for peer in peers[9:12]:
        peer.ask("S", seq=0)
    assert host.count("cookies_sent") == 8 and host.engine.open_connections == 10
    host.sleep(40_000, 100)
    assert host.engine.open_connections == 1
    peers[15].ask("S", seq=0)
    assert host.count("cookies_sent") == 8 and host.engine.open_connections == 2


@pytest.mark.parametrize("tx_frames", [1, 2, 7, 20])
def test_without_frames_output_is_put_off_and_comes_later(make_host: MakeHost, tx_frames: int) -> None:
    host = make_host(tx_frames=tx_frames)
    peers = [Peer(host, port=1 + i).connect() for i in range(4)]
    for peer in peers:
        peer.request("/b10k")
    for peer in peers:
        for _ in peer.acknowledging():
            pass
        assert len(responses(peer.stream.octets())[0].body) == 10240
    assert host.count("tx_no_frame") > 0 and host.count("retransmitted") == 0


@pytest.mark.parametrize("tx_frames", [1, 3])
def test_output_put_off_needs_neither_an_ack_nor_a_timer(make_host: MakeHost, tx_frames: int) -> None:
    host = make_host(tx_frames=tx_frames)
    peer = Peer(host).connect()
    peer.request("/b10k")
    assert sum(got.size for got in peer.get()) > 10_240
    assert host.count("tx_no_frame") > 0


def test_without_a_frame_a_timer_does_not_lose_its_segment(make_host: MakeHost) -> None:
    """The only fresh frame is on the wire, uncollected, while a timeout falls due."""
    host = make_host(tx_frames=1, idle_timeout_ns=100 * SECOND)
    peer = Peer(host).connect()
    peer.request("/b64")
    peer.get()
    for _ in range(4):
        host.now += 3 * SECOND
        host.engine.turn(host.now)
    sent = host.settle()
    assert sent and all(segment.payload for segment in sent)
    peer.send("A")
    assert host.sleep(5000) == [] and host.engine.open_connections == 1


def test_frames_beyond_the_receive_ring_are_refused_and_the_rest_served(make_host: MakeHost) -> None:
    host = make_host(rx_frames=8)
    peer = Peer(host).connect()
    for _ in range(8):
        peer.send("A", get_request("/b1"))
    with pytest.raises(AssertionError, match="receive ring is full"):
        peer.send("A", get_request("/b1"))
    for _ in peer.acknowledging():
        pass
    assert len(responses(peer.stream.octets())) == 8


def test_a_segment_of_another_queue_is_answered_on_that_queue(make_host: MakeHost) -> None:
    host = make_host(drivers=2)
    peer = Peer(host, driver=0).connect()
    assert responses(peer.fetch("/b10k"))
    peer.driver = 1
    peer.request("/b10k")
    got = peer.get()
    assert {one.driver for one in got} == {1}
    peer.send("A")
    peer.get()
    peer.request("/b64")
    peer.taken()
    host.settle()
    host.until_sent(1000)
    assert {one.driver for one in peer.taken()} == {1}, "what is sent again goes the new way, too"
    assert host.engine.frames_lost() == 0


@pytest.mark.parametrize("flags", ["S", "R"])
def test_what_is_not_believed_does_not_move_a_connection_to_another_queue(
    make_host: MakeHost, flags: str
) -> None:
    host = make_host(drivers=2)
    peer = Peer(host).connect()
    peer.send(flags, seq=100, driver=1)
    (challenge,) = peer.get()
    assert challenge.driver == 0 and challenge.flags == "A"
    assert host.engine.frames_lost() == 0


def test_a_syn_repeated_on_another_queue_does_not_mix_frames(make_host: MakeHost) -> None:
    host = make_host(drivers=2)
    peer = Peer(host)
    peer.syn()
    peer.send("S", seq=0, driver=1)
    peer.expect(seg("SA", driver=0))
    peer.send("A", seq=1, driver=1)
    peer.expect()
    peer.send("PA", get_request("/b1"), seq=1, driver=1)
    assert peer.get()[0].driver == 1
    assert host.engine.frames_lost() == 0


def test_no_connection_answers_go_out_where_the_segment_came_in(make_host: MakeHost) -> None:
    host = make_host(drivers=3)
    peer = Peer(host)
    for driver in (2, 0, 1):
        peer.send("A", driver=driver)
        peer.expect(seg("R", driver=driver))


@pytest.mark.parametrize("change", [{"source_mac": b"\x02\0\0\0\0\x99"}, {"tag": (0x8100, 7)}])
def test_answers_follow_a_peer_whose_link_changes(host: Host, change: dict[str, object]) -> None:
    peer = Peer(host).connect()
    before = peer.link
    peer.moved(**change)
    assert responses(peer.fetch("/b64"))
    peer.send("S", seq=1000)
    peer.expect(seg("A"))
    host.now += SECOND
    now = peer.link
    peer.link = before
    peer.send("S", seq=1000)
    peer.link = now
    peer.expect(seg("A"))


def test_a_drained_engine_refuses_the_new_and_finishes_the_old(host: Host) -> None:
    idle, busy, cut, late = (Peer(host, port=1 + i).connect() for i in range(4))
    half = Peer(host, port=7)
    half.syn()
    busy.request("/b1m")
    busy.get()
    cut.send("A", get_request("/b64")[:10])
    cut.get()
    host.engine.drain()
    host.settle()
    idle.expect(seg("FA", seq=1))
    late.expect(seg("FA", seq=1))
    late.request("/b1")
    late.expect(seg("A", ack=late.snd))
    fresh = Peer(host, port=9)
    fresh.send("S")
    fresh.expect(seg("RA", ack=1))
    assert host.count("syn_draining") == 1
    cut.send("PA", get_request("/b64")[10:])
    (got,) = cut.get()
    (answer,) = responses(cut.stream.octets())
    assert answer.closes and answer.status == 200 and "F" in got.flags
    half.request("/b1")
    half.expect(seg("R", seq=1))
    busy.send("A")
    for _ in busy.acknowledging():
        pass
    assert len(responses(busy.stream.octets())[0].body) == 1 << 20
    assert busy.stream.ended, "a connection whose response was on its way is closed behind it"
    for peer in (idle, late, cut, busy):
        peer.send("FA")
    host.settle()
    assert host.engine.open_connections == 0


def test_draining_lets_blocked_requests_finish(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    peer.send_all(get_request("/b1") * 100)
    peer.get()
    host.engine.drain()
    peer.get()
    peer.window = 65535
    peer.send("A")
    for _ in peer.acknowledging():
        pass
    answers = responses(peer.stream.octets())
    assert len(answers) == 65 and answers[-1].closes and peer.stream.ended
    assert not any(answer.closes for answer in answers[:-1])


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), connections=st.sampled_from([1, 2, 3, 40, 100]))
def test_the_table_finds_exactly_the_connections_that_are_open(
    image: SiteImage, seed: int, connections: int
) -> None:
    """Against a dictionary: opening, closing and asking at random, chains and all."""
    chance = random.Random(seed)
    host = Host(image.buffer, connections=connections, secret=chance.randbytes(32))
    open_peers: dict[int, Peer] = {}
    for _ in range(300):
        port = chance.randint(1, 3 * connections)
        peer = open_peers.get(port)
        if peer is None:
            peer = Peer(host, port=port, version=4 if port % 3 else 6, iss=chance.randrange(1 << 32))
            if chance.random() < 0.2:
                peer.send("A")
                peer.expect(seg("R"))
            elif len(open_peers) < connections:
                open_peers[port] = peer.connect()
            else:
                peer.syn()
                assert peer.ask("A") == [], "no room, and nothing that has idled for a second"
                del host.peers[peer.link.destination, peer.link.source, port]
        elif chance.random() < 0.4:
            peer.send("R")
            peer.expect()
            del open_peers[port]
        else:
            assert len(responses(peer.fetch("/b65"))[0].body) == 65
        assert host.engine.open_connections == len(open_peers)
    assert host.engine.frames_lost() == 0
