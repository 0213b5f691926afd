"""`_headers`: what each block means, in which order rules count, and what cannot be set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.errors import SiteError
from bypass.site.rules.headers import OWN_FIELDS, effective_fields, parse_headers


def fields(text: str, path: str, defaults: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    return dict(effective_fields(parse_headers(text.encode()), path.encode(), defaults))


def test_every_rule_that_matches_counts() -> None:
    text = """
/*
  X-Robots-Tag: noindex
/docs/*
  X-Robots-Tag: nofollow
  X-Docs: yes
"""
    assert fields(text, "/a") == {"X-Robots-Tag": "noindex"}
    assert fields(text, "/docs/a") == {"X-Robots-Tag": "noindex, nofollow", "X-Docs": "yes"}


def test_a_field_of_one_policy_is_replaced_by_a_later_rule_and_joined_within_one() -> None:
    text = "/*\n  Cache-Control: public\n  Cache-Control: max-age=0\n/a/*\n  cache-control: no-store\n"
    assert fields(text, "/b") == {"Cache-Control": "public, max-age=0"}
    assert fields(text, "/a/b") == {"cache-control": "no-store"}
    assert fields(text, "/b", (("Cache-Control", "no-cache"),)) == {"Cache-Control": "public, max-age=0"}


def test_a_mark_takes_a_field_off_with_the_defaults() -> None:
    text = "/*\n  X-A: 1\n/b\n  ! x-a\n  ! X-Frame-Options\n"
    defaults = (("X-Frame-Options", "DENY"),)
    assert fields(text, "/b", defaults) == {}
    assert fields(text, "/c", defaults) == {"X-Frame-Options": "DENY", "X-A": "1"}


def test_placeholders_fill_values_and_a_time_of_day_stays_one() -> None:
    text = '/get/:name\n  Content-Disposition: attachment; filename=":name"\n'
    text += "  X-Time: 12:30:name\n  Link: </x:y>\n"
    assert fields(text, "/get/a b.txt") == {
        "Content-Disposition": 'attachment; filename="a%20b.txt"',
        "X-Time": "12:30a%20b.txt",
        "Link": "</x:y>",
    }
    assert fields("/*\n  X-Path: /:splat\n", "/a/b") == {"X-Path": "/a/b"}


def test_a_path_line_can_name_a_host_and_users() -> None:
    (rule,) = parse_headers(b"https://Example.org/private/*\n  Basic-Auth: ann:one bob:two\n")
    assert rule.host == "example.org"
    assert rule.basic_auth == (("ann", "one"), ("bob", "two"))
    assert rule.settings == ()


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("  X-A: 1\n", 1, ["without a path"]),
        ("/a\n/b\n  X-A: 1\n", 1, ["without a field"]),
        ("/a\nX-A: 1\n", 1, ["without a field"]),
        ("/a\n  X-A: 1\nX-B: 2\n", 3, ["not indented"]),
        ("/a\n  X-A\n", 2, ["no colon"]),
        ("/a\n  X A: 1\n", 2, ["'X A'", "name of a field"]),
        ("/a\n  X-A:\n", 2, ["no value"]),
        ("/a\n  X-A: é\n", 2, ["printable ASCII"]),
        ("/a\n  ! Content-Length\n", 2, ["breaks connections"]),
        ("/a\n  Basic-Auth: ann\n", 2, ["user:password"]),
        ("/a\n  Basic-Auth:\n", 2, ["names no user"]),
        ("a/*\n  X-A: 1\n", 1, ["starts with a slash"]),
        ("https://*.example.org/*\n  X-A: 1\n", 1, ["wild cards"]),
    ],
)
def test_a_wrong_line_is_named(text: str, number: int, words: list[str]) -> None:
    with pytest.raises(SiteError) as caught:
        parse_headers(text.encode(), "site/_headers")
    assert str(caught.value).startswith(f"site/_headers:{number}: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", sorted(OWN_FIELDS))
def test_what_the_server_writes_cannot_be_set(name: str) -> None:
    with pytest.raises(SiteError, match="cannot be set"):
        parse_headers(f"/*\n  {name}: x\n".encode())


@given(st.binary(max_size=200) | st.text("/a*: X-!\n\tBb", max_size=80).map(str.encode))
def test_whatever_it_says_is_rules_or_an_error_for_people(content: bytes) -> None:
    try:
        rules = parse_headers(content)
    except SiteError as error:
        if not str(error).startswith("_headers"):
            raise
        return
    for name, value in effective_fields(rules, b"/a/b"):
        assert "\n" not in name + value
        assert "\r" not in name + value
