"""Sites described in Python, compiled and served on the memory driver; answers taken apart."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from bypass.site.compile import compile_description
from bypass.site.image import SiteImage, open_image
from bypass.site.resource import Host, Representation, Resource, Site
from tests.engine_http.client import Connection, Net
from tests.engine_http.reference import MODIFIED_S, WALL_S


def page(content: bytes, content_type: str = "text/plain", **more: Any) -> Resource:
    return Resource((Representation(content),), content_type, **more)


def image_of(*hosts: Host) -> SiteImage:
    fd = os.memfd_create("described")
    try:
        compile_description(Site(hosts, files=1), fd, name="described")
        return open_image(fd)
    finally:
        os.close(fd)


def net_of(*hosts: Host, **options: Any) -> Net:
    return Net(image_of(*hosts).buffer, **{"wall_s": WALL_S} | options)


def site_of(**more: Any) -> Host:
    """A host with a few pages."""
    resources = {
        b"/": page(b"home"),
        b"/index.html": page(b"home"),
        b"/a.txt": page(b"a" * 500, modified=MODIFIED_S),
        b"/docs/b.txt": page(b"bb"),
    }
    return Host(resources=resources | more.pop("resources", {}), **more)


@dataclass(frozen=True)
class Answer:
    """One response, as its octets say."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    octets: bytes

    def get(self, name: str) -> str | None:
        """The only value of a field, None without one."""
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field.lower() == name.lower()]


def ask(net: Net | Connection, target: str = "/", method: str = "GET", **fields: str) -> Answer:
    """One request over a new connection (or the one given); `If_None_Match` becomes If-None-Match."""
    connection = net.connect() if isinstance(net, Net) else net
    given = {"Host": "x"} | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return taken_apart(connection.ask(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")), method)


def taken_apart(octets: bytes, method: str = "GET") -> Answer:
    """The one response that `octets` are; its length is checked."""
    head, empty, body = octets.partition(b"\r\n\r\n")
    assert empty
    line, *lines = head.decode("ascii").split("\r\n")
    version, status, _ = line.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = [(name, value) for name, _, value in (each.partition(": ") for each in lines)]
    answer = Answer(int(status), fields, body, octets)
    length = answer.get("Content-Length")
    if method == "HEAD" or answer.status in (204, 304):
        assert body == b""
    else:
        assert length is not None
        assert int(length) == len(body)
    return answer


def sent_again(net: Net, request: bytes, most: int = 60_000) -> tuple[bytes, bytes]:
    """What a request draws, first and once more when nothing of it is acknowledged."""
    connection = net.connect(auto_ack=False, mss=536)
    first = connection.ask(request)
    assert len(first) < most
    net.pass_time(3000)  # a retransmission timeout: the client asserts that it is what was sent before
    assert net.counter("retransmitted") > 0
    connection.ack()
    return first, bytes(connection.received)
