"""Redirects and rewrites at request time: order, what is caught, what goes into a Location."""

from __future__ import annotations

import random
import time

import pytest

from bypass.errors import SiteError
from bypass.site.errorpages import redirect
from bypass.site.resource import Host, RequestRule, Wild
from tests.engine_http.client import Net
from tests.engine_http.described import ask, image_of, net_of, page, sent_again, site_of, taken_apart

STAR, NAME, OTHER = Wild("splat", star=True), Wild("name"), Wild("other")


def rule(
    *parts: bytes | Wild, to: str | tuple[str | Wild, ...], status: int = 301, **more: object
) -> RequestRule:
    target = (to,) if isinstance(to, str) else to
    return RequestRule(parts, target, status, **more)  # type: ignore[arg-type]


RULES = (
    rule(b"/old", to="/new"),
    rule(b"/blog/", STAR, to=("/news/", STAR), status=302),
    rule(b"/u/", NAME, b"/p/", OTHER, to=("/people?who=", NAME, "&what=", OTHER), status=308),
    rule(b"/", NAME, b".htm", to=("/", NAME, ".html"), status=307),
    rule(b"/img/", STAR, b".gif", to=("https://cdn.example/i/", STAR, ".webp"), status=303),
    rule(b"/id", to=("/items/", NAME), query=(("id", NAME), ("kind", "x"))),
    rule(b"/short", to="/s", keeps_query=False),
    rule(b"/a.txt", to="/never", status=301),
    rule(b"/docs/", STAR, to=("/moved/", STAR), status=301, forced=True),
    rule(b"/up", STAR, to=("/", STAR)),
    rule(b"/page/", STAR, to=("/", STAR), status=200),
    rule(b"/gone/", STAR, to="/index.html", status=410),
    rule(b"/app/", STAR, to="/index.html", status=200),
    rule(b"/app/x", to="/never"),
)


@pytest.fixture
def net() -> Net:
    return net_of(site_of(rules=RULES, resources={b"/dir": redirect("/dir/"), b"/far": redirect("/x?y=1")}))


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/old", 301, "/new"),
        ("/old?a=1&b", 301, "/new?a=1&b"),
        ("/old?", 301, "/new"),
        ("/old/", 404, None),
        ("/blog/2024/x", 302, "/news/2024/x"),
        ("/blog/", 302, "/news/"),
        ("/blog", 404, None),
        ("/blog/a%20b%0d%0aX:%20y", 302, "/news/a%20b%0D%0AX:%20y"),
        ("/blog/%C3%A9?q=%C3%A9", 302, "/news/%C3%A9?q=%C3%A9"),
        ("/blog/100%25%3F%23", 302, "/news/100%25%3F%23"),
        ("/u/ann/p/42", 308, "/people?who=ann&what=42"),
        ("/u/a&b/p/c=d+e", 308, "/people?who=a%26b&what=c%3Dd%2Be"),
        ("/u//p/42", 404, None),  # empty segments collapse: there is no name
        ("/u/ann/p/4/2", 404, None),
        ("/x.htm", 307, "/x.html"),
        ("/x.htm.htm", 307, "/x.htm.html"),
        ("/.htm", 404, None),
        ("/x/y.htm", 404, None),
        ("/img/a/b.gif", 303, "https://cdn.example/i/a/b.webp"),
        ("/img/.gif", 303, "https://cdn.example/i/.webp"),
        ("/img/a.gi", 404, None),
        ("/id?kind=x&id=7", 301, "/items/7?kind=x&id=7"),
        ("/id?id=7&kind=x", 301, "/items/7?id=7&kind=x"),
        ("/id?id=/%2F%2e&kind=x", 301, "/items/%2F%2F%2e?id=/%2F%2e&kind=x"),
        ("/id?id=7", 404, None),
        ("/id?id=7&kind=xx", 404, None),
        ("/short?x=1", 301, "/s"),
        ("/docs/b.txt", 301, "/moved/b.txt"),
        ("/up//evil.example/", 301, "/evil.example/"),
        ("/up/%5Cevil.example/", 301, "/%5Cevil.example/"),
        ("/dir", 301, "/dir/"),
        ("/dir?x=1", 301, "/dir/?x=1"),
        ("/far?z", 301, "/x?y=1&z"),
    ],
)
def test_a_rule_makes_the_location_that_it_says(
    net: Net, target: str, status: int, location: str | None
) -> None:
    answer = ask(net, target)
    assert (answer.status, answer.get("Location")) == (status, location)
    head = ask(net, target, "HEAD")
    assert answer.octets == head.octets + answer.body


