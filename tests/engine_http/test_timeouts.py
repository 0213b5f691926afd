"""What time does to requests that do not come, come slowly, or come in the middle of the end."""

from __future__ import annotations

from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import Site
from tests.engine_http.requests import get

SECOND_NS = 1_000_000_000


def test_a_head_that_does_not_arrive_in_time_is_408_and_the_end(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS)
    connection = net.connect()
    assert connection.ask(b"GET / HT") == b""
    net.pass_time(900)
    assert connection.received == b""
    net.pass_time(200)
    assert connection.received == site.error(408, second=net.second)
    assert connection.peer_closed
    assert net.counter("header_timeouts") == 1


def test_octets_that_trickle_in_do_not_prolong_the_time_for_a_head(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS)
    connection = net.connect()
    for octet in get("/small.txt"):
        connection.ask(bytes([octet]))
        net.pass_time(100)
        if connection.received:
            break
    assert bytes(connection.received) == site.error(408, second=net.second)
    assert connection.peer_closed


def test_a_slow_request_within_the_time_is_answered(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=10 * SECOND_NS)
    connection = net.connect()
    for octet in get("/small.txt")[:-1]:
        assert connection.ask(bytes([octet])) == b""
        net.pass_time(100)
    assert connection.ask(b"\n") == site.response(b"/small.txt", second=net.second)
    assert net.counter("header_timeouts") == 0


def test_each_request_has_its_own_time(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS)
    connection = net.connect()
    connection.ask(get("/small.txt")[:5])
    for _ in range(5):
        net.pass_time(600)
        answer = connection.ask(get("/small.txt")[5:] + get("/small.txt")[:5])
        assert answer == site.response(b"/small.txt", second=net.second)
    net.pass_time(1100)
    assert net.counter("header_timeouts") == 1


def test_the_408_comes_behind_responses_that_are_still_on_their_way(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS // 5)
    connection = net.connect(auto_ack=False)
    connection.ask(get("/small.txt") * 4 + b"GET")
    first = net.second
    net.pass_time(300)
    connection.ack()
    expected = site.response(b"/small.txt", second=first) * 4 + site.error(408, second=first)
    assert bytes(connection.received) == expected
    assert connection.peer_closed


def test_empty_lines_behind_a_request_are_no_request(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS, request_buffers=1)
    connection = net.connect()
    assert connection.ask(get("/small.txt") + b"\r\n\r\n") == site.response(b"/small.txt")
    connection.ask([b"\r", b"\n", b"\r\n\r", b"\n"])
    net.pass_time(1500)
    assert net.counter("header_timeouts") == 0
    other = net.connect()
    other.ask(get("/small.txt")[:9])
    assert other.refused == 0, "the only request buffer is free"
    assert other.ask(get("/small.txt")[9:]) == site.response(b"/small.txt", second=net.second)
    assert connection.ask(get("/small.txt")) == site.response(b"/small.txt", second=net.second)


def test_half_an_empty_line_is_waited_for_like_a_head(make_net: NetMaker, site: Site) -> None:
    net = make_net(header_timeout_ns=SECOND_NS)
    connection = net.connect()
    connection.ask(b"\r")
    net.pass_time(1100)
    assert bytes(connection.received) == site.error(408, second=net.second)


def test_an_idle_connection_is_closed_without_a_word(make_net: NetMaker) -> None:
    net = make_net(idle_timeout_ns=2 * SECOND_NS, header_timeout_ns=SECOND_NS)
    connection = net.connect()
    connection.ask(get("/small.txt"))
    before = len(connection.received)
    net.pass_time(1900)
    assert not connection.peer_closed
    net.pass_time(200)
    assert connection.peer_closed
    assert len(connection.received) == before
    assert net.counter("idle_timeouts") == 1


def test_draining_closes_idle_connections_and_busy_ones_behind_their_responses(net: Net, site: Site) -> None:
    idle, busy, partial, sending = (net.connect(auto_ack=number != 1) for number in range(4))
    busy.ask(get("/small.txt"))
    partial.ask(get("/small.txt")[:10])
    sending.ask(get("/small.txt", method="POST", fields=b"Content-Length: 2\r\n") + b"a")
    net.engine.drain()
    net.settle()
    assert [c.peer_closed for c in (idle, busy, partial, sending)] == [True, False, False, False]
    busy.ack()
    assert busy.peer_closed
    assert bytes(busy.received) == site.response(b"/small.txt")
    assert partial.ask(get("/small.txt")[10:]) == site.response(b"/small.txt", connection="close")
    assert partial.peer_closed
    assert sending.ask(b"b") == site.error(405)
    assert sending.peer_closed


def test_requests_that_wait_while_draining_begins_are_closed_after_one_more(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(get("/small.txt") * 100)
    net.engine.drain()
    net.settle()
    while connection.acked < len(connection.received):
        connection.ack()
    answered = site.response(b"/small.txt") * 64 + site.response(b"/small.txt", connection="close")
    assert bytes(connection.received) == answered
    assert connection.peer_closed
