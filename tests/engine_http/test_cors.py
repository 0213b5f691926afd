"""Which pages elsewhere may read a response, and what a preflight is answered."""

from __future__ import annotations

import pytest

from bypass.errors import SiteError
from bypass.site.resource import CorsPolicy, Host
from tests.engine_http.client import Net
from tests.engine_http.described import ask, image_of, net_of, page, site_of

ONE, TWO = "https://one.example", "https://two.example:8443"
POLICIES = (
    CorsPolicy(b"/open/", ("*",), exposed=("ETag",)),
    CorsPolicy(
        b"/some/", (ONE, TWO), methods=("GET",), headers=("X-A", "X-B"), max_age_s=60, credentials=True
    ),
)


@pytest.fixture
def net() -> Net:
    resources = {b"/open/x": page(b"x" * 2000), b"/some/y": page(b"y"), b"/some/sub/z": page(b"z")}
    return net_of(site_of(resources=resources, cors=POLICIES))


def test_anyone_may_read_what_is_open(net: Net) -> None:
    for fields in ({}, {"Origin": ONE}, {"Origin": "null"}):
        answer = ask(net, "/open/x", **fields)
        assert answer.get("Access-Control-Allow-Origin") == "*"
        assert answer.get("Access-Control-Expose-Headers") == "ETag"
        assert answer.get("Vary") is None
        assert len(answer.body) == 2000


@pytest.mark.parametrize("target", ["/some/y", "/some/sub/z", "/some/nothing", "/some"])
def test_origins_by_name_are_told_themselves(net: Net, target: str) -> None:
    for origin in (ONE, TWO):
        answer = ask(net, target, Origin=origin)
        assert answer.get("Access-Control-Allow-Origin") == origin
        assert answer.get("Access-Control-Allow-Credentials") == "true"
        assert answer.get("Vary") == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://three.example", ONE + ".evil", ONE[:-1], ONE.upper(), "null", "", ONE + ", " + TWO]
)
def test_others_are_told_nothing_but_caches_are(net: Net, origin: str) -> None:
    answer = ask(net, "/some/y", Origin=origin)
    assert (answer.status, answer.get("Access-Control-Allow-Origin")) == (200, None)
    assert answer.get("Vary") == "Origin"


def test_two_origins_are_none(net: Net) -> None:
    request = f"GET /some/y HTTP/1.1\r\nHost: x\r\nOrigin: {ONE}\r\nOrigin: {ONE}\r\n\r\n"
    assert b"Allow-Origin" not in net.connect().ask(request.encode())


def test_the_line_is_part_of_every_kind_of_answer(net: Net) -> None:
    tag = str(ask(net, "/open/x").get("ETag"))
    for status, fields in (
        (304, {"If_None_Match": tag}),
        (206, {"Range": "bytes=5-9"}),
        (206, {"Range": "bytes=5-9,20-30"}),
        (416, {"Range": "bytes=9999-"}),
        (412, {"If_Match": '"x"'}),
    ):
        answer = ask(net, "/open/x", **fields)
        assert (answer.status, answer.get("Access-Control-Allow-Origin")) == (status, "*")
    whole = ask(net, "/open/x")
    assert ask(net, "/open/x", "HEAD").octets + whole.body == whole.octets


@pytest.mark.parametrize(
    ("status", "method", "fields"),
    [(405, "DELETE", {}), (501, "BREW", {}), (417, "GET", {"Expect": "tea"}), (405, "POST", {})],
)
def test_refusals_say_it_too(net: Net, status: int, method: str, fields: dict[str, str]) -> None:
    """Else a script sees a network error in place of the status."""
    answer = ask(net, "/some/y", method, Origin=ONE, **fields)
    assert (answer.status, answer.get("Access-Control-Allow-Origin")) == (status, ONE)
    assert answer.get("Vary") == "Origin"
    outside = ask(net, "/a.txt", method, Origin=ONE, **fields)
    assert (outside.status, outside.get("Access-Control-Allow-Origin")) == (status, None)


@pytest.mark.parametrize(("target", "status"), [("/some/%zz", 400), ("*", 400)])
def test_what_is_no_path_has_no_policy(net: Net, target: str, status: int) -> None:
    answer = ask(net, target, Origin=ONE)
    assert (answer.status, answer.get("Access-Control-Allow-Origin")) == (status, None)


def test_outside_of_the_folders_nothing_is_said(net: Net) -> None:
    answer = ask(net, "/a.txt", Origin=ONE)
    assert (answer.get("Access-Control-Allow-Origin"), answer.get("Vary")) == (None, None)


def test_a_preflight_is_answered_by_the_policy(net: Net) -> None:
    asking = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "x-a"}
    answer = ask(net, "/some/whatever", "OPTIONS", Origin=TWO, **asking)
    assert answer.status == 204
    assert answer.get("Access-Control-Allow-Origin") == TWO
    assert answer.get("Access-Control-Allow-Methods") == "GET"
    assert answer.get("Access-Control-Allow-Headers") == "X-A, X-B"
    assert answer.get("Access-Control-Max-Age") == "60"
    assert answer.get("Allow") == "GET, HEAD, OPTIONS"
    stranger = ask(net, "/some/whatever", "OPTIONS", Origin="https://x.example", **asking)
    assert (stranger.status, stranger.get("Access-Control-Allow-Origin")) == (204, None)
    anyone = ask(net, "/open/x", "OPTIONS", Origin="https://x.example", **asking)
    assert anyone.get("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS"


def test_an_options_that_is_no_preflight_gets_allow_alone(net: Net) -> None:
    for fields in ({}, {"Origin": ONE}, {"Access_Control_Request_Method": "GET"}):
        answer = ask(net, "/some/y", "OPTIONS", **fields)
        assert (answer.status, answer.get("Allow")) == (204, "GET, HEAD, OPTIONS")
        assert answer.get("Access-Control-Allow-Methods") is None
        assert answer.get("Content-Length") is None


@pytest.mark.parametrize(
    "bad",
    [
        CorsPolicy(b"/", ()),
        CorsPolicy(b"/", ("*", ONE)),
        CorsPolicy(b"/", ("*",), credentials=True),
        CorsPolicy(b"/", ("one.example",)),
        CorsPolicy(b"/", ("https://one.example/path",)),
        CorsPolicy(b"/", (ONE,), methods=("GET\r\nX: y",)),
        CorsPolicy(b"/", (ONE,), headers=("a b",)),
        CorsPolicy(b"/", ("https://one\r\nX: y",)),
        CorsPolicy(b"x", ("*",)),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(bad: CorsPolicy) -> None:
    with pytest.raises(SiteError):
        image_of(Host(resources={b"/": page(b"x")}, cors=(bad,)))
