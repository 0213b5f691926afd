"""Connections on which nothing moves: idle, silent, half-way (the worker's timers)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND, START, TICK, WALL_OFFSET, Host
from tests.engine.peer import Peer, get_request, seg
from tests.engine.stream import responses


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host(idle_timeout_ns=20 * SECOND, header_timeout_ns=3 * SECOND, time_wait_ns=SECOND)


@pytest.mark.rfc("9293", "MUST-25")
def test_an_idle_connection_is_closed_gracefully(host: Host) -> None:
    peer = Peer(host).connect()
    host.sleep(19_900, 100)
    peer.expect()
    host.sleep(200, 100)
    peer.expect(seg("FA", seq=1, ack=1, payload=b""))
    assert host.count("idle_timeouts") == 1 and host.engine.open_connections == 1
    peer.send("FA")
    peer.expect(seg("A"))
    assert host.engine.open_connections == 0


def test_an_idle_client_that_does_not_close_is_reset(host: Host) -> None:
    peer = Peer(host).connect()
    host.sleep(20_100, 100)
    peer.send("A")
    assert host.engine.open_connections == 1
    host.sleep(19_900, 100)
    assert host.engine.open_connections == 1
    host.sleep(300, 100)
    assert "R" in peer.taken()[-1].flags
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 1


def test_an_idle_client_that_vanished_is_given_up(host: Host) -> None:
    Peer(host).connect()
    host.sleep(60_000, 100)
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 1


def test_a_request_starts_the_idle_time_anew(host: Host) -> None:
    peer = Peer(host).connect()
    for _ in range(4):
        host.sleep(15_000, 100)
        peer.request("/b1")
        peer.get()
        peer.send("A")
    assert host.engine.open_connections == 1 and host.count("idle_timeouts") == 0


def test_keepalive_probes_and_bare_acks_do_not_keep_a_connection(host: Host) -> None:
    peer = Peer(host).connect()
    for _ in range(25):
        host.sleep(1000, 100)
        peer.send("A", seq=0)
        peer.send("A", seq=1)
        host.settle()
    assert host.count("idle_timeouts") == 1


def test_octets_sent_after_our_fin_do_not_keep_a_connection(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1", close=True)
    peer.get()
    for _ in range(25):
        peer.send("A", b"more")
        host.sleep(1000, 100)
    assert host.engine.open_connections == 0 and host.count("connections_aborted") == 1


def test_a_response_that_the_peer_stops_acknowledging_is_given_up(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1m")
    host.sleep(21_000, 50)
    assert "R" in peer.taken()[-1].flags
    assert host.engine.open_connections == 0 and host.count("idle_timeouts") == 1


def test_a_slow_reader_who_goes_on_is_served(host: Host) -> None:
    """Half a kilobyte a second is enough."""
    peer = Peer(host, window=1460).connect()
    peer.request("/b10k")
    while peer.stream.prefix < 10_240 + 150:
        before = peer.stream.prefix
        host.sleep(2_900, 100)
        peer.taken()
        peer.send("A")
        host.settle()
        assert peer.stream.prefix > before
    assert len(responses(peer.stream.octets())[0].body) == 10240
    assert host.count("idle_timeouts") == 0


def test_a_head_that_never_ends_is_answered_with_408(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("A", b"GET / HT")
    peer.get()
    for _ in range(29):
        host.sleep(100, 100)
        peer.send("A", b"T")
        peer.expect(seg("A"))
    host.sleep(200, 100)
    (got,) = peer.get()
    (response,) = responses(peer.stream.octets())
    assert "F" in got.flags and response.status == 408 and response.closes
    assert host.count("header_timeouts") == 1


@pytest.mark.rfc("4987", "3.3", "MAY", "a half-open connection is given up soon")
def test_a_handshake_that_is_never_completed_is_forgotten(host: Host) -> None:
    Peer(host).syn()
    host.sleep(32_000, 100)
    assert host.engine.open_connections == 0


@pytest.mark.rfc("9293", "MUST-21")
def test_a_short_idle_time_ends_a_half_open_connection_too(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=2 * SECOND)
    peer = Peer(host)
    peer.syn()
    host.sleep(2100, 10)
    assert "R" in peer.taken()[-1].flags and host.engine.open_connections == 0
    assert Peer(host, port=2).connect().fetch("/b1")


def test_many_timers_of_one_moment_are_all_worked_off(make_host: MakeHost) -> None:
    host = make_host(connections=1500, rx_frames=2048, tx_frames=2048, idle_timeout_ns=5 * SECOND)
    peers = [Peer(host, port=1000 + i) for i in range(700)]
    for peer in peers:
        peer.send("S")
    host.settle()
    for peer in peers:
        peer.taken()
        peer.send("A")
    host.settle()
    assert host.engine.open_connections == 700
    host.jump(5100)
    for _ in range(5):
        host.turn()
    assert host.count("idle_timeouts") == 700
    assert all(set(peer.taken()[0].flags) - {"P"} == {"F", "A"} for peer in peers)


@pytest.mark.parametrize("pause_s", [1, 8, 9, 100, 5000])
def test_a_sleeper_who_wakes_late_does_not_lose_timers(host: Host, pause_s: int) -> None:
    """Beyond the horizon of the timer wheel (8.6 s), too."""
    peer = Peer(host).connect()
    peer.request("/b64")
    (first,) = peer.get()
    host.jump(1000 * pause_s)
    got = peer.taken()
    assert got[0].payload == first.payload or "R" in got[0].flags
    assert ("R" in got[-1].flags) == (pause_s >= 20)


@pytest.mark.parametrize("wrap_at", [1 << 52, 1 << 51, (1 << 32) * 1000, (1 << 32) * 1_000_000])
def test_clocks_may_wrap(make_host: MakeHost, wrap_at: int) -> None:
    """The tick (2^20 ns, 32 bits), the microsecond and the millisecond counters all start anew one day."""
    host = make_host(
        now_ns=wrap_at - 100 * TICK,
        wall_offset_ns=WALL_OFFSET + START - wrap_at,
        idle_timeout_ns=5 * SECOND,
        time_wait_ns=SECOND,
    )
    peer = Peer(host, timestamps=True).connect()
    peer.request("/b64")
    first = peer.get()
    host.sleep(120)
    peer.taken()
    assert host.until_sent(500) == pytest.approx(80, abs=5)
    assert peer.taken()[0].payload == first[0].payload
    peer.send("A")
    host.sleep(4900, 50)
    assert host.engine.open_connections == 1 and host.count("idle_timeouts") == 0
    host.sleep(200, 50)
    assert host.count("idle_timeouts") == 1
    peer.send("FA")
    assert peer.get()[-1].ack == peer.snd
    host.sleep(2000, 50)
    peer.send("A")
    peer.expect(seg("R"))


def test_the_first_second_of_1970_has_a_date(make_host: MakeHost) -> None:
    host = make_host(now_ns=0, wall_offset_ns=0)
    (response,) = responses(Peer(host).connect().fetch("/b1"))
    assert response.date == b"Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.rfc("9293", "MUST-21")
def test_the_longest_timeouts_are_taken(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=2**63, header_timeout_ns=2**63, time_wait_ns=2**63)
    peer = Peer(host).connect()
    peer.send("A", get_request("/b1")[:10])
    peer.get()
    host.jump(3_600_000)
    peer.send("A", get_request("/b1")[10:])
    assert peer.get()[0].payload.startswith(b"HTTP/1.1 200")
