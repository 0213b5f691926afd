"""Who holds what it gets: closed windows, slow readers and heads, hogged blocks; how long, and how much."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND
from tests.engine.peer import Peer, get_request
from tests.engine.stream import responses


def test_a_closed_window_is_held_for_the_idle_time_and_no_longer(make_host: MakeHost) -> None:
    host = make_host(connections=40, idle_timeout_ns=20 * SECOND, flight_blocks=4)
    peers = [Peer(host, port=1 + i, window=0, sack=True).connect() for i in range(30)]
    for peer in peers:
        peer.request("/b1m")
        host.settle()
    for _ in range(25):
        host.sleep(1000, 200)
        for peer in peers:
            peer.send("A", ack=1)
        host.settle()
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 30
    assert Peer(host, port=99, sack=True).connect().fetch("/b1")


def test_while_others_hold_their_windows_closed_an_honest_client_is_served(make_host: MakeHost) -> None:
    """They hold every flight block there is; each costs a probe of one octet now and then, no more."""
    host = make_host(flight_blocks=2)
    for number in range(30):
        held = Peer(host, port=100 + number, window=3000, sack=True).connect()
        held.request("/b1m")
        host.settle()
        held.send("A", window=0)
        host.settle()
    honest = Peer(host, port=99, sack=True).connect()
    for _ in range(10):
        assert len(responses(honest.fetch("/b10k"))[0].body) == 10240
    before = len(host.sleep(10_000, 20))
    assert before <= 30 * 8 and all(len(got.payload) <= 1 for got in host.sleep(5000, 20))


def test_blocks_of_reassembly_that_others_hog_cost_an_honest_client_a_repetition_at_most(
    make_host: MakeHost,
) -> None:
    """Each hog keeps a hole open and makes just enough progress to keep its block."""
    host = make_host(reassembly_blocks=2, request_buffers=40)
    octets = get_request("/b1").replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 400 + b"\r\n\r\n")
    hogs = [Peer(host, port=200 + number, sack=True).connect() for number in range(20)]
    honest = Peer(host, port=99, sack=True).connect()
    for step in range(10):
        for hog in hogs:
            hog.ask("A", octets[step : step + 1], seq=1 + step)
            hog.ask("A", octets[300:310], seq=301)
        request = get_request("/b1k")
        start = honest.snd
        honest.ask("A", request[10:], seq=start + 10)
        first = honest.ask("A", request[:10], seq=start)
        if first[0].ack == start + 10:
            first = honest.ask("A", request[10:], seq=start + 10)
        honest.snd += len(request)
        assert sum(got.size for got in first) > 1024, "served by its second sending at the latest"
        honest.send("A")
        host.sleep(500, 100)
    assert host.count("no_reassembly") > 0 and host.engine.open_connections == 21


@pytest.mark.parametrize("asks_on", [False, True])
def test_a_reader_below_half_a_kilobyte_a_second_is_given_up(make_host: MakeHost, asks_on: bool) -> None:
    """An octet buys 2.1 ms of time. One that takes an octet each second would else hold a connection, and a
    large file's flight block, for months. Requests on top gain no more than the time for a head."""
    host = make_host(idle_timeout_ns=20 * SECOND)
    peer = Peer(host, window=100).connect()
    peer.request("/b1m")
    for second in range(60):
        host.sleep(1000, 100)
        if host.engine.open_connections == 0:
            break
        peer.taken()
        peer.send("A", ack=min(2 + second, peer.rcv))
        if asks_on:
            peer.send("PA", get_request("/b1")[:1], ack=min(2 + second, peer.rcv))
        host.settle()
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 1
    assert second in (range(29, 33) if asks_on else range(19, 23))


def test_a_body_that_trickles_in_is_given_up(make_host: MakeHost) -> None:
    """The same for what comes in: a request's body octet by octet."""
    host = make_host(idle_timeout_ns=20 * SECOND)
    peer = Peer(host).connect()
    head = get_request("/b1").replace(b"\r\n\r\n", b"\r\nContent-Length: 10000\r\n\r\n")
    peer.send("PA", head)
    seconds = 0
    while host.engine.open_connections and not host.count("idle_timeouts") and seconds < 60:
        host.sleep(1000, 100)
        seconds += 1
        peer.send("PA", b"x")
        host.settle()
    assert 19 <= seconds <= 22 and host.count("responses_2xx") == 0


@pytest.mark.parametrize("empty_lines", [False, True])
def test_what_begins_no_request_does_not_keep_a_connection(make_host: MakeHost, empty_lines: bool) -> None:
    """Empty lines, which are read past; and the beginning of a head, over and over, with no buffer for it."""
    host = make_host(idle_timeout_ns=20 * SECOND, header_timeout_ns=100 * SECOND, request_buffers=1)
    if not empty_lines:
        Peer(host, port=9).connect().send("A", b"GET /")
    peer = Peer(host).connect()
    seconds = 0
    while seconds < 40:
        host.sleep(1000, 100)
        seconds += 1
        if "F" in "".join(got.flags for got in peer.taken()):
            break
        peer.send("A", b"\r\n" if empty_lines else b"GET /", seq=None if empty_lines else 1)
        host.settle()
    assert seconds in range(20, 23)
    assert empty_lines or host.count("no_request_buffer") > 0


def test_a_body_at_a_kilobyte_a_second_arrives(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=5 * SECOND)
    peer = Peer(host).connect()
    peer.send("PA", get_request("/b1").replace(b"\r\n\r\n", b"\r\nContent-Length: 30000\r\n\r\n"))
    for _ in range(30):
        host.sleep(1000, 100)
        peer.send("PA", b"x" * 1000)
        host.settle()
    assert host.count("responses_2xx") == 1 and host.count("idle_timeouts") == 0


def test_slow_headers_hold_a_buffer_for_the_header_time_and_no_longer(make_host: MakeHost) -> None:
    """Slowloris: every buffer taken by heads that never end. They come back, and 408 says why."""
    host = make_host(connections=64, request_buffers=4, header_timeout_ns=3 * SECOND)
    slow = [Peer(host, address=bytes([10, 0, 1, i])).connect() for i in range(8)]
    for _ in range(5):
        for peer in slow:
            peer.send("A", b"X-a: b\r\n" if peer.snd > 1 else b"GET / HTTP/1.1\r\n")
            host.settle()
        host.sleep(1000, 100)
    assert host.count("header_timeouts") >= 4 and host.count("responses_4xx") >= 4
    honest = Peer(host, port=99).connect()
    assert responses(honest.fetch("/b1")), "a whole request in one segment needs no buffer"
