"""SYN cookies (RFC 4987 3.6): under pressure a SYN leaves nothing, and its ACK opens the connection."""

from __future__ import annotations

import random
import struct

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import CLIENT, ECT, MODULUS, PORT, Options
from tests.engine.host import MS, SECOND, SECRET, Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.siphash import siphash24
from tests.engine.stream import responses

MSS_VALUES = [64, 536, 1220, 1300, 1380, 1440, 1460, 8940]
PERIOD_NS = 4000 << 24


def press(host: Host, count: int) -> None:
    """Handshakes that nobody completes, from elsewhere."""
    for i in range(count):
        Peer(host, port=1 + i, address=bytes([10, 0, 0, 66])).send("S")
    host.settle()


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """Room for eight connections, of which five are half open: the next SYN gets a cookie."""
    host = make_host(connections=8)
    press(host, 5)
    assert host.count("cookies_sent") == 0
    return host


def expected_number(host: Host, peer: Peer, index: int, version: int = 4) -> int:
    """The cookie by its definition, from the published hash."""
    address = CLIENT[6] if version == 6 else b"\0" * 10 + b"\xff\xff" + CLIENT[4]
    ends = address + struct.pack("<HBBI", peer.port, [4, 6].index(version), 0, PORT)
    period = host.now // PERIOD_NS
    mac = siphash24(SECRET[16:], ends + struct.pack("<QQ", peer.iss, period))
    secret = siphash24(SECRET[16:], ends)
    return (secret + (period << 24) + (mac + index) % (1 << 24)) % MODULUS


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: the number is a keyed hash of the connection")
@pytest.mark.parametrize("version", [4, 6])
def test_the_number_is_a_keyed_hash_that_a_guess_does_not_find(host: Host, version: int) -> None:
    peer = Peer(host, version=version)
    peer.syn()
    assert host.count("cookies_sent") == 1
    assert peer.irs == expected_number(host, peer, 6, version)


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: under pressure a SYN takes no memory")
def test_a_syn_under_pressure_takes_no_record(host: Host) -> None:
    before = host.engine.open_connections
    for i in range(200):
        Peer(host, port=1000 + i).syn()
    assert host.engine.open_connections == before == 5
    assert host.count("cookies_sent") == 200 and host.count("connections_opened") == 0
    assert host.sleep(900) == [], "nobody remembers them: nothing is sent again"


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: the ACK opens the connection")
def test_the_ack_opens_the_connection_and_it_serves(host: Host) -> None:
    peer = Peer(host).connect()
    assert host.count("cookies_accepted") == host.count("connections_opened") == 1
    assert host.engine.open_connections == 6
    assert len(responses(peer.fetch("/b1m"))[0].body) == 1 << 20
    peer.send("FA")
    peer.expect(seg("FA"))
    peer.send("A")
    host.settle()
    assert host.engine.open_connections == 5 and host.count("cookies_bad") == 0


def test_the_peer_chooses_which_of_two_cookies_it_takes_up(host: Host) -> None:
    peer = Peer(host, window=300)
    first = peer.syn()
    second = Peer(host, window=6, iss=peer.iss + 1_000_000)
    assert second.syn().seq == first.seq == 0 and second.irs != peer.irs
    host.peers[peer.link.destination, peer.link.source, peer.port] = peer
    peer.request("/b1k", seq=1)
    (got,) = peer.get()
    assert got.seq == 1 and got.size == 300, "the window of the SYN that it answers, not of the last"
    assert host.count("cookies_accepted") == 1


def test_a_delayed_ack_opens_again_and_is_answered_as_another_connection(host: Host) -> None:
    """Nothing tells it from the first: what the new connection says has its own octets at the old numbers."""
    peer = Peer(host).connect()
    peer.send("R")
    host.settle()
    assert host.engine.open_connections == 5
    peer.send("A")
    host.settle()
    assert host.count("cookies_accepted") == 2
    assert host.engine.open_connections == 6
    assert len(responses(peer.fetch("/b1m"))[0].body) == 1 << 20


