"""Octets from the peer: in order, twice, overlapping, too early, too many; PAWS (RFC 7323 5)."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bypass.site.image import SiteImage
from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.stream import responses

REQUEST = get_request("/b1")


@pytest.mark.rfc("9293", "MUST-58")
def test_a_request_in_one_segment_is_acknowledged_by_its_response(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("PA", REQUEST)
    (got,) = peer.get()
    assert got.ack == 1 + len(REQUEST) and got.payload and got.window == 16384


@pytest.mark.rfc("5681", "4.2", "MUST", "a segment gets one ACK at most")
@pytest.mark.rfc("9293", "MUST-40")
@pytest.mark.rfc("9293", "SHLD-19")
def test_a_request_octet_by_octet_is_acknowledged_each_time(host: Host) -> None:
    peer = Peer(host).connect()
    for i in range(len(REQUEST) - 1):
        peer.send("A", REQUEST[i : i + 1])
        peer.expect(seg("A", ack=2 + i, payload=b"", window=16384 - 1 - i))
    peer.send("A", REQUEST[-1:])
    (got,) = peer.get()
    assert got.payload.startswith(b"HTTP/1.1 200") and got.window == 16384


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "first check: an old duplicate gets an ACK")
def test_a_repeated_segment_is_acknowledged_and_not_taken_again(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1")
    (first,) = peer.get()
    peer.request("/b1", seq=1)
    peer.expect(seg("A", ack=peer.snd, seq=first.seq + first.size, payload=b""))
    assert host.count("requests") == 1 and host.count("out_of_window") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "a segment is trimmed to the window")
def test_only_the_new_octets_of_an_overlapping_segment_are_taken(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("A", REQUEST[:20])
    peer.get()
    peer.send("A", b"x" * 5 + REQUEST[20:], seq=16)
    peer.snd = 1 + len(REQUEST)
    (got,) = peer.get()
    assert got.ack == peer.snd and got.payload.startswith(b"HTTP/1.1 200")
    peer.send("A", b"y" * 20 + REQUEST + REQUEST, seq=peer.snd - 20)
    assert [len(one.payload) > 100 for one in peer.get()].count(True) >= 1
    assert host.count("requests") == 3 and host.count("responses_4xx") == 0


def test_a_segment_beyond_the_next_octet_is_kept_and_acknowledged_at_once(host: Host) -> None:
    peer = Peer(host).connect()
    for _ in range(3):
        peer.send("A", REQUEST[10:], seq=11)
        peer.expect(seg("A", seq=1, ack=1, window=16384, payload=b"", options=Options()))
    assert host.count("out_of_order") == 3 and host.count("requests") == 0
    peer.send("A", REQUEST[:10], seq=1)
    assert peer.get()[0].ack == 1 + len(REQUEST) and host.count("requests") == 1


def test_an_ack_on_an_out_of_order_segment_counts(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1")
    (got,) = peer.get()
    peer.send("A", b"x", seq=peer.snd + 5)
    peer.get()
    assert host.sleep(2000) == [], f"acknowledged octets are sent again: {got}"


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "first check: an unacceptable segment gets an ACK")
def test_what_lies_beyond_the_window_is_not_taken(host: Host) -> None:
    peer = Peer(host).connect()
    head = b"GET /b1 HTTP/1.1\r\nHost: a\r\nX: "
    peer.send_all(head + b"a" * (12000 - len(head)))
    assert peer.get()[-1].window == 4384
    peer.send("A", b"b" * 1400, seq=1 + 16384)
    peer.expect(seg("A", ack=12001, window=4384))
    assert host.count("out_of_window") == 1


def test_a_segment_that_runs_over_the_edge_of_the_window_is_cut(make_host: MakeHost) -> None:
    host = make_host()
    peer = Peer(host, window=0).connect()
    requests = REQUEST * 1000
    window = 16384
    while window >= 1400:
        (got,) = peer.ask("A", requests[peer.snd - 1 :][:1400])
        window = got.window
    assert 0 < window == got.ack + got.window - peer.snd
    peer.send("FA", requests[peer.snd - 1 :][:1400], seq=peer.snd)
    peer.expect(seg("A", ack=peer.snd + window, window=0))
    assert host.engine.open_connections == 1


def test_an_ack_at_the_edge_of_a_filled_window_counts(host: Host) -> None:
    """A peer that filled our window, with one segment lost, acknowledges from its far edge."""
    peer = Peer(host).connect()
    peer.request("/b1")
    (got,) = peer.get()
    peer.send("A", seq=peer.snd + got.window)
    peer.expect()
    assert host.sleep(2000) == [] and host.count("out_of_window") == 0


@pytest.mark.rfc("9293", "3.8.4", "MUST", "a keep-alive probe gets an ACK")
def test_a_keepalive_probe_is_answered(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("A", seq=0)
    peer.expect(seg("A", seq=1, ack=1))
    peer.send("A", b"\0", seq=0)
    peer.expect(seg("A", seq=1, ack=1))


@pytest.mark.rfc("7323", "5.3", "MUST", "PAWS: an old timestamp is refused with an ACK")
@pytest.mark.parametrize("old", [1, 1000, 1 << 30])
def test_an_old_timestamp_is_refused_and_answered(host: Host, old: int) -> None:
    peer = Peer(host, timestamps=True).connect()
    stale = Options(timestamps=(peer.clock - old, peer.ts_recent))
    peer.send("PA", REQUEST, options=stale, seq=1)
    peer.expect(seg("A", seq=1, ack=1))
    assert host.count("paws_rejected") == 1 and host.count("requests") == 0


@pytest.mark.rfc("7323", "4.3", "MUST", "the echoed timestamp is that of the segment that spans the last ACK")
def test_the_timestamp_that_spans_the_last_ack_is_echoed(host: Host) -> None:
    peer = Peer(host, timestamps=True).connect()
    host.sleep(50)
    first = peer.clock
    peer.send("A", REQUEST[:10])
    assert peer.get()[0].options.timestamps[1] == first  # type: ignore[index]
    host.sleep(50)
    peer.send("A", REQUEST[12:], seq=13)
    assert peer.get()[0].options.timestamps[1] == first  # type: ignore[index]
    again = peer.clock
    peer.send("A", REQUEST[10:], seq=11)
    assert peer.get()[0].options.timestamps[1] == again  # type: ignore[index]


@pytest.mark.rfc("7323", "5.4", "SHOULD", "the timestamp clock ticks once in 1 ms to 1 s")
@pytest.mark.rfc("7323", "7.1", "SHOULD", "timestamps begin at a random offset of the connection")
def test_the_timestamp_clock_ticks_in_milliseconds_from_a_secret_origin(host: Host) -> None:
    peer, other = Peer(host, timestamps=True), Peer(host, timestamps=True, port=2)
    first = peer.syn().options.timestamps
    assert first is not None and other.syn().options.timestamps != first
    peer.send("A")
    host.sleep(1234)
    (got,) = peer.ask("A", b"G")
    assert got.options.timestamps is not None
    assert (got.options.timestamps[0] - first[0]) % (1 << 32) == 1234


@pytest.mark.rfc("7323", "3.2", "SHOULD", "a segment without the agreed timestamp is dropped")
def test_a_segment_without_the_agreed_timestamp_is_dropped(host: Host) -> None:
    peer = Peer(host, timestamps=True).connect()
    peer.send("PA", REQUEST, options=Options())
    peer.expect()
    assert host.count("paws_rejected") == 1


@pytest.mark.rfc("9293", "MUST-5")
@pytest.mark.rfc("7323", "3.2", "MUST", "timestamps that were not agreed on are ignored")
def test_a_timestamp_nobody_agreed_on_is_no_matter(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("PA", REQUEST, options=Options(timestamps=(1, 2)))
    assert peer.get()[0].payload
    peer.send("PA", REQUEST, options=Options(timestamps=(0, 2)))
    assert peer.get()[0].payload


@pytest.mark.rfc("7323", "5.2", "MUST", "timestamps are compared modulo 2^32")
def test_a_timestamp_clock_may_wrap(host: Host) -> None:
    peer = Peer(host, timestamps=True)
    peer.send("S", options=Options(timestamps=(0xFFFFFFFF, 0)))
    peer.get()
    peer.send("A", options=Options(timestamps=(0, 0)))
    peer.send("PA", REQUEST, options=Options(timestamps=(1, 0)))
    (got,) = peer.get()
    assert got.options.timestamps is not None and got.options.timestamps[1] == 1 and got.payload


PATHS = ["/b0", "/b1", "/b63", "/b64", "/b65", "/b1k", "/none"]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    cuts=st.integers(1, 30),
    timestamps=st.booleans(),
    iss=st.integers(0, 2**32 - 1),
)
def test_a_stream_cut_doubled_mixed_and_overlapped_gives_the_same_responses(
    image: SiteImage, seed: int, cuts: int, timestamps: bool, iss: int
) -> None:
    chance = random.Random(seed)
    paths = chance.choices(PATHS, k=chance.randint(1, 40))
    octets = b"".join(get_request(path) for path in paths)
    whole = _replies(image, [(0, octets)], len(octets), 0, False, 1)
    marks = sorted({0, len(octets), *(chance.randrange(len(octets)) for _ in range(cuts))})
    pieces = []
    for start, end in pairwise(marks):
        lead, tail = chance.choice([0, 0, 5, 300]), chance.choice([0, 0, 7, 500])
        start, end = max(0, start - lead), min(len(octets), end + tail)
        pieces += [(start, octets[start:end])] * chance.choice([1, 1, 2])
    if chance.random() < 0.7:
        chance.shuffle(pieces)
    mixed = _replies(image, pieces, len(octets), seed, timestamps, iss)
    assert mixed == whole
    assert [one.status for one in responses(mixed)] == [404 if path == "/none" else 200 for path in paths]


def _replies(
    image: SiteImage, pieces: list[tuple[int, bytes]], total: int, seed: int, timestamps: bool, iss: int
) -> bytes:
    """The response octets when the pieces come in this order, again and again until all are taken."""
    host = Host(image.buffer)
    peer = Peer(host, timestamps=timestamps, iss=iss).connect()
    chance = random.Random(seed)
    taken = 0
    for _ in range(200):
        for start, piece in pieces:
            for at in range(0, len(piece), 1400):
                peer.send("A", piece[at : at + 1400], seq=1 + start + at)
                if chance.random() < 0.5:
                    taken = max([taken, *(got.ack - 1 for got in peer.get())])
        taken = max([taken, *(got.ack - 1 for got in peer.get())])
        peer.snd = 1 + taken
        peer.send("A")
        if taken == total and not peer.get():
            assert host.engine.frames_lost() == 0
            return peer.stream.octets()
    raise AssertionError(f"{taken} of {total} octets were taken")
