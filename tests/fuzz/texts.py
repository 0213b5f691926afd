"""What hostile clients say: requests valid, nearly valid and nasty, for the fuzzer to cut and spoil."""

from __future__ import annotations

SITE = {
    "index.html": b"<!doctype html><title>fuzz</title>" * 20,
    "empty.txt": b"",
    "one.txt": b"1",
    "odd.bin": bytes(range(251)) * 3,
    "a b.txt": b"a space in the name",
    "sub/index.html": b"<p>below</p>" * 500,
    "sub/deep/page.css": b"p{margin:0}" * 133,
    "large.bin": bytes(range(256)) * 400,
    "larger.bin": bytes(i * 7 % 256 for i in range(997)) * 700,
}
"""Path -> content of the site that is served meanwhile."""

_HOST = b"Host: 10.0.0.1\r\n"
_TARGETS = [
    *(b"/" + name.replace(" ", "%20").encode() for name in SITE),
    b"/",
    b"/sub/",
    b"/sub",
    b"/missing",
    b"//sub///index.html",
    b"/./sub/../one.txt",
    b"/sub/%2e%2e/one.txt?query=/../..",
    b"/sub/..",
    b"/..",
    b"/../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/%2E%2E%2fetc",
    b"/a%00b",
    b"/%",
    b"/%1",
    b"/%zz",
    b"/one.txt?" + b"q" * 700,
    b"/" + b"x/" * 300 + b"../" * 300 + b"one.txt",
    b"/" + b"%41" * 300,
    b"/" + b"a" * 7990,
    b"/" + b"a" * 8100,
    b"http://10.0.0.1/one.txt",
    b"http://10.0.0.1",
    b"http://10.0.0.1?x",
    b"https://h:80/sub/../one.txt",
    b"http://",
    b"http:///x",
    b"*",
    b"10.0.0.1:80",
    b"/forms",
    b"/packed",
    b"/in/x",
    b"/in/missing",
    b"/old/%0d%0a/x?y=1",
    b"/old/" + b"z" * 2100,
    b"/u/ann.html?a=b&q=%31",
    b"/gone/x",
    b"/sub?back",
    b"/sub/deep/one.txt",
    b"http://x.h.example/",
    b"http://h.example/only",
]
_FIELDS = [
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"connection: upgrade , close,\t keep-alive\r\n",
    b"User-Agent: " + b"u" * 200 + b"\r\n",
    b"Cookie: " + b"c" * 3000 + b"\r\n",
    b"Expect: 100-continue\r\n",
    b"Accept-Encoding: gzip;q=0.5, br;q=0.9, *;q=0\r\n",
    b"Accept-Encoding: identity;q=0, ;q=, x;q=1.0001\r\n",
    b"Range: bytes=0-1,5-9,-3,100-\r\n",
    b"Range: bytes=" + b",".join(b"%d-%d" % (9 * n, 9 * n + 1) for n in range(31)) + b"\r\n",
    b"Authorization: Basic dTpw\r\n",
    b"Authorization: Basic " + b"QUFB" * 400 + b"\r\n",
    b"Origin: https://a.example\r\n",
    b"Origin: null\r\nAccess-Control-Request-Method: GET\r\n",
    b"Expect: 200-maybe\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 5\r\nContent-Length: 5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: +5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: second\r\n",
    *(
        b"Range: bytes=" + text + b"\r\n"
        for text in (b"0-0", b"1-", b"-7", b"5-900000", b"99999999-", b"0-1,3-4")
    ),
    b"Range: bytes=3-9\r\nIf-Range: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
    b"If-None-Match: *\r\n",
    b'If-Match: W/"a", "b\r\n',
    b"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n",
    b"If-Unmodified-Since: Sun Nov  6 08:49:37 1994\r\n",
    b" folded: line\r\n",
    b"No-Colon\r\n",
    b"Empty:\r\n",
    b"Bare: lf\n",
    b"Nul: a\0b\r\n",
    b"X: y\r\n" * 130,
]
_CHOSEN = [
    (b"/", b"Host: x.h.example\r\nOrigin: https://b.example\r\n"),
    (b"/only", b"Host: H.example:80\r\nIf-Modified-Since: Mon, 12 Jan 1970 13:46:40 GMT\r\n"),
    (b"/in/x", _HOST + b"Authorization: Basic dTpw\r\nOrigin: https://a.example\r\n"),
    (b"/in/x", _HOST + b"Authorization: Basic dTpw\r\nRange: bytes=0-1,5-9,-3\r\n"),
    (b"/forms", _HOST + b"Accept-Encoding: gzip;q=0.5, br;q=0.9, *;q=0\r\n"),
    (b"/forms", _HOST + b"Accept-Encoding: identity\r\nRange: bytes=0-1,5-9,-3\r\n"),
    (b"/packed", _HOST + b"Accept-Encoding: gzip\r\nRange: bytes=9-\r\n"),
    (b"/packed", _HOST + b"Accept-Encoding: gzip;q=0\r\n"),
    (b"/large.bin", _HOST + b"Range: bytes=0-9000,20000-30000,-5000\r\n"),
    (b"/larger.bin", _HOST + b"Range: bytes=1-1,300000-697899\r\n"),
    (b"/sub/", _HOST + b"Origin: https://c.example\r\nAccept-Encoding: *\r\n"),
]
"""Target, fields: of answers that depend on what a request prefers, may see, or where it comes from."""
_CHUNKED = b"POST /one.txt HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
_BODIES = [
    b"3\r\nabc\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b'1;ext="x"\r\na\r\n00000\r\nTrailer: t\r\n\r\n',
    b"fff\r\n" + b"z" * 4095 + b"\r\n0\r\n\r\n",
    b"ffffffff\r\n",
    b"-1\r\n",
    b"3\r\nabcd\r\n",
    b"3\nabc\n0\n\n",
    b"0" * 500,
    b"1;" + b"e" * 500,
    b"0\r\n" + b"T: t\r\n" * 500,
]


