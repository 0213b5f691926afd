"""Streams of requests on one connection: the same octets give the same answer however they are cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import pytest

from tests.engine_http.client import Connection, Net, cut
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import Site
from tests.engine_http.requests import Exchange, exchange, get, last_exchange
from tests.http.cases import REFUSED, Refused


def script(rng: random.Random, site: Site, count: int) -> list[Exchange]:
    """`count` exchanges; now and then the last one ends the connection."""
    exchanges = [exchange(rng, site) for _ in range(count)]
    if rng.random() < 0.5:
        exchanges[-1] = last_exchange(rng, site)
    return exchanges


def sizes(rng: random.Random) -> Iterator[int]:
    """Of segments: single octets, whole segments, or anything."""
    most = rng.choice([1, 3, 40, 300, 1460])
    return iter(partial(rng.randint, 1, most), 0)


def check(connection: Connection, exchanges: list[Exchange]) -> None:
    assert bytes(connection.received) == b"".join(entry.response for entry in exchanges)
    assert connection.peer_closed == exchanges[-1].closes
    assert not connection.peer_reset


@pytest.mark.parametrize("seed", range(60))
def test_any_cut_of_a_stream_draws_the_same_responses(net: Net, site: Site, seed: int) -> None:
    rng = random.Random(seed)
    exchanges = script(rng, site, rng.choice([1, 2, 3, 10, 30]))
    stream = b"".join(entry.request for entry in exchanges)
    for _ in range(3):
        connection = net.connect(mss=rng.choice([536, 1001, 1460]))
        connection.ask(cut(stream, sizes(rng)))
        check(connection, exchanges)


@pytest.mark.parametrize("seed", range(8))
def test_up_to_two_hundred_pipelined_requests_are_answered_in_order(net: Net, site: Site, seed: int) -> None:
    rng = random.Random(1000 + seed)
    exchanges = script(rng, site, rng.choice([65, 100, 150, 200]))
    connection = net.connect()
    connection.ask(cut(b"".join(entry.request for entry in exchanges), sizes(rng)))
    check(connection, exchanges)


@pytest.mark.parametrize("seed", range(12))
def test_slow_acknowledgements_and_small_windows_change_nothing(net: Net, site: Site, seed: int) -> None:
    rng = random.Random(2000 + seed)
    exchanges = script(rng, site, 80)
    connection = net.connect(auto_ack=False, window=rng.choice([600, 3000, 20000]))
    connection.ask(cut(b"".join(entry.request for entry in exchanges), sizes(rng)))
    while True:
        before = len(connection.received)
        connection.ack(rng.choice([100, 1000, 5000]))
        if len(connection.received) == before == connection.acked:
            break
    check(connection, exchanges)


@pytest.mark.parametrize("request_buffers", [64, 3])
def test_many_connections_at_once_do_not_mix_their_streams(
    make_net: NetMaker, site: Site, request_buffers: int
) -> None:
    net = make_net(request_buffers=request_buffers)
    rng = random.Random(7)
    scripts = [script(rng, site, 12) for _ in range(40)]
    connections = [net.connect() for _ in scripts]
    for connection, exchanges in zip(connections, scripts, strict=True):
        connection.send(cut(b"".join(entry.request for entry in exchanges), sizes(rng)))
    net.settle()
    for _ in range(1000):
        if not any(connection.refused for connection in connections):
            break
        for connection in connections:
            connection.resend()
    for connection, exchanges in zip(connections, scripts, strict=True):
        check(connection, exchanges)
    assert (net.counter("no_request_buffer") > 0) == (request_buffers == 3)


def test_every_cut_in_two_of_a_short_stream(net: Net, site: Site) -> None:
    post = get("/small.txt", method="POST")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    stream = get("/small.txt") + b"\r\n" + post + get("/nothing", method="HEAD")
    expected = site.response(b"/small.txt") + site.error(405) + site.error(404, head_only=True)
    connection = net.connect()
    for place in range(1, len(stream)):
        assert connection.ask([stream[:place], stream[place:]]) == expected


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.what)
def test_a_malformed_request_in_pieces_draws_what_it_draws_whole(net: Net, site: Site, case: Refused) -> None:
    stream = get("/small.txt") + case.octets + b"\r\n\r\n" + get("/small.txt")
    rng = random.Random(1)
    for most in (1, 40, 1400) if len(stream) < 1000 else (1000, 1400):
        connection = net.connect()
        answer = connection.ask(cut(stream, iter(partial(rng.randint, 1, most), 0)))
        assert answer == site.response(b"/small.txt") + site.error(case.status)
        assert connection.peer_closed


def test_what_is_left_of_a_request_when_the_client_finishes_draws_nothing(net: Net, site: Site) -> None:
    connection = net.connect()
    connection.ask(get("/small.txt") * 3 + get("/small.txt")[:-1])
    connection.finish()
    assert bytes(connection.received) == site.response(b"/small.txt") * 3
    assert connection.peer_closed


def test_requests_that_wait_when_the_client_finishes_are_answered(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/small.txt") * 150)
    connection.finish()
    assert not connection.peer_closed
    while not connection.peer_closed or connection.acked < len(connection.received):
        before = connection.acked
        connection.ack()
        assert connection.acked > before or connection.peer_closed
    assert bytes(connection.received) == site.response(b"/small.txt") * 150


def test_a_reused_record_starts_afresh(make_net: NetMaker, site: Site) -> None:
    net = make_net(connections=1, time_wait_ns=1_000_000)
    for request in (
        get("/small.txt")[:20],
        b"\0",
        get("/", method="POST")[:-2] + b"Content-Length: 9\r\n\r\n",
    ):
        connection = net.connect()
        connection.ask(request)
        connection.finish()
        net.pass_time(100)
        assert net.engine.open_connections == 0
        assert net.connect().ask(get("/small.txt")) == site.response(b"/small.txt", second=net.second)
        list(net.connections.values())[-1].finish()
        net.pass_time(100)


def test_a_bare_line_feed_in_a_later_piece_is_refused_at_once(net: Net, site: Site) -> None:
    for pieces in (
        [b"GET /", b" HTTP/1.1\n"],
        [b"GET / HTTP/1.1\r\nHost: a\r", b"\n", b"\n"],
        [b"\r", b"\n", b"\n"],
    ):
        connection = net.connect()
        assert connection.ask(pieces) == site.error(400)
        assert connection.peer_closed
