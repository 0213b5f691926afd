"""`_redirects` in both readings: what each line means, and what is refused with its place and reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.errors import SiteError
from bypass.site.rules.redirects import MOST_DYNAMIC_RULES, Dialect, RedirectRule, parse_redirects


def one(line: str, dialect: Dialect = "netlify") -> RedirectRule:
    (rule,) = parse_redirects(line.encode(), "_redirects", dialect)
    return rule


def test_the_example_of_the_docstring_is_read_as_it_says() -> None:
    text = b"""
# comment
/old            /new                 301
/blog/*         /news/:splat         302   # behind a line
/store id=:id   /items/:id           301!
/app/*          /app/index.html      200
https://www.Example.org/*  https://example.org/:splat  301
"""
    rules = parse_redirects(text)
    assert [rule.status for rule in rules] == [301, 302, 301, 200, 301]
    assert [rule.is_static for rule in rules] == [True, False, False, False, False]
    assert rules[1].target.fill({"splat": b"a/b"}) == "/news/a/b"
    assert rules[2].query == (("id", ":id"),)
    assert [rule.force for rule in rules] == [False, False, True, False, False]
    assert rules[4].host == "www.example.org"
    assert rules[0].origin == "_redirects:3"


def test_the_two_readings_differ_in_the_status_that_is_not_said_and_in_who_comes_first() -> None:
    assert (one("/a /b").status, one("/a /b").force) == (301, False)
    assert (one("/a /b", "cloudflare").status, one("/a /b", "cloudflare").force) == (302, True)
    assert not one("/a /b 200", "cloudflare").force


def test_parameters_stand_between_path_and_target() -> None:
    assert one("/a x=1 y=:y /b/:y").query == (("x", "1"), ("y", ":y"))
    assert one("/a /b?x=1").query == ()
    assert one("/a /b?x=1").target.literal == "/b?x=1"


def test_marks_and_line_ends_of_other_systems_are_read() -> None:
    assert len(parse_redirects(b"\xef\xbb\xbf/a /b\r\n/c /d\r\n")) == 2


def test_a_port_in_a_target_is_no_placeholder() -> None:
    assert one("/a https://example.org:8080/b").target.literal == "https://example.org:8080/b"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/a", ["a path and a target"]),
        ("a /b", ["starts with a slash"]),
        ("/a b", ["path from the root"]),
        ("/a /b 299", ["status 299", "301"]),
        ("/a /b 301?", ["301?", "not a status"]),
        ("/a /b 302 Country=de,at", ["Country=de,at", "country"]),
        ("/a /b 302 Language=en", ["Language=en", "language"]),
        ("/a /b 200 Role=admin", ["Role=admin", "role"]),
        ("/a /b 302 Moon=full", ["Moon=full", "not a condition"]),
        ("/a/:x /b/:y", [":y stands for nothing"]),
        ("/a /b/:splat", [":splat stands for nothing"]),
        ("/api/* https://api.example.org/:splat 200", ["another server"]),
        ("/a /a", ["leads to itself"]),
        ("/* /x 301", ["circles"]),
        ("/a/*/b/:c* /x", ["nothing tells"]),
        ("/%zz /x", ["hexadecimal"]),
        ("/a /b\x01", ["control characters"]),
    ],
)
def test_a_wrong_line_is_named_with_file_number_text_and_reason(line: str, words: list[str]) -> None:
    with pytest.raises(SiteError) as caught:
        parse_redirects(f"# first\n\n{line}\n".encode(), "public/_redirects")
    message = str(caught.value)
    assert message.startswith("public/_redirects:3: ")
    for word in words:
        assert word in message
    assert "\x01" not in message


def test_files_that_are_no_rules_are_refused() -> None:
    with pytest.raises(SiteError, match=r"_redirects:2: not UTF-8"):
        parse_redirects(b"/a /b\n/\xff /c\n")
    with pytest.raises(SiteError, match="more than 2000 characters"):
        parse_redirects(b"/a" + b"x" * 3000 + b" /b\n")
    with pytest.raises(SiteError, match="too large"):
        parse_redirects(b"#" * (5 << 20))
    many = "".join(f"/a{n}/* /b\n" for n in range(MOST_DYNAMIC_RULES + 1))
    with pytest.raises(SiteError, match=rf"_redirects:{MOST_DYNAMIC_RULES + 1}: "):
        parse_redirects(many.encode())


@given(st.binary(max_size=200) | st.text("/ab*:=!#?% \n301htps.", max_size=80).map(str.encode))
def test_whatever_it_says_is_rules_or_an_error_for_people(content: bytes) -> None:
    for dialect in ("netlify", "cloudflare"):
        try:
            rules = parse_redirects(content, "_redirects", dialect)  # type: ignore[arg-type]
        except SiteError as error:
            if not str(error).startswith("_redirects"):
                raise
            continue
        assert all(rule.source.text.startswith("/") for rule in rules)