def request_texts() -> list[bytes]:
    """None is empty. About half are requests that a careful client would send."""
    plain = [b"GET " + target + b" HTTP/1.1\r\n" + _HOST + b"\r\n" for target in _TARGETS]
    heads = [b"HEAD " + target + b" HTTP/1.1\r\n" + _HOST + b"\r\n" for target in _TARGETS[:8]]
    fields = [b"GET /one.txt HTTP/1.1\r\n" + _HOST + field + b"\r\n" for field in _FIELDS]
    old = [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"]
    methods = [
        method + b" / HTTP/1.1\r\n" + _HOST + b"\r\n" for method in (b"OPTIONS", b"BREW", b"get", b"M" * 40)
    ]
    lengths = [
        b"PUT /one.txt HTTP/1.1\r\n" + _HOST + b"Content-Length: %d\r\n\r\n" % size + b"b" * size
        for size in (1, 17, 3000)
    ]
    broken = [
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET /\r\n",
        b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"\r",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /one.txt HTTP/1.1\r\nHost: " + b"h" * 15990 + b"\r\n\r\n",
        b"GET /one.txt HTTP/1.1\r\nA: " + b"h" * 17000 + b"\r\n\r\n",
    ]
    chosen = [b"GET " + target + b" HTTP/1.1\r\n" + fields + b"\r\n" for target, fields in _CHOSEN]
    chosen += [
        b"OPTIONS /sub/ HTTP/1.1\r\n" + _HOST + b"Origin: x\r\nAccess-Control-Request-Method: GET\r\n\r\n",
        b"HEAD /forms HTTP/1.1\r\n" + _HOST + b"Accept-Encoding: br\r\n\r\n",
    ]
    pipelined = [plain[0] * 3, plain[2] * 70, plain[1] + heads[0] + plain[7], plain[8] * 2]
    return [
        *plain,
        *plain,
        *heads,
        *fields,
        *chosen,
        *old,
        *methods,
        *lengths,
        *broken,
        *pipelined,
        *(_CHUNKED + body for body in _BODIES),
    ]


WORDS = [
    *(b"GET ", b"HEAD ", b"OPTIONS ", b"POST ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n\r\n", b"\r\n"),
    *(b"Host: ", b"Connection: close\r\n", b"keep-alive", b"Content-Length: ", b"Expect: 100-continue\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"If-Match: ", b"If-None-Match: ", b"If-Range: "),
    *(b"If-Modified-Since: ", b"If-Unmodified-Since: ", b"Range: bytes=", b"Accept-Encoding: ", b"gzip, br"),
    *(
        b";q=0.5",
        b"*",
        b"W/",
        b"http://",
        b"%2e",
        b"..",
        b"/one.txt",
        b"/sub/",
        b"GMT",
        b"Thu, 01 Jan 1970 00:00:01 GMT",
    ),
    *(b"Origin: ", b"Access-Control-Request-Method: ", b"Authorization: Basic ", b"dTpw\r\n"),
    *(b"Access-Control-Request-Headers: x\r\n", b"https://a.example", b"https://b.example", b"null\r\n"),
    *(b"h.example", b"x.h.example", b"br;q=0.5", b"identity;q=0", b"*;q=0", b"bytes=0-1,5-9,-3", b",90-"),
    *(b"/forms", b"/packed", b"/in/x", b"/old/", b"/u/", b".html", b"?q=", b"&q=", b"/gone/", b"/sub/deep/"),
    *(b"/large.bin", b"/larger.bin", b"/only", b"Mon, 12 Jan 1970 13:46:40 GMT", b'", "'),
]
"""What mutation puts into texts."""
