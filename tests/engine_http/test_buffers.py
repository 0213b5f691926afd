"""Few request buffers and queue blocks for many connections: nobody starves, nothing is lost."""

from __future__ import annotations

from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import Site
from tests.engine_http.requests import get

SMALL = get("/small.txt")
SECOND_NS = 1_000_000_000


def test_a_partial_request_without_a_buffer_is_not_acknowledged_and_taken_later(
    make_net: NetMaker, site: Site
) -> None:
    net = make_net(request_buffers=1)
    first, second = net.connect(), net.connect()
    first.ask(SMALL[:20])
    second.ask(SMALL[:20])
    assert (first.refused, second.refused) == (0, 20)
    assert net.counter("no_request_buffer") == 1
    assert first.ask(SMALL[20:]) == site.response(b"/small.txt")
    second.resend()
    assert second.refused == 0
    assert second.ask(SMALL[20:]) == site.response(b"/small.txt")


def test_whole_requests_need_no_buffer(make_net: NetMaker, site: Site) -> None:
    net = make_net(request_buffers=1)
    holder, connection = net.connect(), net.connect()
    holder.ask(SMALL[:20])
    for _ in range(5):
        assert connection.ask(SMALL) == site.response(b"/small.txt")
    assert connection.ask(SMALL * 2 + SMALL[:5]) == site.response(b"/small.txt") * 2
    assert connection.refused == 5
    holder.ask(SMALL[20:])
    connection.resend()
    assert connection.ask(SMALL[5:]) == site.response(b"/small.txt")


def test_a_buffer_held_by_silence_comes_back_with_the_header_timeout(make_net: NetMaker, site: Site) -> None:
    net = make_net(request_buffers=1, header_timeout_ns=SECOND_NS)
    silent, second = net.connect(), net.connect()
    silent.ask(SMALL[:20])
    second.ask(SMALL[:20])
    net.pass_time(1100)
    assert bytes(silent.received) == site.error(408, second=net.second)
    second.resend()
    assert second.ask(SMALL[20:]) == site.response(b"/small.txt", second=net.second)


def test_a_connection_that_ends_gives_its_buffer_back(make_net: NetMaker, site: Site) -> None:
    net = make_net(request_buffers=1)
    for _ in range(5):
        connection = net.connect()
        connection.ask(SMALL[:20])
        assert connection.refused == 0
        connection.finish()
        net.pass_time(50)
    refused = net.connect()
    refused.ask(SMALL[:20] + b"\0" + SMALL)
    assert bytes(refused.received) == site.error(400, second=net.second)


def test_without_a_queue_block_a_connection_goes_on_with_two_responses_at_a_time(
    make_net: NetMaker, site: Site
) -> None:
    net = make_net(request_buffers=1)
    hog, other = net.connect(auto_ack=False), net.connect(auto_ack=False)
    assert hog.ask(SMALL * 10) == site.response(b"/small.txt") * 10
    assert other.ask(SMALL * 5) == site.response(b"/small.txt") * 2
    assert net.counter("no_queue_block") > 0
    while other.acked < len(other.received):
        other.ack()
    assert bytes(other.received) == site.response(b"/small.txt") * 5


def test_every_pool_is_whole_after_many_connections_of_all_kinds(make_net: NetMaker, site: Site) -> None:
    net = make_net(request_buffers=2)
    for number in range(60):
        connection = net.connect(auto_ack=number % 3 != 0)
        connection.ask([SMALL * (number % 7), SMALL[: number % 30]])
        if number % 4 == 0:
            connection.ack()
            connection.finish()
            connection.ack()
        else:
            reset(net, connection.port)
        net.connections.clear()
    net.pass_time(100)
    first, second = net.connect(auto_ack=False), net.connect(auto_ack=False)
    for connection in (first, second):
        connection.ask(SMALL * 3 + SMALL[:9])
        assert connection.refused == 0
        assert bytes(connection.received) == site.response(b"/small.txt", second=net.second) * 3


def reset(net: Net, port: int) -> None:
    """The client's RST."""
    connection = net.connections[port]
    connection._inject(4, connection.snd_una, b"")
    net.settle()
    assert net.counter("connections_reset") > 0