def test_what_a_path_has_comes_before_a_rule_that_is_not_forced(net: Net) -> None:
    assert ask(net, "/a.txt").status == 200


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/page/a.txt", 200, b"a" * 500),
        ("/page/nothing", 404, None),
        ("/page/", 200, b"home"),
        ("/app/x", 200, b"home"),  # the first that matches
        ("/app/deep/er?q", 200, b"home"),
        ("/gone/x", 410, b"home"),
    ],
)
def test_a_rewrite_answers_with_what_lies_elsewhere(
    net: Net, target: str, status: int, body: bytes | None
) -> None:
    answer = ask(net, target)
    assert answer.status == status
    assert body is None or answer.body == body
    assert answer.get("Location") is None


def test_a_rewritten_path_has_its_conditions_and_ranges(net: Net) -> None:
    tag = ask(net, "/page/a.txt").get("ETag")
    assert ask(net, "/page/a.txt", If_None_Match=str(tag)).status == 304
    assert ask(net, "/page/a.txt", Range="bytes=0-1").body == b"aa"
    assert ask(net, "/gone/x", Range="bytes=0-1").status == 410


def test_options_and_other_methods_are_not_redirected(net: Net) -> None:
    assert ask(net, "/old", "OPTIONS").status == 204
    assert ask(net, "/old", "POST").status == 405


