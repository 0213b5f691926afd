"""What a single request draws: files, heads, redirects, errors, and how the connection goes on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import h11
import pytest

from tests.engine_http.client import Net
from tests.engine_http.conftest import NetMaker
from tests.engine_http.reference import SIZES, WALL_S, Site, content, files
from tests.engine_http.requests import get
from tests.http.cases import ACCEPTED, REFUSED, Accepted, Refused


def read_with_h11(stream: bytes, method: str = "GET") -> tuple[h11.Response, bytes]:
    """The only response in the stream, as another's client reads it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(stream)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        body += event.data
    assert client.trailing_data == (b"", False)
    return response, body


@pytest.mark.parametrize("mss", [536, 537, 1000, 1460])
def test_every_file_comes_back_as_it_lies_on_the_disk(net: Net, site: Site, mss: int) -> None:
    connection = net.connect(mss=mss)
    for name, octets in files().items():
        path = "/" + name.replace(" ", "%20").replace("\u00e9", "%C3%A9")
        answer = connection.ask(get(path))
        assert answer == site.response(f"/{name}".encode())
        assert read_with_h11(answer)[1] == octets == (site.root / name).read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_a_head_is_the_head_of_the_get_octet_for_octet(net: Net, size: int) -> None:
    connection = net.connect()
    whole = connection.ask(get(f"/sizes/{size}.bin"))
    head = connection.ask(get(f"/sizes/{size}.bin", method="HEAD"))
    assert head == whole[: len(whole) - size]
    assert head.endswith(b"\r\n\r\n")
    assert whole[len(head) :] == content(size)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/sizes/65.bin", 200), ("/docs", 301), ("/nothing", 404), ("/%00", 404), ("/a%2Fb", 404)],
)
def test_fields_are_what_a_client_needs(net: Net, path: str, status: int) -> None:
    answer = net.connect().ask(get(path))
    response, body = read_with_h11(answer)
    fields = {name.decode(): value.decode() for name, value in response.headers}
    assert response.status_code == status
    assert int(fields["content-length"]) == len(body)
    assert parsedate_to_datetime(fields["date"]) == datetime.fromtimestamp(WALL_S, UTC)
    assert fields["content-type"]
    if status == 200:
        assert re.fullmatch(r'"[!#-~]+"', fields["etag"]), "a strong entity tag"
    assert len(fields) == len(response.headers)


def test_a_folder_answers_with_its_index_and_its_bare_name_leads_there(net: Net, site: Site) -> None:
    connection = net.connect()
    assert connection.ask(get("/")) == connection.ask(get("/index.html")) == site.response(b"/index.html")
    assert connection.ask(get("/docs/")) == site.response(b"/docs/index.html")
    response, _ = read_with_h11(connection.ask(get("/docs")))
    assert response.status_code == 301
    assert dict(response.headers)[b"location"] == b"/docs/"
    assert connection.ask(get("/docs/?a")) == site.response(b"/docs/index.html")


def test_equal_files_have_equal_tags_and_others_do_not(net: Net) -> None:
    connection = net.connect()
    tags = []
    for path in ("/", "/index.html", "/docs/", "/sizes/64.bin", "/sizes/65.bin"):
        response, _ = read_with_h11(connection.ask(get(path)))
        tags.append(dict(response.headers)[b"etag"])
    assert tags[0] == tags[1]
    assert len(set(tags)) == 4


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"])
def test_a_known_method_that_is_not_for_files_is_405_with_allow(net: Net, site: Site, method: str) -> None:
    connection = net.connect()
    answer = connection.ask(get("/small.txt", method=method))
    assert answer == site.error(405)
    assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in answer
    assert connection.ask(get("/small.txt")) == site.response(b"/small.txt")


@pytest.mark.parametrize("target", ["*", "/", "/small.txt", "/small.txt?x"])
def test_options_says_what_can_be_asked_and_goes_on(net: Net, site: Site, target: str) -> None:
    connection = net.connect()
    answer = connection.ask(get(target, method="OPTIONS"))
    assert answer == site.error(204)
    assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in answer
    assert b"Content-" not in answer, "RFC 9110 8.6"
    assert not connection.peer_closed


@pytest.mark.parametrize("method", ["BREW", "get", "M" * 32, "M" * 33])
def test_an_unknown_method_is_501_and_the_end(net: Net, site: Site, method: str) -> None:
    connection = net.connect()
    assert connection.ask(get("/small.txt", method=method) + get("/")) == site.error(501)
    assert connection.peer_closed


