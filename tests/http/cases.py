"""Malformed and unusual request heads: octets, verdict, and the rule behind it.

Each refused case is a row of docs/http-strictness.md (test_strictness_page.py holds the two together).
"""

from __future__ import annotations

from dataclasses import dataclass, field

GET = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
END = b"\r\n"


@dataclass(frozen=True)
class Refused:
    """status: of the answer, after which the connection closes. what and where: a row of the page."""

    what: str
    octets: bytes
    status: int
    where: str


@dataclass(frozen=True)
class Accepted:
    """fields: what the parser must have found, beside the defaults."""

    what: str
    octets: bytes
    fields: dict[str, object] = field(default_factory=dict)


def head(*lines: bytes) -> bytes:
    """GET / with a Host and these field lines."""
    return GET + HOST + b"".join(line + b"\r\n" for line in lines) + END


def line(octets: bytes) -> bytes:
    """A request line of its own, then a Host."""
    return octets + b"\r\n" + HOST + END


def padded(octets: int) -> bytes:
    """A well-formed head of exactly so many octets."""
    return GET + HOST + b"X: " + b"x" * (octets - len(GET + HOST) - 7) + b"\r\n\r\n"


REQUEST_LINES = [
    Refused("no space in the request line", line(b"GET"), 400, "RFC 9112 3"),
    Refused("no version (HTTP/0.9)", line(b"GET /"), 400, "RFC 9112 3"),
    Refused("two spaces before the target", line(b"GET  / HTTP/1.1"), 400, "RFC 9112 3"),
    Refused("two spaces before the version", line(b"GET /  HTTP/1.1"), 400, "RFC 9112 3"),
    Refused("a tab in place of a space", line(b"GET\t/ HTTP/1.1"), 400, "RFC 9112 3"),
    Refused("a space before the method", line(b" GET / HTTP/1.1"), 400, "RFC 9112 3"),
    Refused("a space behind the version", line(b"GET / HTTP/1.1 "), 400, "RFC 9112 3"),
    Refused("a space in the target", line(b"GET /a b HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused("a method with a delimiter", line(b"G(T / HTTP/1.1"), 400, "RFC 9110 9.1"),
    Refused("a method with an octet above 127", line(b"G\xc9T / HTTP/1.1"), 400, "RFC 9110 9.1"),
    Refused("a method longer than 32 octets", line(b"M" * 33 + b" / HTTP/1.1"), 501, "RFC 9112 3"),
    Refused("a control character in the target", line(b"GET /\x01 HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused("NUL in the target", line(b"GET /\x00 HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused("DEL in the target", line(b"GET /\x7f HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused("an octet above 127 in the target", line(b"GET /\xc3\xa9 HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused("a fragment in the target", line(b"GET /#top HTTP/1.1"), 400, "RFC 9112 3.2"),
    Refused(
        "a target longer than 8000 octets", line(b"GET /" + b"a" * 8000 + b" HTTP/1.1"), 414, "RFC 9112 3"
    ),
    Refused("a bare CR in the request line", line(b"GET / HTTP/1.1\rX"), 400, "RFC 9112 2.2"),
    Refused("a bare LF behind the request line", b"GET / HTTP/1.1\n" + HOST + END, 400, "RFC 9112 2.2"),
    Refused("a bare LF before the request line", b"\n" + head(), 400, "RFC 9112 2.2"),
    Refused("a bare CR before the request line", b"\r" + head(), 400, "RFC 9112 2.2"),
    Refused("white space behind the request line", GET + b" " + HOST + END, 400, "RFC 9112 2.2"),
]

VERSIONS = [
    Refused("HTTP/2.0", line(b"GET / HTTP/2.0"), 505, "RFC 9112 2.3"),
    Refused("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "RFC 9113 3.4"),
    Refused("HTTP/0.9", line(b"GET / HTTP/0.9"), 505, "RFC 9112 2.3"),
    Refused("HTTP/1.10", line(b"GET / HTTP/1.10"), 400, "RFC 9112 2.3"),
    Refused("HTTP/11.1", line(b"GET / HTTP/11.1"), 400, "RFC 9112 2.3"),
    Refused("HTTP/1", line(b"GET / HTTP/1"), 400, "RFC 9112 2.3"),
    Refused("HTTP/1,1", line(b"GET / HTTP/1,1"), 400, "RFC 9112 2.3"),
    Refused("http/1.1 in small letters", line(b"GET / http/1.1"), 400, "RFC 9112 2.3"),
    Refused("another protocol's name", line(b"GET / HTCPCP/1.0"), 400, "RFC 9112 2.3"),
]

FIELDS = [
    Refused("a bare LF behind a field", GET + b"Host: a\n" + END, 400, "RFC 9112 2.2"),
    Refused("a bare LF in place of the empty line", GET + HOST + b"\n", 400, "RFC 9112 2.2"),
    Refused("a bare CR in a field value", head(b"X: a\rb"), 400, "RFC 9112 2.2"),
    Refused("a CR doubled behind a field", head(b"X: a\r"), 400, "RFC 9112 2.2"),
    Refused("a bare CR in place of the empty line", GET + HOST + b"\rX", 400, "RFC 9112 2.2"),
    Refused("a folded field", head(b"X: a", b" b"), 400, "RFC 9112 5.2"),
    Refused("a field folded with a tab", head(b"X: a", b"\tb"), 400, "RFC 9112 5.2"),
    Refused("a space before the colon", head(b"X : a"), 400, "RFC 9112 5.1"),
    Refused("a tab before the colon", head(b"X\t: a"), 400, "RFC 9112 5.1"),
    Refused("an empty field name", head(b": a"), 400, "RFC 9110 5.1"),
    Refused("a field without a colon", head(b"X"), 400, "RFC 9112 5"),
    Refused("a delimiter in a field name", head(b"X(Y): a"), 400, "RFC 9110 5.1"),
    Refused("an octet above 127 in a field name", head(b"X\xe9: a"), 400, "RFC 9110 5.1"),
    Refused("NUL in a field name", head(b"X\0Y: a"), 400, "RFC 9110 5.1"),
    Refused("NUL in a field value", head(b"X: a\0b"), 400, "RFC 9110 5.5"),
    Refused("a control character in a field value", head(b"X: a\x1fb"), 400, "RFC 9110 5.5"),
    Refused("DEL in a field value", head(b"X: a\x7fb"), 400, "RFC 9110 5.5"),
    Refused("more than 128 fields", head(*[b"X: y"] * 128), 431, "RFC 6585 5"),
    Refused("a head longer than 16000 octets", padded(16001), 431, "RFC 6585 5"),
    Refused("a field longer than the head may be", head(b"X: " + b"x" * 16000), 431, "RFC 6585 5"),
]

HOSTS = [
    Refused("HTTP/1.1 without Host", GET + END, 400, "RFC 9112 3.2"),
    Refused("two Hosts", GET + HOST + HOST + END, 400, "RFC 9112 3.2"),
    Refused("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\n" + HOST + HOST + END, 400, "RFC 9112 3.2"),
    Refused("a space in Host", GET + b"Host: a b\r\n" + END, 400, "RFC 9112 3.2"),
    Refused("a user in Host", GET + b"Host: me@a\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("a slash in Host", GET + b"Host: a/b\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("an octet above 127 in Host", GET + b"Host: \xe9\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("a port that is no number in Host", GET + b"Host: a:http\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("two ports in Host", GET + b"Host: a:80:80\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("an open bracket in Host", GET + b"Host: [::1\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("a bracket within Host", GET + b"Host: a[::1]\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("a closing bracket alone in Host", GET + b"Host: a]\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("text behind the bracket in Host", GET + b"Host: [::1]a\r\n" + END, 400, "RFC 9110 7.2"),
    Refused("a bracket twice in Host", GET + b"Host: [[::1]\r\n" + END, 400, "RFC 9110 7.2"),
]

FRAMING = [
    Refused("two Content-Lengths", head(b"Content-Length: 1", b"Content-Length: 2"), 400, "RFC 9112 6.3"),
    Refused("two equal Content-Lengths", head(*[b"Content-Length: 1"] * 2), 400, "RFC 9112 6.3"),
    Refused("a list as Content-Length", head(b"Content-Length: 1, 1"), 400, "RFC 9112 6.3"),
    Refused("an empty Content-Length", head(b"Content-Length:"), 400, "RFC 9110 8.6"),
    Refused("a sign in Content-Length", head(b"Content-Length: +1"), 400, "RFC 9110 8.6"),
    Refused("a negative Content-Length", head(b"Content-Length: -1"), 400, "RFC 9110 8.6"),
    Refused("a hexadecimal Content-Length", head(b"Content-Length: 0x1"), 400, "RFC 9110 8.6"),
    Refused("a space in Content-Length", head(b"Content-Length: 1 1"), 400, "RFC 9110 8.6"),
    Refused("a body longer than 65536 octets", head(b"Content-Length: 65537"), 413, "RFC 9110 15.5.14"),
    Refused("a Content-Length beyond 32 bits", head(b"Content-Length: 4294967301"), 413, "RFC 9110 8.6"),
    Refused(
        "a Content-Length beyond 64 bits",
        head(b"Content-Length: 18446744073709551617"),
        413,
        "RFC 9110 8.6",
    ),
    Refused(
        "a Content-Length of a hundred digits", head(b"Content-Length: " + b"9" * 100), 413, "RFC 9110 8.6"
    ),
    Refused(
        "Transfer-Encoding beside Content-Length",
        head(b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        400,
        "RFC 9112 6.1",
    ),
    Refused(
        "Content-Length beside Transfer-Encoding",
        head(b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        400,
        "RFC 9112 6.1",
    ),
    Refused("Transfer-Encoding twice", head(*[b"Transfer-Encoding: chunked"] * 2), 400, "RFC 9112 6.1"),
    Refused(
        "Transfer-Encoding in two fields",
        head(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
        400,
        "RFC 9112 6.3",
    ),
    Refused("chunked twice", head(b"Transfer-Encoding: chunked, chunked"), 400, "RFC 9112 6.1"),
    Refused("chunked not last", head(b"Transfer-Encoding: chunked, gzip"), 400, "RFC 9112 6.3"),
    Refused("a coding without chunked", head(b"Transfer-Encoding: gzip"), 400, "RFC 9112 6.3"),
    Refused("identity as a coding", head(b"Transfer-Encoding: identity"), 400, "RFC 9112 7"),
    Refused("chunked with a parameter", head(b"Transfer-Encoding: chunked;q=1"), 400, "RFC 9112 7.1"),
    Refused("an empty Transfer-Encoding", head(b"Transfer-Encoding:"), 400, "RFC 9112 6.3"),
    Refused(
        "a name that only begins with chunked", head(b"Transfer-Encoding: chunkedx"), 400, "RFC 9112 6.3"
    ),
    Refused("a vertical tab before chunked", head(b"Transfer-Encoding: \x0bchunked"), 400, "RFC 9110 5.5"),
    Refused("a comma behind chunked", head(b"Transfer-Encoding: chunked,"), 400, "RFC 9112 6.3"),
    Refused("a coding before chunked", head(b"Transfer-Encoding: gzip, chunked"), 501, "RFC 9112 6.1"),
    Refused("a comma before chunked", head(b"Transfer-Encoding: ,chunked"), 501, "RFC 9112 6.1"),
    Refused(
        "Transfer-Encoding in HTTP/1.0",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "RFC 9112 6.1",
    ),
]

REFUSED = [*REQUEST_LINES, *VERSIONS, *FIELDS, *HOSTS, *FRAMING]

ACCEPTED = [
    Accepted("a plain GET", head()),
    Accepted("HEAD", line(b"HEAD / HTTP/1.1"), {"method": "HEAD"}),
    Accepted("another known method", line(b"POST / HTTP/1.1"), {"method": "OTHER"}),
    Accepted("PUT", line(b"PUT / HTTP/1.1"), {"method": "OTHER"}),
    Accepted("DELETE", line(b"DELETE / HTTP/1.1"), {"method": "OTHER"}),
    Accepted("PATCH", line(b"PATCH / HTTP/1.1"), {"method": "OTHER"}),
    Accepted("TRACE", line(b"TRACE / HTTP/1.1"), {"method": "OTHER"}),
    Accepted("OPTIONS of the server", line(b"OPTIONS * HTTP/1.1"), {"method": "OPTIONS", "target": b"*"}),
    Accepted(
        "CONNECT", line(b"CONNECT a.example:443 HTTP/1.1"), {"method": "OTHER", "target": b"a.example:443"}
    ),
    Accepted("a method in small letters", line(b"get / HTTP/1.1"), {"method": "UNKNOWN"}),
    Accepted("a method that begins with GET", line(b"GETS / HTTP/1.1"), {"method": "UNKNOWN"}),
    Accepted("a method of 32 octets", line(b"M" * 32 + b" / HTTP/1.1"), {"method": "UNKNOWN"}),
    Accepted("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", {"minor": 0}),
    Accepted("HTTP/1.2", line(b"GET / HTTP/1.2"), {"minor": 1}),
    Accepted("HTTP/1.9", line(b"GET / HTTP/1.9"), {"minor": 1}),
    Accepted("one empty line before", b"\r\n" + head()),
    Accepted("many empty lines before", b"\r\n" * 50 + head()),
    Accepted("absolute-form", line(b"GET http://b/c?d HTTP/1.1"), {"target": b"http://b/c?d"}),
    Accepted("a query with braces and bars", line(b"GET /?{a|b}^ HTTP/1.1"), {"target": b"/?{a|b}^"}),
    Accepted(
        "a target of 8000 octets", line(b"GET /" + b"a" * 7999 + b" HTTP/1.1"), {"target": b"/" + b"a" * 7999}
    ),
    Accepted("a head of 16000 octets", padded(16000)),
    Accepted("128 fields", head(*[b"X: y"] * 127)),
    Accepted("an empty value", head(b"X:")),
    Accepted("a value of spaces", head(b"X:  \t ")),
    Accepted("obs-text in a value", head(b"X: \x80\xff")),
    Accepted("tabs in a value", head(b"X:\ta\tb\t")),
    Accepted("every token character in a name", head(b"!#$%&'*+-.^_`|~09azAZ: x")),
    Accepted("an empty Host", GET + b"Host:\r\n" + END),
    Accepted("Host in capitals", GET + b"HOST: a\r\n" + END),
    Accepted("Host with a port", GET + b"Host: a.example:8080\r\n" + END),
    Accepted("Host with an empty port", GET + b"Host: a:\r\n" + END),
    Accepted("an IPv6 literal in Host", GET + b"Host: [::1]\r\n" + END),
    Accepted("an IPv6 literal with a port in Host", GET + b"Host: [2001:db8::1]:80\r\n" + END),
    Accepted("escapes and sub-delimiters in Host", GET + b"Host: a%20b!$&'()*+,;=_~\r\n" + END),
    Accepted("a Host of spaces", GET + b"Host:   \r\n" + END),
    Accepted("Content-Length 0", head(b"Content-Length: 0")),
    Accepted("the longest body", head(b"Content-Length: 65536"), {"content_length": 65536}),
    Accepted("leading zeros", head(b"Content-Length: " + b"0" * 40 + b"65"), {"content_length": 65}),
    Accepted("spaces around a length", head(b"Content-Length: \t 7 \t"), {"content_length": 7}),
    Accepted("content-length in small letters", head(b"content-length: 7"), {"content_length": 7}),
    Accepted("chunked", head(b"Transfer-Encoding: chunked"), {"chunked": True}),
    Accepted("CHUNKED", head(b"TRANSFER-ENCODING: CHUNKED"), {"chunked": True}),
    Accepted("chunked with spaces", head(b"Transfer-Encoding: \tchunked "), {"chunked": True}),
    Accepted("a field whose name ends like one", head(b"X-Content-Length: 7")),
    Accepted("a field whose name begins like one", head(b"Content-Length-X: 7")),
    Accepted("close", head(b"Connection: close"), {"close": True}),
    Accepted("close in capitals", head(b"CONNECTION: CLOSE"), {"close": True}),
    Accepted("close in a list", head(b"Connection: TE , close,x"), {"close": True}),
    Accepted("close in a second field", head(b"Connection: TE", b"Connection: close"), {"close": True}),
    Accepted("close behind empty elements", head(b"Connection: , ,\t,close"), {"close": True}),
    Accepted("closed is not close", head(b"Connection: closed")),
    Accepted("close with a parameter is not close", head(b"Connection: close;x")),
    Accepted("keep-alive", head(b"Connection: Keep-Alive"), {"keep_alive": True}),
    Accepted("both", head(b"Connection: keep-alive, close"), {"keep_alive": True, "close": True}),
    Accepted("an empty Connection", head(b"Connection:")),
    Accepted("Expect", head(b"Expect: 100-continue"), {"expects_continue": True}),
    Accepted("Expect in capitals", head(b"EXPECT: 100-CONTINUE"), {"expects_continue": True}),
    Accepted("another expectation", head(b"Expect: the-moon"), {"expects_other": True}),
]
