"""Every response has its line, whatever the request; a full ring drops and counts, or holds requests back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bypass._engine import LogFormat
from bypass.accesslog.format import parse_format
from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import WALL_S, Site

SMALL = b"GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n"
LEAST = 65536


def form_of(text: str) -> LogFormat:
    parsed = parse_format(text)
    return LogFormat(parsed.pieces, json=parsed.json)


def lines(net: Net, text: str = "$request|$status|$body_bytes_sent") -> list[str]:
    """What was logged since the last call."""
    form = form_of(text)
    out = bytearray(form.line_bytes_most + LEAST)
    read = b""
    while True:
        octets, _ = net.engine.format_log(form, out)
        if not octets:
            break
        read += out[:octets]
    assert read.isascii()
    assert not read or read.endswith(b"\n")
    return read.decode().splitlines()


@pytest.fixture
def log_net(make_net: NetMaker) -> Callable[..., Net]:
    def make(**options: Any) -> Net:
        return make_net(**{"log_bytes": LEAST} | options)

    return make


def test_methods_statuses_and_octets(log_net: Callable[..., Net], site: Site) -> None:
    net = log_net()
    connection = net.connect()
    connection.ask(SMALL)
    connection.ask(SMALL.replace(b"GET", b"HEAD"))
    connection.ask(b"GET /sizes/4096.bin?a=b HTTP/1.1\r\nHost: x\r\nRange: bytes=5-14\r\n\r\n")
    connection.ask(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.ask(b"GET /small.txt HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n")
    connection.ask(b"GET /sizes/64.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=99-\r\n\r\n")
    connection.ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.ask(b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n")
    stored = site.image.lookup(b"/small.txt")
    assert stored is not None
    small = stored.record.body_bytes
    found = lines(net)
    not_found = found[3].split("|")
    assert found[:3] == [
        f"GET /small.txt HTTP/1.1|200|{small}",
        "HEAD /small.txt HTTP/1.1|200|0",
        "GET /sizes/4096.bin?a=b HTTP/1.1|206|10",
    ]
    assert not_found[:2] == ["GET /nothing HTTP/1.1", "404"]
    assert found[4:7] == [
        "GET /small.txt HTTP/1.1|304|0",
        "GET /sizes/64.bin HTTP/1.1|416|0",
        "OPTIONS * HTTP/1.1|204|0",
    ]
    assert found[7].startswith("FROB / HTTP/1.1|501|")
    assert len(found) == 8
    assert lines(net) == []


def test_pipelined_and_byte_by_byte(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(SMALL * 5)
    net.connect().ask([SMALL[i : i + 1] for i in range(len(SMALL))])
    assert lines(net, "$request") == ["GET /small.txt HTTP/1.1"] * 6


def test_who_and_when(log_net: Callable[..., Net]) -> None:
    net = log_net()
    connection = net.connect()
    connection.ask(SMALL)
    when = net.second
    assert when == WALL_S  # 2001-09-09 01:46:40
    found = lines(net, "$remote_addr $remote_port [$time_local] $time_iso8601 $msec")
    start = f"10.0.0.2 {connection.port} [09/Sep/2001:01:46:40 +0000] 2001-09-09T01:46:40+00:00 1000000000."
    assert found[0].startswith(start)
    assert len(found[0]) == len(start) + 3


def test_the_words_of_the_request_line(log_net: Callable[..., Net]) -> None:
    net = log_net()
    connection = net.connect()
    connection.ask(SMALL)
    connection.ask(b"nonsense\r\n\r\n")
    found = lines(net, "$request_method|$request_uri|$server_protocol|$status")
    assert found == ["GET|/small.txt|HTTP/1.1|200", "nonsense|-|-|400"]


FIELDS = (
    b'GET / HTTP/1.1\r\nhOsT:\t example.org:80 \r\nUser-Agent:  curl/8 ("x") \r\nreferer: http://a/b\r\n'
    b"Refererx: no\r\nX-User-Agent: no\r\n\r\n"
)


def test_fields_are_found_whatever_their_case(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(FIELDS)
    text = "$http_host|$http_referer|$http_user_agent"
    assert lines(net, text) == ["example.org:80|http://a/b|curl/8 (\\x22x\\x22)"]
    net.connect().ask(SMALL)
    assert lines(net, text) == ["x|-|-"]


def test_the_last_of_several_fields_counts(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(FIELDS.replace(b"\r\n\r\n", b"\r\nREFERER: \t b \r\nuser-AGENT:\r\n\r\n"))
    assert lines(net, "$http_referer|$http_user_agent") == ["b|-"]


def test_texts_of_every_length_are_whole(log_net: Callable[..., Net]) -> None:
    net = log_net()
    connection = net.connect()
    for octets in range(1, 150):
        text = bytes(33 + place % 57 for place in range(octets)).replace(b'"', b"!")
        text = text.replace(b"\\", b"/")
        head = SMALL[:-2] + b"Referer: %b\r\nUser-Agent: %b\r\n\r\n" % (text[::-1], text)
        connection.ask(head)
        want = f"GET /small.txt HTTP/1.1|{text[::-1].decode()}|{text.decode()}|x"
        assert lines(net, "$request|$http_referer|$http_user_agent|$http_host") == [want]


def test_without_variables_of_fields_they_are_not_looked_for(log_net: Callable[..., Net]) -> None:
    net = log_net(log_fields=False)
    net.connect().ask(FIELDS)
    assert lines(net, "$http_user_agent|$status") == ["-|200"]


def test_combined_and_common_are_what_other_servers_write(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(FIELDS)
    start = '10.0.0.2 - - [09/Sep/2001:01:46:40 +0000] "GET / HTTP/1.1" 200 934'
    assert lines(net, "combined") == [start + ' "http://a/b" "curl/8 (\\x22x\\x22)"']
    net.connect().ask(FIELDS)
    assert lines(net, "common") == [start]


def test_json_is_json_whatever_a_peer_sends(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(
        b'GET /"\\%00 HTTP/1.1\r\nHost: x\r\nUser-Agent: a"b\\c\xff\xc3\xa4\t\r\nReferer: \r\n\r\n'
    )
    net.connect().ask(b'GET "\x00\x1b[31m\xff\r\n\r\n')
    first, second = (json.loads(line) for line in lines(net, "json"))
    assert first["request"] == 'GET /"\\%00 HTTP/1.1'
    assert first["user_agent"] == 'a"b\\c\xff\xc3\xa4'
    assert first["referer"] == ""
    assert first["remote_addr"] == "10.0.0.2"
    assert first["status"] == 400 or first["status"] == 404
    assert second["request"] == 'GET "\x00\x1b[31m\xff'
    assert second["status"] == 400


def test_no_peer_can_end_a_line_or_a_quoted_text(log_net: Callable[..., Net]) -> None:
    net = log_net()
    net.connect().ask(b'GET /\r"200" evil\n\x1b]0;x\x07\r\n\r\n')
    net.connect().ask(b"\xff\xfe\x00\r\n\r\n")
    found = lines(net, '"$request" $status')
    assert found == ['"GET /\\x0d\\x22200\\x22 evil" 400', '"\\xff\\xfe\\x00" 400']


def test_long_texts_are_clipped_and_say_so(log_net: Callable[..., Net]) -> None:
    net = log_net()
    target = b"/" + b"a" * 5000
    net.connect().ask(
        b"GET %s HTTP/1.1\r\nHost: x\r\nReferer: %s\r\nUser-Agent: %s\r\n\r\n"
        % (target, b"r" * 2000, b"u" * 2000)
    )
    request, uri, referer, agent = lines(net, "$request|$request_uri|$http_referer|$http_user_agent")[
        0
    ].split("|")
    assert request == "GET /" + "a" * 1019 + "..."
    assert uri == "/" + "a" * 1019 + "..."
    assert referer == "r" * 512 + "..."
    assert agent == "u" * 256 + "..."


def test_refusals_without_a_whole_request_have_their_line(log_net: Callable[..., Net]) -> None:
    net = log_net()
    slow = net.connect()
    slow.ask(b"GET /half HT")
    net.pass_time(12_000, step_ms=100)
    assert lines(net)[0].startswith("GET /half HT|408|")
    net.connect().ask(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    found = lines(net)
    assert found[0].startswith("GET / HTTP/1.1|200|")  # its head was in order
    assert found[1].startswith("-|400|")
    assert len(found) == 2


def test_addresses_of_ipv6_are_written_as_people_do() -> None:
    """The formatter alone, through the whole of RFC 5952: against the standard library."""
    import random
    from ipaddress import IPv6Address

    from bypass._probe import log_address

    chance = random.Random(5)
    for _ in range(5000):
        groups = [chance.choice([0, 0, 0, 1, 0xAB, 0xFFFF, chance.randrange(65536)]) for _ in range(8)]
        packed = b"".join(group.to_bytes(2, "big") for group in groups)
        address = IPv6Address(packed)
        wanted = str(address.ipv4_mapped) if address.ipv4_mapped else str(address)
        assert log_address(packed) == wanted


def test_a_full_ring_drops_and_counts_and_what_is_there_is_whole(log_net: Callable[..., Net]) -> None:
    net = log_net()
    connection = net.connect()
    asked = 0
    while net.counter("log_dropped") == 0:
        connection.ask(SMALL * 50)
        asked += 50
        net.pass_time(10)
        assert asked < 5000
    found = lines(net, "$request")
    assert set(found) == {"GET /small.txt HTTP/1.1"}
    assert len(found) == asked - net.counter("log_dropped")
    connection.ask(SMALL)
    assert len(lines(net)) == 1


def test_lossless_holds_requests_back_and_goes_on_by_itself(log_net: Callable[..., Net], site: Site) -> None:
    net = log_net(log_lossless=True)
    connection = net.connect()
    connection.send(SMALL * 3000)
    net.settle_bounded()
    answered = bytes(connection.received).count(b"HTTP/1.1 200")
    assert 0 < answered < 3000
    logged = 0
    for _ in range(200):
        logged += len(lines(net))
        net.settle_bounded()
        if bytes(connection.received).count(b"HTTP/1.1 200") == 3000:
            break
    logged += len(lines(net))
    assert connection.received == site.response(b"/small.txt") * 3000
    assert logged == 3000
    assert net.counter("log_dropped") == 0


def test_lossless_loses_no_line_of_a_timeout(log_net: Callable[..., Net]) -> None:
    net = log_net(log_lossless=True)
    slow = net.connect()
    slow.ask(b"GET /half HT")
    busy = net.connect()
    busy.send(SMALL * 3000)
    net.settle_bounded()
    net.pass_time_bounded(15_000)
    assert not slow.received  # there was no room for its line
    while lines(net):
        net.settle_bounded()
    net.pass_time_bounded(15_000)
    assert slow.received.startswith(b"HTTP/1.1 408 ")
    assert any(line.startswith("GET /half HT|408|") for line in lines(net))
    assert net.counter("log_dropped") == 0


def test_records_go_around_the_ring_at_every_offset(log_net: Callable[..., Net]) -> None:
    net = log_net()
    connection = net.connect()
    wanted = []
    for number in range(3000):
        name = "/" + "x" * (number * 7 % 300)
        connection.ask(f"GET {name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wanted.append(f"GET {name} HTTP/1.1")
        if number % 50 == 49:
            assert lines(net, "$request") == wanted
            wanted.clear()
    assert net.counter("log_dropped") == 0


def test_an_engine_without_a_log_says_so(make_net: NetMaker) -> None:
    net = make_net()
    with pytest.raises(ValueError, match="no access log"):
        lines(net)


@pytest.mark.parametrize("octets", [1, 4096, LEAST + 1, 3 * LEAST])
def test_a_ring_of_a_wrong_size_is_refused(make_net: NetMaker, octets: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        make_net(log_bytes=octets)