@pytest.mark.parametrize(
    ("first_line", "fields", "says", "closes"),
    [
        (b"GET /small.txt HTTP/1.1", b"Host: a\r\n", "", False),
        (b"GET /small.txt HTTP/1.1", b"Host: a\r\nConnection: keep-alive\r\n", "", False),
        (b"GET /small.txt HTTP/1.1", b"Host: a\r\nConnection: close\r\n", "close", True),
        (b"GET /small.txt HTTP/1.1", b"Host: a\r\nConnection: TE, Close\r\n", "close", True),
        (b"GET /small.txt HTTP/1.2", b"Host: a\r\n", "", False),
        (b"GET /small.txt HTTP/1.0", b"", "close", True),
        (b"GET /small.txt HTTP/1.0", b"Connection: Keep-Alive\r\n", "keep-alive", False),
        (b"GET /small.txt HTTP/1.0", b"Connection: keep-alive, close\r\n", "close", True),
    ],
)
def test_the_connection_goes_on_or_ends_as_agreed(
    net: Net, site: Site, first_line: bytes, fields: bytes, says: str, closes: bool
) -> None:
    connection = net.connect()
    answer = connection.ask(first_line + b"\r\n" + fields + b"\r\n")
    assert answer == site.response(b"/small.txt", connection=says)
    assert connection.peer_closed == closes
    again = connection.ask(get("/small.txt"))
    assert again == (b"" if closes else site.response(b"/small.txt"))


@pytest.mark.parametrize("status", [400, 404, 405, 417])
def test_keep_alive_of_http_1_0_is_repeated_on_errors_that_do_not_close(
    net: Net, site: Site, status: int
) -> None:
    line = {400: b"GET /..", 404: b"GET /none", 405: b"PUT /", 417: b"GET /"}[status]
    expect = b"Expect: x\r\n" if status == 417 else b""
    connection = net.connect()
    answer = connection.ask(line + b" HTTP/1.0\r\nConnection: keep-alive\r\n" + expect + b"\r\n")
    assert answer == site.error(status, connection="" if status == 400 else "keep-alive")
    assert connection.peer_closed == (status == 400)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.what)
def test_a_malformed_request_draws_its_status_then_the_end_and_nothing_after(
    net: Net, site: Site, case: Refused
) -> None:
    connection = net.connect()
    answer = connection.ask(case.octets + b"\r\n\r\n" + get("/small.txt"))
    assert answer == site.error(case.status)
    assert connection.peer_closed
    assert not connection.peer_reset
    assert connection.ask(get("/small.txt")) == b""
    assert connection.refused == 0, (
        "what follows is acknowledged and thrown away, so that no RST destroys the answer"
    )


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.what)
def test_a_sound_head_draws_one_response_that_another_client_can_read(net: Net, case: Accepted) -> None:
    connection = net.connect()
    length = case.fields.get("content_length", 0)
    assert isinstance(length, int)
    body = b"0\r\n\r\n" if case.fields.get("chunked") else b"x" * length
    answer = connection.ask(case.octets + body)
    method = "HEAD" if case.fields.get("method") == "HEAD" else "GET"
    response, _ = read_with_h11(answer, method)
    closes = any(name == b"connection" and value == b"close" for name, value in response.headers)
    assert connection.peer_closed == closes


@pytest.mark.parametrize(
    "request_head",
    [b"HEAD / HTTP/1.1\r\n\r\n", b"HEAD /.. HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD / HTTP/9.0\r\n\r\n"],
)
def test_a_malformed_head_request_draws_no_content(net: Net, site: Site, request_head: bytes) -> None:
    status = 505 if b"9.0" in request_head else 400
    assert net.connect().ask(request_head) == site.error(status, head_only=True)


@pytest.mark.parametrize(
    ("fields", "version", "closes"),
    [
        (b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"1.1", True),
        (b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", b"1.1", True),
        (b"Expect: 100-continue\r\n", b"1.1", False),
        (b"Expect: 100-continue\r\nContent-Length: 0\r\n", b"1.1", False),
        (b"Connection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 3\r\n", b"1.0", False),
    ],
)
def test_an_expected_continue_is_answered_at_once_and_ends_the_connection_before_the_body(
    net: Net, site: Site, fields: bytes, version: bytes, closes: bool
) -> None:
    connection = net.connect()
    answer = connection.ask(b"GET /small.txt HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n")
    if version == b"1.0":
        assert answer == b""
        answer = connection.ask(b"abc")
    says = "close" if closes else "keep-alive" if version == b"1.0" else ""
    assert answer == site.response(b"/small.txt", connection=says)
    assert connection.peer_closed == closes


def test_the_date_is_that_of_the_answer_and_stays_when_it_is_sent_again(net: Net, site: Site) -> None:
    connection = net.connect(auto_ack=False)
    answer = connection.ask(get("/small.txt"))
    assert answer == site.response(b"/small.txt", second=WALL_S)
    net.pass_time(5000)
    assert net.counter("retransmitted") > 0
    assert connection.received == answer, "the client compares what is sent again"
    connection.ack()
    assert connection.ask(get("/small.txt")) == site.response(b"/small.txt", second=net.second)
    assert net.second >= WALL_S + 5


def test_the_first_second_of_1970_has_a_date_too(make_net: NetMaker, site: Site) -> None:
    net = make_net(wall_s=0)
    assert net.connect().ask(get("/small.txt")) == site.response(b"/small.txt", second=0)


def test_requests_and_responses_are_counted_by_class(net: Net) -> None:
    connection = net.connect()
    connection.ask(get("/") + get("/docs") + get("/nothing") + get("/", method="HEAD") + get("/", method="X"))
    assert net.counter("requests") == 5
    counted = [net.counter(f"responses_{status}xx") for status in (2, 3, 4, 5)]
    assert counted == [2, 1, 1, 1]
