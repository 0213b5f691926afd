"""Peers and strangers who mean harm, each abuse by its name: nothing breaks, loops, grows or is believed."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import CLIENT, MODULUS, SERVER, Link, Options, Segment
from tests.engine.host import MS, Host
from tests.engine.peer import Peer, begun, get_request
from tests.engine.stream import responses

WINDOW = 16384


# ---- challenge ACKs (RFC 5961 7) ----

DOUBTFUL = {
    "a RST in the window": ("R", {"seq": 101}),
    "a SYN": ("S", {"seq": 101}),
    "an ACK of what was never sent": ("A", {"ack": 5000}),
    "an ACK from long ago": ("A", {"ack": -200_000}),
    "an empty segment out of place": ("A", {"seq": -100}),
}


@pytest.mark.rfc("5961", "7", "SHOULD", "challenge ACKs are limited in number, for each connection")
@pytest.mark.parametrize("what", DOUBTFUL)
def test_a_connection_answers_doubtful_segments_twice_a_second(host: Host, what: str) -> None:
    flags, fields = DOUBTFUL[what]
    peer = Peer(host).connect()
    answers = 0
    for _ in range(1000):
        peer.send(flags, **fields)
        answers += len(peer.get())
        host.now += 10 * MS
    assert 18 <= answers <= 20, "10 s"
    assert host.count("challenges_limited") == 1000 - answers
    assert responses(peer.fetch("/b1"))


def test_an_old_timestamp_without_data_is_answered_twice_a_second(host: Host) -> None:
    peer = Peer(host, timestamps=True).connect()
    answers = 0
    for _ in range(200):
        peer.send("A", options=Options(timestamps=(peer.clock - 10_000, peer.ts_recent)))
        answers += len(peer.get())
        host.now += 10 * MS
    assert answers == 4


@pytest.mark.rfc("5961", "7", "SHOULD", "challenge ACKs are limited in number, for each connection")
def test_what_one_connection_is_refused_says_nothing_of_another(host: Host) -> None:
    """CVE-2016-5696: with one limit for all, an attacker's own connection tells whether his guesses about
    another one drew challenge ACKs."""
    ours, victim = Peer(host, port=1).connect(), Peer(host, port=2).connect()
    for i in range(200):
        victim.send("R", seq=2 + i)
        host.settle()
    assert len(victim.taken()) == 1
    assert [got.flags for got in ours.ask("R", seq=100)] == ["A"]


def test_a_repeated_syn_is_not_answered_faster_than_that(host: Host) -> None:
    """Else a forged SYN repeated makes us send to a stranger as fast as its sender likes."""
    peer = Peer(host)
    peer.syn()
    assert sum(len(peer.ask("S", seq=0)) for _ in range(100)) == 1
    host.now += 600 * MS
    assert len(peer.ask("S", seq=0)) == 1


def test_octets_sent_again_are_acknowledged_every_time(host: Host) -> None:
    """Their acknowledgement may have been lost; it bears no octets, and so draws no answer."""
    peer = Peer(host).connect()
    peer.fetch("/b1")
    request = get_request("/b1")
    assert [len(peer.ask("PA", request, seq=1)) for _ in range(10)] == [1] * 10
    peer.send("FA")
    peer.get()
    fin = peer.snd - 1
    assert [len(peer.ask("FA", seq=fin)) for _ in range(5)] == [1] * 5


def test_an_ack_storm_dies_out(host: Host) -> None:
    """Somebody has put octets into the stream in the client's name: from then on client and server find
    each other's acknowledgements out of place. A client that answers each of ours with one of its own
    makes us answer no more than twice a second; no octet is sent in vain."""
    peer = Peer(host).connect()
    peer.send("A", b"GET /b1", seq=1)
    storm = peer.get()
    sent = 0
    for _ in range(2000):
        for _ in storm:
            peer.send("A", seq=1, ack=1)
        storm = peer.get()
        sent += len(storm)
        host.now += MS
        if not storm:
            break
    assert sent <= 4 and storm == []


# ---- blind injection (RFC 5961) ----


@pytest.mark.rfc("5961", "3.2", "MUST", "a RST in the window but not at RCV.NXT gets a challenge ACK")
def test_blind_rst_needs_the_exact_number(host: Host) -> None:
    """One in 2^32; every number of the window draws at most a challenge."""
    peer = Peer(host).connect()
    for seq in (*range(2, 600), *range(600, WINDOW + 2, 97)):
        peer.send("R", seq=seq)
        host.settle()
    assert host.engine.open_connections == 1 and host.count("connections_reset") == 0
    assert responses(peer.fetch("/b1"))


@pytest.mark.rfc("5961", "4.2", "MUST", "a SYN in a synchronized state gets a challenge ACK")
def test_blind_syn_never_ends_a_connection(host: Host) -> None:
    peer = Peer(host).connect()
    chance = random.Random(3)
    for _ in range(3000):
        peer.send("S", seq=chance.randrange(MODULUS))
        host.settle()
    assert host.engine.open_connections == 1 and responses(peer.fetch("/b1"))


@pytest.mark.rfc("5961", "5.2", "MUST", "an ACK that is too old or too new is discarded with an ACK")
def test_blind_data_needs_an_acknowledgement_that_fits(host: Host) -> None:
    """RFC 5961 5: the right place in the window is not enough; who guesses both numbers guesses
    2^32 / (2 * largest window) times as often."""
    peer = Peer(host).connect()
    chance = random.Random(4)
    for _ in range(3000):
        peer.send("PA", b"X" * 100, seq=1, ack=chance.randrange(66_000, MODULUS - 66_000))
        host.settle()
    assert host.count("bad_acks") == 3000 and host.count("requests") == 0
    assert responses(peer.fetch("/b1")), "nothing of it is in the stream"


def test_sequence_numbers_and_ports_of_one_client_tell_nothing_of_another(host: Host) -> None:
    """Differences between the numbers of neighbouring ports look random: no two alike, none small."""
    numbers = []
    for port in range(3000, 3400):
        peer = Peer(host, port=port)
        peer.syn()
        numbers.append(peer.irs or 0)
        peer.send("R", seq=1)
        host.settle()
    steps = [(later - before) % MODULUS for before, later in pairwise(numbers)]
    assert len(set(steps)) == len(steps) and min(steps) > 1 << 16
    assert 0.4 < sum(step > MODULUS // 2 for step in steps) / len(steps) < 0.6


# ---- what an acknowledgement may claim ----


def test_an_optimistic_ack_beyond_what_was_sent_moves_nothing(host: Host) -> None:
    peer, first = begun(host)
    end = max(got.seq + got.size for got in first)
    for beyond in (1, 1460, 100_000, 1 << 30):
        assert all(got.size == 0 for got in peer.ask("A", ack=end + beyond))
    assert host.count("bad_acks") == 4


def test_an_optimistic_ack_of_what_is_under_way_draws_no_more_than_slow_start(host: Host) -> None:
    """A receiver who acknowledges what it has not got gives itself no more than a fast path would: each
    acknowledged octet lets at most two leave, in turns of 32 segments a connection."""
    peer, got = begun(host, scale=14)
    for _ in range(30):
        acked = sum(one.size for one in got)
        peer.send("A", ack=max((one.seq + one.size for one in got), default=1))
        host.engine.turn(host.now)
        host.collect()
        got = peer.taken()
        assert sum(one.size for one in got) <= 2 * acked + 1460
        assert len(got) <= 2 * 32
        if not got:
            break


def test_divided_acks_open_the_window_no_faster(make_host: MakeHost) -> None:
    """RFC 3465: octets are counted, not acknowledgements."""
    flights = []
    for parts in (1, 100):
        peer, got = begun(make_host(), scale=14, port=4000 + parts)
        for i in range(1, parts + 1):
            peer.send("A", ack=1 + 1460 * i // parts)
            host_sent = peer.get()
            got += host_sent
        flights.append(sum(one.size for one in got))
    assert flights[1] <= flights[0]


def sack_options(peer: Peer, *blocks: tuple[int, int]) -> Options:
    assert peer.irs is not None
    return Options(sack=tuple((peer.irs + start, peer.irs + end) for start, end in blocks))


def test_a_flood_of_sack_blocks_is_bounded_in_time_and_memory(make_host: MakeHost) -> None:
    """CVE-2019-11477, -11478, -11479: the smallest segments, and every hole there can be. The list of
    runs is fixed in size; a response still arrives."""
    host = make_host(flight_blocks=1)
    peer, flight = begun(host, "/b1m", sack=True, scale=14, mss=1)
    assert max(got.size for got in flight) == 64, "no smaller, whatever the peer says"
    chance = random.Random(5)
    for _ in range(2000):
        una = peer.rcv
        blocks = []
        for _ in range(4):
            start = una + chance.randrange(0, 60_000)
            blocks.append((start, start + chance.randrange(1, 200)))
        peer.send("A", ack=una, options=sack_options(peer, *blocks))
        host.settle()
        if chance.random() < 0.05:
            peer.send("A")
            host.settle()
    for _ in peer.acknowledging():
        pass
    host.sleep(3000, 20)
    assert peer.stream.prefix > 10_000 and host.engine.open_connections == 1


@pytest.mark.rfc("2018", "5", "SHOULD", "blocks that cannot be true are ignored")
def test_sack_blocks_of_octets_never_sent_or_turned_around_are_ignored(host: Host) -> None:
    peer, flight = begun(host, sack=True)
    end = max(got.seq + got.size for got in flight)
    for start, stop in ((end, end + 1000), (end + 1, 1), (2000, 1500), (1, 1 << 31), (-5000, -1000), (7, 7)):
        assert all(got.seq >= end for got in peer.ask("A", ack=1, options=sack_options(peer, (start, stop))))
    assert host.count("retransmitted") == 0 and host.count("fast_retransmits") == 0


@pytest.mark.rfc(
    "2018", "5", "MUST", "after a timeout the octets at the left edge are sent again, whatever was SACKed"
)
@pytest.mark.rfc("2018", "8", "MUST", "SACKed octets are kept until they are acknowledged")
def test_a_peer_that_takes_back_what_it_sacked_gets_it_again(host: Host) -> None:
    """Reneging (RFC 2018 8): SACKed octets are kept until they are acknowledged."""
    peer, flight = begun(host, "/b10k", sack=True)
    end = max(got.seq + got.size for got in flight)
    peer.send("A", ack=1, options=sack_options(peer, (1 + 1460, end)))
    host.settle()
    peer.taken()
    una = 1 + 1460
    peer.send("A", ack=una)
    for _ in range(400):
        host.sleep(50, 10)
        for got in peer.taken():
            if got.seq <= una < got.seq + got.size:
                una = got.seq + got.size
        peer.send("A", ack=una)
        if una == end:
            break
    assert una == end and host.count("retransmission_timeouts") >= 1


def test_an_echo_of_congestion_in_every_ack_slows_a_response_but_does_not_stop_it(host: Host) -> None:
    """ECE without end (RFC 3168 6.1.2): the window goes down to two segments and not below."""
    peer = Peer(host, sack=True)
    peer.send("SEC")
    peer.get()
    peer.snd = 1
    peer.send("A")
    peer.request("/b1m")
    flights = []
    while got := peer.get():
        flights.append(len(got))
        peer.send("AE")
    assert sum(flights) >= (1 << 20) // 1460 and min(flights[:-1]) >= 2
    assert host.count("retransmitted") == 0


# ---- shapes of segments ----


@pytest.mark.rfc("9293", "MUST-38")
@pytest.mark.parametrize("window", [1, 2, 10, 100])
@pytest.mark.parametrize("mss", [1, 2, 88, 536])
def test_tiny_windows_and_segments_get_their_response_in_time(host: Host, window: int, mss: int) -> None:
    """Silly windows (RFC 9293 3.8.6.2) cost their holder time, not us."""
    peer = Peer(host, window=window, mss=mss).connect()
    peer.request("/b64")
    for _ in range(2000):
        host.sleep(100, 50)
        if not peer.taken() and responses(peer.stream.octets()):
            break
        peer.send("A")
        host.settle()
        if host.engine.open_connections == 0:
            break
    done = responses(peer.stream.octets())
    assert done or host.count("idle_timeouts") == 1, "served, or given up below half a kilobyte a second"


# ---- frames nobody sane sends ----


@pytest.mark.rfc("9293", "MUST-63")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("flags", ["S", "A", "SA", "R", "FA"])
def test_a_land_packet_is_dropped(host: Host, version: int, flags: str) -> None:
    link = Link(source=SERVER[version], destination=SERVER[version])
    host.send(Segment(80, 80, flags, 1000, 1000, link=link))
    assert host.settle() == [] and host.count("drop_bad_source") == 1


def test_a_connection_from_our_own_port_number_is_a_connection_like_any(host: Host) -> None:
    assert responses(Peer(host, port=80).connect().fetch("/b1"))


@pytest.mark.rfc("9293", "MUST-7")
@pytest.mark.parametrize("established", [False, True])
def test_every_option_cut_anywhere_harms_nothing(host: Host, established: bool) -> None:
    """Options of every kind and length, at the end of the header and over it."""
    peer = Peer(host, timestamps=False, sack=True).connect()
    if established:
        peer.request("/b1m")
        peer.get()
    for kind in (0, 1, 2, 3, 4, 5, 8, 34, 254, 255):
        for length in range(41):
            raw = (b"\1" * (kind % 4) + bytes([kind, length]) + b"\xff" * 38)[:40]
            options = Options(raw=raw)
            peer.send("A", seq=peer.snd, ack=1, options=options)
            Peer(host, port=7).send("S", options=options)
            host.settle()
            peer.taken()
    assert host.count("drop_tcp_header") > 100
    assert host.engine.open_connections >= 1 and host.engine.frames_lost() == 0


def test_every_data_offset_is_checked_against_what_arrived(host: Host) -> None:
    peer = Peer(host).connect()
    for offset in range(16):
        host.send(peer.segment("PA", b"y" * 8), offset=offset)
        host.settle()
    assert host.count("drop_tcp_header") == 15, "all but 5: what fits holds no sound options"
    assert host.engine.frames_lost() == 0


def test_random_segments_of_a_stranger_open_nothing(host: Host) -> None:
    chance = random.Random(6)
    for i in range(5000):
        flags = "".join(letter for letter in "FRPAUEC" if chance.random() < 0.5)
        seq, ack = struct.unpack("<II", chance.randbytes(8))
        link = Link(source=CLIENT[4])
        host.send(Segment(chance.randrange(1, 65536), 80, flags, seq, ack, link=link, payload=bytes(i % 9)))
        host.settle()
    assert host.engine.open_connections == 0 and host.count("connections_opened") == 0


def test_a_stranger_gets_no_more_octets_than_he_sends(host: Host) -> None:
    """No amplifier: a RST, a cookie or a SYN-ACK is about as large as what it answers."""
    for flags in ("S", "A", "FA", "SA"):
        peer = Peer(host, port=500 + len(flags), timestamps=True, sack=True, scale=7)
        peer.send(flags)
        (got,) = peer.get()
        assert got.size == 0 and len(got.options.encode()) <= len(peer.segment(flags).options.encode())
