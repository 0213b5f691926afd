"""Virtual hosts: by name, by wildcard, by default; and whose pages an error has."""

from __future__ import annotations

import pytest

from bypass.errors import SiteError
from bypass.site.resource import Host
from tests.engine_http.client import Net
from tests.engine_http.described import ask, image_of, net_of, page, taken_apart


def host(name: str, *names: str, default: bool = False) -> Host:
    resources = {b"/": page(name.encode()), b"/" + name.encode(): page(b"own")}
    return Host(names, default, resources, errors={(404, b"/"): page(b"no " + name.encode(), status=404)})


@pytest.fixture
def net() -> Net:
    return net_of(
        host("one", "one.example", "uno.example"),
        host("wild", "*.example"),
        host("deep", "*.deep.example", "[2001:db8::1]"),
        host("rest", default=True),
    )


@pytest.fixture
def closed() -> Net:
    """Without a default."""
    return net_of(host("one", "one.example"), host("two", "two.example"))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("one.example", "one"),
        ("ONE.Example", "one"),
        ("one.example:8080", "one"),
        ("one.example.", "one"),
        ("one.example.:80", "one"),
        ("uno.example", "one"),
        ("two.example", "wild"),
        ("a.one.example", "rest"),  # a star is one label
        ("a.deep.example", "deep"),
        ("deep.example", "wild"),
        ("example", "rest"),
        (".example", "rest"),
        ("[2001:DB8::1]:80", "deep"),
        ("[2001:db8::2]", "rest"),
        ("192.0.2.1", "rest"),
        ("", "rest"),
        ("x" * 300 + ".example", "rest"),
    ],
)
def test_the_name_decides_whose_page_it_is(net: Net, name: str, answer: str) -> None:
    assert ask(net, "/", Host=name).body == answer.encode()
    assert ask(net, f"/{answer}", Host=name).status == 200
    missing = ask(net, "/nothing", Host=name)
    assert (missing.status, missing.body) == (404, b"no " + answer.encode())


def test_the_paths_of_one_host_are_not_those_of_another(net: Net) -> None:
    assert ask(net, "/wild", Host="one.example").status == 404
    assert ask(net, "/one", Host="one.example").status == 200


def test_an_authority_in_the_target_counts_and_not_the_field(net: Net) -> None:
    assert ask(net, "http://one.example:81/", Host="two.example").body == b"one"
    assert ask(net, "https://TWO.example?x", Host="one.example").body == b"wild"


def test_http_1_0_without_a_host_is_the_default_hosts(net: Net, closed: Net) -> None:
    request = b"GET / HTTP/1.0\r\n\r\n"
    assert taken_apart(net.connect().ask(request)).body == b"rest"
    assert taken_apart(closed.connect().ask(request)).status == 421


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "BREW"])
def test_a_name_that_is_nobodys_is_421_and_the_connection_goes_on(closed: Net, method: str) -> None:
    connection = closed.connect()
    answer = ask(connection, "/", method, Host="three.example")
    assert answer.status == 421
    assert ask(connection, "/", Host="two.example").body == b"two"


def test_options_for_the_whole_server_is_the_named_hosts(closed: Net) -> None:
    assert ask(closed, "*", "OPTIONS", Host="one.example").status == 204
    assert ask(closed, "*", "OPTIONS", Host="nobody").status == 421


@pytest.mark.parametrize(
    "hosts",
    [
        (host("a", "a.example"), host("b", "a.example")),
        (host("a", default=True), host("b", default=True)),
        (host("a"),),
        (host("a", "A.example"),),
        (host("a", "a.*.example"),),
        (host("a", "a.example:80"),),
        (),
    ],
)
def test_hosts_that_contradict_one_another_are_refused(hosts: tuple[Host, ...]) -> None:
    with pytest.raises(SiteError):
        image_of(*hosts)


def test_an_image_tells_its_hosts_as_the_engine_does(net: Net) -> None:
    image = image_of(host("one", "one.example"), host("wild", "*.example"))
    for name, path in (("one.example", b"/one"), ("two.example", b"/wild")):
        found = image.host(name)
        assert found is not None
        assert image.lookup(path, found) is not None
    assert image.host("elsewhere") is None
