"""What a connection cannot hold it does not take: full queues, no buffers, and going on afterwards."""

from __future__ import annotations

import pytest

from tests.engine_http.client import Connection, Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import Site

SMALL = b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n"
QUEUE_MOST = 64


def acknowledge_everything(connection: Connection, octets: int | None = None) -> None:
    """Acknowledges until nothing new comes."""
    while True:
        before = len(connection.received)
        connection.ack(octets)
        if len(connection.received) == before == connection.acked:
            return


def test_without_acknowledgements_no_more_than_a_full_queue_is_answered(net: Net) -> None:
    connection = net.connect(auto_ack=False)
    # 304, the shortest answer there is: the congestion window is not what limits it
    answer = connection.ask((SMALL[:-2] + b"If-None-Match: *\r\n\r\n") * 100)
    assert answer.count(b"HTTP/1.1 304 ") == QUEUE_MOST
    assert answer.endswith(b"\r\n\r\n")


def test_the_window_shrinks_by_the_requests_that_wait(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(SMALL * QUEUE_MOST)
    whole = connection.peer_window
    connection.ask(SMALL * 10)
    assert connection.peer_window == whole - 10 * len(SMALL)
    assert connection.refused == 0


def test_one_acknowledgement_of_all_responses_lets_the_waiting_requests_be_answered(
    net: Net, site: Site
) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(SMALL * 100)
    connection.ack()
    assert connection.received == site.response(b"/small.txt") * 100


@pytest.mark.parametrize("step", [1, 173, 700, 5000])
def test_waiting_requests_are_answered_in_order_however_acknowledgements_come(
    net: Net, site: Site, step: int
) -> None:
    paths = [b"/small.txt", b"/sizes/65.bin", b"/sizes/1.bin", b"/docs/"]
    wanted = [paths[i * i % 4] for i in range(90)]
    connection = net.connect(auto_ack=False)
    connection.ask(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in wanted))
    if step == 1:
        for _ in range(300):
            connection.ack(1)
    acknowledge_everything(connection, max(step, 100))
    assert bytes(connection.received) == b"".join(site.response(path) for path in wanted)
    assert net.counter("header_timeouts") == 0


def test_more_requests_than_the_window_holds_are_all_answered(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    connection.ask(SMALL * 1000)
    assert connection.peer_window < len(SMALL)
    assert len(b"".join(connection.waiting)) > 100 * len(SMALL)
    acknowledge_everything(connection)
    assert bytes(connection.received) == site.response(b"/small.txt") * 1000
    assert max(connection.windows) <= 16384


def test_time_spent_waiting_for_the_queue_is_not_counted_against_a_partial_request(
    make_net: NetMaker, site: Site
) -> None:
    net = make_net(header_timeout_ns=1_000_000_000)
    connection = net.connect(auto_ack=False)
    connection.ask(SMALL * QUEUE_MOST + SMALL[:10])
    for _ in range(15):
        net.pass_time(100)
        connection.ack(10)
    connection.ack(len(site.response(b"/small.txt")))
    net.pass_time(800)
    assert net.counter("header_timeouts") == 0
    acknowledge_everything(connection)
    assert connection.ask(SMALL[10:]) == site.response(b"/small.txt", second=net.second)
    assert net.counter("header_timeouts") == 0


def test_a_window_that_opens_without_a_response_is_announced(net: Net, site: Site) -> None:
    head = b"POST /small.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    connection = net.connect(auto_ack=False)
    connection.ask(SMALL * QUEUE_MOST + head + b"b" * 60000)
    assert connection.peer_window < 1460 and connection.waiting
    acknowledge_everything(connection)
    assert bytes(connection.received) == site.response(b"/small.txt") * QUEUE_MOST + site.error(405)
    assert not connection.waiting
