"""From target to path: decoded once, normalised, never out of the root."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass._probe import path_of_target

ENCODED_SLASH = 256

PATHS = [
    (b"/", b"/"),
    (b"/a", b"/a"),
    (b"/a/", b"/a/"),
    (b"/a/b.html", b"/a/b.html"),
    (b"/a..b/..c/d../...", b"/a..b/..c/d../..."),
    (b"/.hidden", b"/.hidden"),
    (b"/.well-known/x", b"/.well-known/x"),
    (b"/a?b/../c", b"/a"),
    (b"/?", b"/"),
    (b"/?%zz", b"/"),
    (b"/a%20b", b"/a b"),
    (b"/%41%4a%4A%7e", b"/AJJ~"),
    (b"/caf%C3%a9", b"/caf\xc3\xa9"),
    (b"/a%3Fb", b"/a?b"),
    (b"/a%23b", b"/a#b"),
    (b"/%2541", b"/%41"),
    (b"/%252e%252e/a", b"/%2e%2e/a"),
    (b"/a%ff%80", b"/a\xff\x80"),
    (b"/a%0d%0a", b"/a\r\n"),
    (b"//", b"/"),
    (b"//a", b"/a"),
    (b"/a//b///c//", b"/a/b/c/"),
    (b"/./a/./b/.", b"/a/b/"),
    (b"/.", b"/"),
    (b"/a/..", b"/"),
    (b"/a/../", b"/"),
    (b"/a/b/../c", b"/a/c"),
    (b"/a/b/../../c", b"/c"),
    (b"/a//../b", b"/b"),
    (b"/a/%2e%2e/b", b"/b"),
    (b"/a/%2E./b", b"/b"),
    (b"/a/.%2e/b", b"/b"),
    (b"/%2e/a", b"/a"),
    (b"/a/..?x", b"/"),
    (b"/a\\..\\b", b"/a\\..\\b"),
    (b"http://host", b"/"),
    (b"http://host?x", b"/"),
    (b"http://host/", b"/"),
    (b"http://host/a/../b?c", b"/b"),
    (b"HTTP://host:80/a", b"/a"),
    (b"https://host/a%20b", b"/a b"),
    (b"http://[::1]:80/a", b"/a"),
    (b"http://h", b"/"),
    (b"https://h", b"/"),
]
REFUSED = [
    b"*",
    b"a",
    b"?",
    b"host:443",
    b"http:",
    b"http:/",
    b"http://",
    b"https://",
    b"http:///a",
    b"http://?a",
    b"http://user@host/",
    b"http://a:b/",
    b"http://\\\\a/",
    b"http://[::1/",
    b"http://[::1]x",
    b"https:///a",
    b"httpx://host/",
    b"ftp://host/a",
    b"http:host/a",
    b"http:/.host/a",
    b"http://host/..",
    b"/..",
    b"/../",
    b"/../a",
    b"/a/../..",
    b"/a/../../b",
    b"/%2e%2e/a",
    b"/%2E%2E",
    b"//..",
    b"/./..",
    b"/a%2Fb/../..",
    b"/%2F/../..",
    b"/%",
    b"/%4",
    b"/%4?",
    b"/%g1",
    b"/%1g",
    b"/%%41",
    b"/a%2?0",
    b"/% 41",
    b"/%-1",
]
NOWHERE = [b"/%00", b"/a%00b", b"/%2F", b"/a%2fb", b"/a%2Fb/../c", b"/..%2f..%2fetc", b"/%2F..%2F.."]


@pytest.mark.parametrize(("target", "path"), PATHS)
def test_a_target_names_its_path(target: bytes, path: bytes) -> None:
    assert path_of_target(target) == ("OK", path)
    assert path_of_target(target, at_start=True) == ("OK", path)


@pytest.mark.parametrize("target", REFUSED)
def test_a_target_that_is_malformed_or_leaves_the_root_is_refused(target: bytes) -> None:
    assert path_of_target(target) == ("BAD", b"")
    assert path_of_target(target, at_start=True) == ("BAD", b"")


@pytest.mark.parametrize("target", NOWHERE)
def test_an_encoded_slash_or_nul_names_nothing(target: bytes) -> None:
    assert path_of_target(target) == ("NOWHERE", b"")


def reference(target: bytes) -> tuple[str, bytes]:
    """The rule, slowly: an encoded slash is a number of its own, so that no segment ends at it."""
    path = target.split(b"?")[0]
    broken = re.search(rb"%(?![0-9A-Fa-f]{2})", path)
    kept: list[list[int]] = []
    folder = True
    for segment in path[: broken.start() if broken else None].split(b"/")[1:]:
        octets = [
            ENCODED_SLASH if escaped.lower() == b"2f" else int(escaped, 16) if escaped else plain[0]
            for escaped, plain in re.findall(rb"%(..)|(.)", segment, re.S)
        ]
        folder = True
        if octets == [46, 46] and not kept:
            return "BAD", b""
        if octets == [46, 46]:
            kept.pop()
        elif octets and octets != [46]:
            kept.append(octets)
            folder = False
    if broken:
        return "BAD", b""
    if re.search(rb"%(?:00|2[Ff])", re.sub(rb"%25", b"", path)):
        return "NOWHERE", b""
    return "OK", b"".join(b"/" + bytes(octets) for octets in kept) + (b"/" if folder else b"")


PARTS = [
    b"/",
    b"//",
    b".",
    b"..",
    b"a",
    b"bc",
    b"%2e",
    b"%2E",
    b"%2f",
    b"%00",
    b"%41",
    b"%",
    b"%2",
    b"?",
    b"\\",
]
PARTS += [b"%25", b"%ff", b"~", b":", b";", b"..."]
targets = st.lists(st.sampled_from(PARTS), max_size=14).map(lambda parts: b"/" + b"".join(parts))


@settings(max_examples=3000, deadline=None)
@given(targets)
def test_the_path_is_the_slow_reference_s(target: bytes) -> None:
    assert path_of_target(target) == reference(target)


@settings(max_examples=1500, deadline=None)
@given(targets, st.sampled_from([b"", b"http://h", b"https://h:1"]))
def test_no_path_has_a_dot_segment_an_empty_segment_or_a_way_out(target: bytes, prefix: bytes) -> None:
    verdict, path = path_of_target(prefix + target)
    assert (verdict == "OK") == bool(path)
    if verdict == "OK":
        assert path.startswith(b"/")
        assert not {b".", b".."} & set(path.split(b"/"))
        assert b"//" not in path
        assert b"\0" not in path
        assert len(path) <= len(target) + 1


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=60).map(lambda octets: b"/" + octets))
def test_any_octets_give_what_the_reference_gives(target: bytes) -> None:
    assert path_of_target(target) == reference(target)


def test_a_path_is_normal_already_when_it_comes_out() -> None:
    for target, path in PATHS:
        if not set(path) & set(b"%?\r\n #"):
            assert path_of_target(path) == ("OK", path), target
