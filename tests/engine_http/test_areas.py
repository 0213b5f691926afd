"""Basic authentication by area: who may enter, and that nothing within says anything to the others."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bypass.errors import SiteError
from bypass.site.errorpages import redirect
from bypass.site.resource import (
    Area,
    CorsPolicy,
    Host,
    Representation,
    RequestRule,
    Resource,
    Wild,
    area_salt,
    credential_digest,
)
from tests.engine_http.client import Net
from tests.engine_http.described import Answer, ask, image_of, net_of, page, site_of

SALT, INNER_SALT = area_salt("", b"/private/", "staff"), area_salt("", b"/private/inner/", "few")
USERS = {"ann": "secret", "b\u00f6b": "p\u00e4ss:with colon", "c": ""}


def area(prefix: bytes, realm: str, salt: bytes, users: dict[str, str]) -> Area:
    return Area(prefix, realm, salt, tuple(credential_digest(salt, *user) for user in users.items()))


OUTER = area(b"/private/", "staff", SALT, USERS)
INNER = area(b"/private/inner/", "few", INNER_SALT, {"root": "toor"})


def host(**more: Any) -> Host:
    forms = (Representation(b"p" * 900), Representation(b"g" * 90, "gzip"))
    resources = {
        b"/private/": page(b"inside"),
        b"/private": redirect("/private/"),
        b"/private/a.txt": page(b"secret text"),
        b"/private/f.txt": Resource(forms, "text/plain"),
        b"/private/inner/x": page(b"deep"),
        b"/alias": page(b"secret text", area=0),
        b"/privateer": page(b"open"),
    }
    rules = (
        RequestRule((b"/way/", Wild("splat", star=True)), ("/private/", Wild("splat", star=True)), 200),
        RequestRule((b"/private/go",), ("/elsewhere",), 301, forced=True),
        RequestRule((b"/private/spa/", Wild("splat", star=True)), ("/index.html",), 200),
    )
    return site_of(resources=resources, rules=rules, areas=(OUTER, INNER), **more)


@pytest.fixture
def net() -> Net:
    return net_of(host())


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


INSIDE = [
    "/private/",
    "/private",
    "/private/a.txt",
    "/private/a.txt?x",
    "/private/f.txt",
    "/private/nothing",
    "/private/go",
    "/private/spa/x",
    "/private//a.txt",
    "/x/../private/a.txt",
    "/%70rivate/a.txt",
    "/private/%2f",
    "/alias",
    "/way/a.txt",
]


@pytest.mark.parametrize("target", INSIDE)
def test_without_credentials_everything_inside_is_the_same_401(net: Net, target: str) -> None:
    answer = ask(net, target)
    assert answer.status == 401
    assert answer.get("WWW-Authenticate") == 'Basic realm="staff", charset="UTF-8"'
    assert answer.octets == ask(net, "/private/none").octets
    conditions = {"If_None_Match": "*", "Range": "bytes=0-0", "Accept_Encoding": "gzip"}
    assert ask(net, target, **conditions).octets == answer.octets
    assert ask(net, target, If_Match='"x"').octets == answer.octets
    assert ask(net, target, "HEAD").octets + answer.body == answer.octets


@pytest.mark.parametrize(("name", "password"), list(USERS.items()))
def test_everybody_who_is_named_may_enter(net: Net, name: str, password: str) -> None:
    pass_on = {"Authorization": basic(name, password)}
    assert ask(net, "/private/a.txt", **pass_on).body == b"secret text"
    assert ask(net, "/private/", **pass_on).body == b"inside"
    assert ask(net, "/private", **pass_on).get("Location") == "/private/"
    assert ask(net, "/private?x=1", **pass_on).get("Location") == "/private/?x=1"
    assert ask(net, "/private/go", **pass_on).get("Location") == "/elsewhere"
    assert ask(net, "/private/spa/x", **pass_on).body == b"home"
    assert ask(net, "/private/nothing", **pass_on).status == 404
    assert ask(net, "/alias", **pass_on).body == b"secret text"
    assert ask(net, "/way/a.txt", **pass_on).body == b"secret text"
    assert ask(net, "/private/f.txt", Accept_Encoding="gzip", **pass_on).body == b"g" * 90
    assert ask(net, "/private/a.txt", Range="bytes=0-5", **pass_on).body == b"secret"


def test_the_nearest_area_counts(net: Net) -> None:
    refused = ask(net, "/private/inner/x", Authorization=basic("ann", "secret"))
    assert (refused.status, refused.get("WWW-Authenticate")) == (401, 'Basic realm="few", charset="UTF-8"')
    assert ask(net, "/private/inner/x", Authorization=basic("root", "toor")).body == b"deep"
    assert ask(net, "/private/a.txt", Authorization=basic("root", "toor")).status == 401
    # A rewrite into the inner area asks for the inner area's credentials.
    assert ask(net, "/way/inner/x", Authorization=basic("ann", "secret")).status == 401
    assert ask(net, "/way/inner/x", Authorization=basic("root", "toor")).body == b"deep"


@pytest.mark.parametrize("target", ["/", "/a.txt", "/privateer", "/nothing", "/priv"])
def test_what_is_outside_asks_nobody(net: Net, target: str) -> None:
    assert ask(net, target).status in (200, 404)


@pytest.mark.parametrize(
    "value",
    [
        basic("ann", "secre"),
        basic("ann", "secret "),
        basic("an", "nsecret"),
        basic("Ann", "secret"),
        basic("", ""),
        "Basic " + base64.b64encode(b"annsecret").decode(),
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YW5u=OnNlY3JldA==",
        "Bearer YW5uOnNlY3JldA==",
        "Basic\tYW5uOnNlY3JldA==",
        "Basic YW5uOnNlY3JldA== x",
        "BasicYW5uOnNlY3JldA==",
        basic("ann", "secret") * 2,
        "Basic " + "A" * 8000,
        basic("x" * 600, "y"),
        basic("\u00ff" * 170, "y" * 171),
    ],
)
def test_credentials_that_are_none_are_refused(net: Net, value: str) -> None:
    assert ask(net, "/private/a.txt", Authorization=value).status == 401


@pytest.mark.parametrize(
    "value", ["basic YW5uOnNlY3JldA==", "BASIC   YW5uOnNlY3JldA", "Basic YW5uOnNlY3JldA="]
)
def test_scheme_and_padding_are_read_as_they_are_written_elsewhere(net: Net, value: str) -> None:
    assert ask(net, "/private/a.txt", Authorization=value).status == 200


def test_two_authorizations_are_none(net: Net) -> None:
    line = f"Authorization: {basic('ann', 'secret')}\r\n".encode()
    request = b"GET /private/a.txt HTTP/1.1\r\nHost: x\r\n"
    assert net.connect().ask(request + line + b"\r\n").startswith(b"HTTP/1.1 200 ")
    assert net.connect().ask(request + line + line + b"\r\n").startswith(b"HTTP/1.1 401 ")


def test_credentials_of_every_length_are_hashed_as_hashlib_does() -> None:
    """Over the edges of SHA-256's blocks of 64 octets."""
    users = {"u" * length: "p" * (length % 7) for length in range(1, 200)}
    net = net_of(Host(resources={b"/": page(b"in")}, areas=(area(b"/", "all", SALT, users),)))
    connection = net.connect()
    for user in users.items():
        assert ask(connection, "/", Authorization=basic(*user)).status == 200
        assert ask(connection, "/", Authorization=basic(user[0], user[1] + "x")).status == 401