def test_a_location_that_would_be_too_long_is_414(net: Net) -> None:
    room = 2048 - len("Location: /news/\r\n")
    fits = ask(net, "/blog/" + "x" * room)
    assert fits.get("Location") == "/news/" + "x" * room
    assert ask(net, "/blog/" + "x" * (room + 1)).status == 414
    assert ask(net, "/blog/" + "%FF" * (room // 3 + 1)).status == 414
    assert ask(net, "/old?" + "q" * 3000).status == 414


def test_a_location_is_made_again_as_it_was() -> None:
    net = net_of(site_of(rules=RULES))
    request = b"GET /blog/" + b"y" * 900 + b"?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    first, again = sent_again(net, request)
    assert first == again
    assert taken_apart(again).get("Location") == "/news/" + "y" * 900 + "?q=1"


def test_pipelined_redirects_keep_their_own_locations() -> None:
    net = net_of(site_of(rules=RULES), request_buffers=64)
    asked = b"".join(b"GET /blog/%d?x HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(40))
    answer = net.connect().ask(asked)
    locations = [line for line in answer.split(b"\r\n") if line.startswith(b"Location")]
    assert locations == [b"Location: /news/%d?x" % number for number in range(40)]


def test_without_room_for_a_location_the_answer_is_503_until_there_is() -> None:
    net = net_of(site_of(rules=RULES), request_buffers=2)
    holding = [net.connect(auto_ack=False) for _ in range(2)]
    for connection in holding:
        connection.ask(b"GET /blog/1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert ask(net, "/blog/2").status == 503
    assert net.counter("no_note") == 1
    assert ask(net, "/a.txt").status == 200
    for connection in holding:
        connection.ack()
    assert ask(net, "/blog/3").get("Location") == "/news/3"


def test_a_connection_that_ends_gives_its_notes_back() -> None:
    net = net_of(site_of(rules=RULES), request_buffers=2, idle_timeout_ns=2_000_000_000)
    for _ in range(6):
        net.connect(auto_ack=False).ask(b"GET /blog/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        net.pass_time(8000, 100)
    assert ask(net, "/blog/3").status == 302


def test_a_request_that_proves_malformed_gives_its_note_back() -> None:
    net = net_of(site_of(rules=RULES), request_buffers=2)
    for _ in range(5):
        head = b"GET /blog/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert taken_apart(net.connect().ask(head + b"x\r\n")).status == 400
    assert ask(net, "/blog/3").status == 302


@pytest.mark.parametrize(
    "bad",
    [
        rule(b"old", to="/new"),
        rule(STAR, to="/new"),
        rule(b"/", NAME, b"-", OTHER, to="/new"),
        rule(b"/", STAR, b"/", NAME, to="/new"),
        rule(b"/", NAME, OTHER, to="/new"),
        rule(b"/", NAME, b"/", NAME, to="/new"),
        rule(b"/x", to=("/", NAME)),
        rule(b"/", NAME, to=("https://", NAME, "/")),
        rule(b"/", NAME, to=(NAME,)),
        rule(b"/x", to="new"),
        rule(b"/x", to="/a b"),
        rule(b"/x", to="/a\r\nX: y"),
        rule(b"/x", to="https://a.example/", status=200),
        rule(b"/x", to="/nothing", status=404),
        rule(b"/x", to="javascript:alert(1)"),
    ],
)
def test_a_rule_that_cannot_be_run_in_one_pass_or_safely_is_refused(bad: RequestRule) -> None:
    with pytest.raises(SiteError):
        image_of(Host(resources={b"/": page(b"x")}, rules=(bad,)))


def test_no_request_ends_a_location_or_names_another_server() -> None:
    """Random paths through every rule: what is in the Location is one URI reference of our own."""
    net = net_of(site_of(rules=(rule(b"/", NAME, b"/", STAR, to=("/", STAR, "/", NAME)), *RULES)))
    dice = random.Random(7)
    connection = net.connect()
    seen = 0
    for _ in range(400):
        path = "".join(
            dice.choice(
                ["/", "//", "\\", "%0d%0a", "%5C", "%2e", "a", ":", "@", "%00x", ".gif", "blog/", "?", "&"]
            )
            for _ in range(dice.randrange(1, 12))
        )
        answer = ask(connection, "/" + path)
        if answer.get("Connection") == "close":
            connection = net.connect()
        location = answer.get("Location")
        if location is not None:
            seen += 1
            assert all(32 < ord(char) < 127 for char in location)
            assert location.startswith(("/", "https://cdn.example/"))
            assert not location.startswith(("//", "/\\"))
    assert seen > 50


def test_many_rules_for_many_parameters_cost_one_pass_over_the_query() -> None:
    """As many rules as there may be for one path, and a long query: none of them matches."""
    rules = tuple(rule(b"/q", to="/never", query=(("p", f"v{number}"),)) for number in range(4096))
    net = net_of(site_of(rules=rules))
    query = "&".join([*("a" * 290 for _ in range(20)), "p=x"])
    connection = net.connect()
    for _ in range(3):
        started = time.thread_time()
        assert ask(connection, f"/q?{query}").status == 404
        seconds = time.thread_time() - started
    print(f"4096 rules, a query of {len(query)} octets: {seconds * 1e6:.0f} us")
    assert seconds < 0.005


def test_parameters_beyond_the_first_32_are_not_looked_at() -> None:
    net = net_of(site_of(rules=(rule(b"/q", to=("/", NAME), query=(("last", NAME),), keeps_query=False),)))
    for before, status in ((0, 301), (31, 301), (32, 404)):
        query = "&".join([*(f"p{number}=1" for number in range(before)), "last=here"])
        answer = ask(net, f"/q?{query}")
        assert (answer.status, answer.get("Location")) == (status, "/here" if status == 301 else None)


@pytest.mark.parametrize(
    ("query", "location"),
    [("a", "/"), ("a=", "/"), ("&&a=1", "/1"), ("b=2&a=1=1&a=3", "/1%3D1"), ("=a", None), ("aa=1&A=2", None)],
)
def test_which_octets_are_a_parameter(query: str, location: str | None) -> None:
    net = net_of(site_of(rules=(rule(b"/q", to=("/", NAME), query=(("a", NAME),), keeps_query=False),)))
    assert ask(net, f"/q?{query}").get("Location") == location
