"""httplint, the checker behind REDbot, finds nothing bad in what we answer."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import httptools
import pytest
from httplint import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair

pytestmark = pytest.mark.root

PNG = (Path(__file__).parents[2] / "bypass" / "data" / "demo-site" / "img" / "streams.png").read_bytes()
FILES = {
    "index.html": b"<!doctype html><html lang=en><title>x</title><p>" + b"text " * 400,
    "site.css": b"body{margin:0}" * 50,
    "site.js": b"'use strict';\n" * 50,
    "dot.png": PNG,
    "data.json": b'{"a": 1}',
    "docs/index.html": b"<!doctype html><title>docs</title>",
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VethPair]:
    root = tmp_path_factory.mktemp("site")
    for name, content in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    with VethPair(isolate_server=True) as made, run_bypass(made, Path(root), cpu=0, poll="balanced"):
        yield made


class Answer:
    """One response as it came over the wire, in pieces that httplint takes."""

    def __init__(self, raw: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.reason = b""
        self.body = b""
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(raw)
        self.status = parser.get_status_code()

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def value(self, name: bytes) -> bytes:
        return {known.lower(): value for known, value in self.fields}[name.lower()]


def ask(pair: VethPair, method: str, path: str, fields: dict[str, str]) -> Answer:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {pair.server.v4}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    with pair.inside_client():
        client = socket.create_connection((str(pair.server.v4), 80), timeout=20)
    raw = b""
    with client:
        client.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        while data := client.recv(1 << 16):
            raw += data
    return Answer(raw)


def bad_notes(pair: VethPair, method: str, path: str, fields: dict[str, str], answer: Answer) -> list[str]:
    request = HttpRequestLinter()
    request.process_request_topline(method.encode(), f"http://{pair.server.v4}{path}".encode(), b"1.1")
    request.process_headers([(name.encode(), value.encode()) for name, value in fields.items()])
    request.finish_content(True)
    response = HttpResponseLinter(_related=request)
    response.is_head_response = method == "HEAD"
    response.base_uri = f"http://{pair.server.v4}{path}"
    response.process_response_topline(b"1.1", str(answer.status).encode(), answer.reason)
    response.process_headers(answer.fields)
    response.feed_content(answer.body)
    response.finish_content(True)
    return [f"{note.summary}" for note in response.notes if note.level is levels.BAD]


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/index.html", {}, 200),
        ("HEAD", "/index.html", {}, 200),
        ("GET", "/site.css", {}, 200),
        ("GET", "/site.js", {}, 200),
        ("GET", "/dot.png", {}, 200),
        ("GET", "/data.json", {}, 200),
        ("GET", "/data.json?x=1", {}, 200),
        ("GET", "/docs", {}, 301),
        ("GET", "/nothing", {}, 404),
        ("GET", "/site.css", {"If-None-Match": "*"}, 304),
        ("GET", "/site.css", {"Range": "bytes=10-99"}, 206),
        ("GET", "/site.css", {"Range": "bytes=-5"}, 206),
        ("GET", "/site.css", {"Range": "bytes=90000-"}, 416),
        ("GET", "/site.css", {"If-Match": '"none"'}, 412),
        ("OPTIONS", "/site.css", {}, 204),
        ("DELETE", "/site.css", {}, 405),
    ],
)
def test_nothing_bad_is_found(
    pair: VethPair, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    answer = ask(pair, method, path, fields)
    assert answer.status == status
    assert bad_notes(pair, method, path, fields, answer) == []


def test_a_revalidation_with_the_tag_and_date_that_were_given_is_clean(pair: VethPair) -> None:
    first = ask(pair, "GET", "/site.js", {})
    for name, given in (("If-None-Match", b"ETag"), ("If-Modified-Since", b"Last-Modified")):
        fields = {name: first.value(given).decode()}
        answer = ask(pair, "GET", "/site.js", fields)
        assert answer.status == 304
        assert bad_notes(pair, "GET", "/site.js", fields, answer) == []


def test_several_ranges_lack_only_what_they_must_lack(pair: VethPair) -> None:
    """The checker wants a Content-Range in the head; of several parts each has its own, and the head must not
    have one (RFC 9110 15.3.7.2)."""
    fields = {"Range": "bytes=0-1,10-11"}
    answer = ask(pair, "GET", "/site.css", fields)
    assert answer.status == 206
    assert answer.value(b"Content-Type").startswith(b"multipart/byteranges")
    (note,) = bad_notes(pair, "GET", "/site.css", fields, answer)
    assert "Content-Range" in note


def test_the_checker_finds_what_it_is_there_for(pair: VethPair) -> None:
    answer = ask(pair, "GET", "/site.css", {})
    answer.fields = [
        (b"Last-Modified", b"yesterday"),
        (b"Content-Length", b"7"),
        (b"Content-Encoding", b"gzip"),
    ]
    assert len(bad_notes(pair, "GET", "/site.css", {}, answer)) > 1
    assert zlib.crc32(answer.body)