def test_data_and_a_fin_with_the_ack_are_taken(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("FPA", get_request("/b1"))
    (got,) = peer.get()
    assert responses(got.payload)[0].status == 200 and "F" in got.flags


def test_a_request_whose_ack_was_lost_opens_too(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    host.sleep(300)
    peer.request("/b1", seq=1)
    assert responses(peer.get()[0].payload)[0].status == 200


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: the MSS survives, rounded down")
@pytest.mark.parametrize("mss", [None, 1, 64, 65, 535, 536, 1000, 1220, 1299, 1379, 1400, 1459, 1460, 9000])
@pytest.mark.parametrize("version", [4, 6])
def test_the_mss_comes_back_rounded_down(host: Host, mss: int | None, version: int) -> None:
    peer = Peer(host, mss=mss, version=version)
    peer.syn()
    peer.send("A")
    peer.request("/b1m")
    offered = mss or (536 if version == 4 else 1220)
    link = 1460 if version == 4 else 1440
    assert peer.get()[0].size == min(max(value for value in MSS_VALUES if value <= max(offered, 64)), link)


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: with timestamps every option survives")
@pytest.mark.parametrize("scale", [None, 0, 1, 7, 14, 200])
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("ecn", [False, True])
def test_with_timestamps_every_option_survives(host: Host, scale: int | None, sack: bool, ecn: bool) -> None:
    peer = Peer(host, timestamps=True, sack=sack, scale=scale, window=2000)
    (got,) = peer.ask("SEC" if ecn else "S")
    assert (got.options.scale is not None) == (scale is not None)
    assert got.options.sack_permitted == sack and ("E" in got.flags) == ecn
    peer.send("A")
    peer.request("/b1m")
    flight = peer.get()
    if scale:
        assert sum(one.size for one in flight) > 2000, "the window counts scaled"
    else:
        assert sum(one.size for one in flight) <= 2000
    if scale and scale > 3 and sack:
        una, size = 1, peer.payload_most
        assert peer.irs is not None
        stamps = (peer.clock, peer.ts_recent)
        lost = Options(timestamps=stamps, sack=((peer.irs + 1 + size, peer.irs + 1 + 9 * size),))
        again = [one for one in peer.ask("A", ack=una, options=lost) if one.seq == una]
        assert len(again) == 1, "one SACK is enough"


def test_ecn_is_really_on(host: Host) -> None:
    peer = Peer(host, timestamps=True)
    peer.ask("SEC")
    peer.send("A")
    segment = peer.segment("PA", get_request("/b1"))
    host.send(segment, ip={"tos": ECT | 1})
    assert "E" in peer.get()[0].flags


def test_without_timestamps_only_the_mss_is_offered(host: Host) -> None:
    peer = Peer(host, sack=True, scale=7)
    (got,) = peer.ask("SEC")
    assert got.options == Options(mss=1460) and "E" not in got.flags
    peer.scale = None
    peer.send("A")
    assert len(responses(peer.fetch("/b10k"))[0].body) == 10240


def test_our_timestamps_never_go_back(host: Host) -> None:
    """PAWS at the peer would drop what follows the SYN-ACK. Its low bits bear options, at any time."""
    for i in range(130):
        peer = Peer(host, port=2000 + i, timestamps=True, sack=True, scale=(i * 5) % 15)
        stamp = peer.syn().options.timestamps
        assert stamp is not None
        peer.send("A")
        peer.request("/b1")
        later = peer.get()[0].options.timestamps
        assert later is not None and 0 <= (later[0] - stamp[0]) % MODULUS <= 127
        peer.send("R")
        host.settle()
        host.now += MS


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: a cookie ages")
@pytest.mark.parametrize(
    ("age_ns", "good"),
    [(0, True), (PERIOD_NS, True), (2 * PERIOD_NS - 2 * MS, True), (2 * PERIOD_NS, False)],
)
def test_a_cookie_is_good_for_one_to_two_periods(make_host: MakeHost, age_ns: int, good: bool) -> None:
    host = make_host(connections=8, now_ns=10_000 * PERIOD_NS + MS)
    press(host, 5)
    peer = Peer(host)
    peer.syn()
    assert host.count("cookies_sent") == 1
    host.now += age_ns
    if not good:
        press(host, 8)
        assert host.count("cookies_sent") > 1, "it is its age that counts, not that none are out"
        peer.taken()
    peer.send("A")
    assert [one.flags for one in peer.get()] == ([] if good else ["R"])
    assert host.count("cookies_bad") == (not good)


def test_two_periods_after_the_last_cookie_none_is_looked_at(make_host: MakeHost) -> None:
    host = make_host(connections=8, now_ns=10_000 * PERIOD_NS + MS)
    press(host, 5)
    peer = Peer(host)
    peer.syn()
    host.now += 2 * PERIOD_NS + MS
    peer.send("A")
    assert [one.flags for one in peer.get()] == ["R"]
    assert host.count("cookies_bad") == 0


@pytest.mark.parametrize("field", ["seq", "ack", "port", "address"])
def test_an_ack_that_differs_in_anything_gets_a_rst(host: Host, field: str) -> None:
    """Of the acknowledgement's lowest bits only another MSS can come."""
    peer = Peer(host)
    peer.syn()
    address = bytes([10, 0, 0, 3]) if field == "address" else None
    other = Peer(host, port=peer.port + (field == "port"), iss=peer.iss, address=address)
    other.irs = peer.irs
    bits = {"seq": range(32), "ack": range(4, 32)}.get(field, range(1))
    for bit in bits:
        number = 1 ^ (1 << bit)
        other.send("A", seq=number if field == "seq" else 1, ack=number if field == "ack" else 1)
        assert [one.flags for one in other.get()] == ["R"], f"{field} bit {bit}"
    assert host.count("cookies_bad") == len(bits) and host.count("cookies_accepted") == 0


def test_nobody_gets_options_that_were_not_agreed(host: Host) -> None:
    """They stand in the echo of our timestamp, where the peer could write what it likes."""
    peer = Peer(host, timestamps=True, scale=2)
    peer.syn()
    for stamps in (*((peer.clock, peer.ts_recent ^ (1 << bit)) for bit in range(6)), None):
        peer.send("A", seq=1, options=Options(timestamps=stamps))
        (got,) = host.settle()
        assert got.flags == "R"
        peer.taken()
    assert host.count("cookies_bad") == 7
    peer.send("A", seq=1)
    peer.expect()
    assert host.count("cookies_accepted") == 1


def test_timestamps_that_were_not_offered_open_nothing(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("A", options=Options(timestamps=(1, 2)))
    peer.expect(seg("R"))


@pytest.mark.rfc(
    "4987", "3.6", "MAY", "SYN cookies: a blind guess succeeds no oftener than the arithmetic says"
)
def test_a_blind_guesser_gets_in_as_often_as_the_arithmetic_says(host: Host) -> None:
    """2 periods and 8 sizes of 2^32: of 20000 guesses with all but luck on their side, none."""
    Peer(host).syn()
    chance = random.Random(7)
    for i in range(20_000):
        peer = Peer(host, port=5000 + i % 100)
        peer.irs = chance.randrange(MODULUS)
        peer.send("A", seq=1, ack=1)
        if i % 100 == 99:
            host.settle()
            host.strays.clear()
    assert host.count("cookies_accepted") == 0 and host.count("cookies_bad") == 20_000


@pytest.mark.rfc("4987", "3.6", "MAY", "SYN cookies: none is looked at unless some were sent")
def test_without_cookies_sent_lately_a_right_number_is_no_key(make_host: MakeHost) -> None:
    host = make_host(connections=8)
    peer = Peer(host)
    peer.irs = expected_number(host, peer, 6)
    peer.send("A", seq=1)
    peer.expect(seg("R", seq=1))
    assert host.count("cookies_bad") == host.count("cookies_accepted") == 0


def test_a_draining_engine_takes_no_cookie(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    host.engine.drain()
    peer.send("A")
    peer.expect(seg("R"))


def test_a_cookie_with_rst_or_syn_opens_nothing(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    for flags in ("RA", "SA"):
        peer.ask(flags, seq=1, ack=1)
    assert host.count("cookies_accepted") == 0


@pytest.mark.rfc("4987", "3.7", "MAY", "hybrid: cookies only under pressure")
def test_when_the_pressure_is_over_records_come_back(host: Host) -> None:
    host.sleep(40_000, 100)
    Peer(host).connect()
    assert host.count("cookies_sent") == 0


def test_a_syn_that_reuses_a_waiting_record_needs_no_cookie(make_host: MakeHost) -> None:
    """It takes the place that the record had, and begins beyond its numbers."""
    host = make_host(connections=8, time_wait_ns=60 * SECOND)
    peer = Peer(host).connect()
    peer.fetch("/b1", close=True)
    peer.send("FA")
    peer.get()
    press(host, 5)
    again = Peer(host, iss=peer.iss + 10_000).connect()
    assert host.count("cookies_sent") == 0 and host.count("time_wait_reused") == 1
    assert responses(again.fetch("/b1"))


def test_the_ack_of_a_cookie_counts_though_a_record_came_of_the_repeated_syn(host: Host) -> None:
    """The SYN-ACK with the cookie was late: the client sent its SYN again, when there was room."""
    peer = Peer(host)
    peer.syn()
    cookie = peer.irs
    host.sleep(40_000, 100)
    peer.ask("S", seq=0)
    assert peer.irs != cookie and host.engine.open_connections == 1
    peer.irs, peer.snd = cookie, 1
    peer.send("A")
    peer.expect()
    assert responses(peer.fetch("/b10k")) and host.engine.open_connections == 1
    assert host.count("cookies_accepted") == host.count("connections_opened") == 1


def test_the_connection_begins_without_backoff_and_repeats_what_is_lost(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b64")
    peer.get()
    assert host.until_sent(2000) == pytest.approx(1000, abs=4)