def test_a_page_of_its_own_keeps_the_challenge() -> None:
    own = page(b"who are you?", status=401, fields=(("X-Own", "1"),))
    answer: Answer = ask(net_of(host(errors={(401, b"/"): own})), "/private/a.txt")
    assert (answer.status, answer.body, answer.get("X-Own")) == (401, b"who are you?", "1")
    assert answer.get("WWW-Authenticate") == 'Basic realm="staff", charset="UTF-8"'


def test_a_preflight_needs_no_credentials_and_tells_nothing() -> None:
    net = net_of(
        host(cors=(CorsPolicy(b"/", ("https://a.example",), headers=("Authorization",), credentials=True),))
    )
    asking = {"Origin": "https://a.example", "Access_Control_Request_Method": "GET"}
    inside = ask(net, "/private/a.txt", "OPTIONS", **asking)
    assert (inside.status, inside.octets) == (204, ask(net, "/private/nothing", "OPTIONS", **asking).octets)
    refused = ask(net, "/private/a.txt", Origin="https://a.example")
    assert (refused.status, refused.get("Access-Control-Allow-Origin")) == (401, "https://a.example")


@pytest.mark.parametrize(
    "bad",
    [
        Area(b"/x/", 'a "quoted" realm', SALT, ()),
        Area(b"/x/", "line\r\nbreak", SALT, ()),
        Area(b"/x/", "", SALT, ()),
        Area(b"x", "r", SALT, ()),
        Area(b"/x/", "r", b"short", ()),
        Area(b"/x/", "r", SALT, (b"short",)),
    ],
)
def test_an_area_that_is_malformed_is_refused(bad: Area) -> None:
    with pytest.raises(SiteError):
        image_of(Host(resources={b"/": page(b"x")}, areas=(bad,)))
