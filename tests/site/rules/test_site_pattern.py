"""The pattern language of paths, against examples and against a slow matcher of our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.site.rules.pattern import Pattern, Template


@pytest.mark.parametrize(
    ("pattern", "path", "caught"),
    [
        ("/", b"/", {}),
        ("/a", b"/a", {}),
        ("/a", b"/A", None),
        ("/a", b"/a/", None),
        ("/*", b"/", {"splat": b""}),
        ("/*", b"/x/y", {"splat": b"x/y"}),
        ("/docs/*", b"/docs", None),
        ("/docs/*", b"/docs/", {"splat": b""}),
        ("/*.css", b"/a/b.css", {"splat": b"a/b"}),
        ("/*.css", b"/a/b.css.map", None),
        ("/blog/:year/:id", b"/blog/2026/7", {"year": b"2026", "id": b"7"}),
        ("/blog/:year/:id", b"/blog/2026/", None),
        ("/blog/:year", b"/blog/2026/7", None),
        ("/a-:name.html", b"/a-x.html", {"name": b"x"}),
        ("/*/x/*", b"/1/x/2/x/3", {"splat": b"1/x/2", "splat2": b"3"}),
        ("/caf%C3%A9", "/café".encode(), {}),
        ("/café", "/café".encode(), {}),
        ("/a%2Ab", b"/a*b", {}),
        ("/a%2Ab", b"/axb", None),
        ("/a.b", b"/axb", None),
        ("/line*", b"/line\nbreak", {"splat": b"\nbreak"}),
        ("/:id", b"/\xff", {"id": b"\xff"}),
    ],
)
def test_what_matches_and_what_is_caught(pattern: str, path: bytes, caught: dict[str, bytes] | None) -> None:
    assert Pattern.parse(pattern).catch(path) == caught
    assert Pattern.parse(pattern).matches(path) == (caught is not None)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "slash"),
        ("docs/*", "slash"),
        ("https://example.org/", "slash"),
        ("/a b", "blanks"),
        ("/a\tb", "blanks"),
        ("/%", "hexadecimal"),
        ("/%zz", "hexadecimal"),
        ("/:a/:a", "twice"),
        ("/**", "nothing tells"),
        ("/:a*", "nothing tells"),
        ("/*a*b*c*d*e", "stars"),
        ("/" + "/".join(f":p{n}" for n in range(40)), "parts"),
    ],
)
def test_what_is_no_pattern(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Pattern.parse(pattern)


def test_a_pattern_without_wild_cards_is_one_path() -> None:
    assert Pattern.parse("/a%20b").literal == b"/a b"
    assert Pattern.parse("/a*").literal is None
    assert Pattern.parse("/:a").names == {"a"}


def _slow(parts: tuple[str, ...], path: str) -> bool:
    if not parts:
        return not path
    first, rest = parts[0], parts[1:]
    if first == "*":
        return any(_slow(rest, path[end:]) for end in range(len(path) + 1))
    if first == ":a":
        ends = [end for end in range(1, len(path) + 1) if "/" not in path[:end]]
        return any(_slow(rest, path[end:]) for end in ends)
    return path.startswith(first) and _slow(rest, path[len(first) :])


@given(
    st.lists(st.sampled_from(["/", "x", "y", "*", ":a"]), max_size=5),
    st.text("/xy", max_size=7),
)
def test_it_agrees_with_a_slow_matcher(parts: list[str], path: str) -> None:
    pattern = "".join(part + ("" if part != ":a" else "/") for part in ["/", *parts])
    steps = tuple(step for part in ["/", *parts] for step in ((":a", "/") if part == ":a" else (part,)))
    try:
        made = Pattern.parse(pattern)
    except ValueError:
        return
    assert made.matches(("/" + path).encode()) == _slow(steps, "/" + path)


def test_what_was_caught_is_percent_encoded_where_it_is_put() -> None:
    names = frozenset({"splat", "id"})
    target = Template.parse("/new/:id/:splat", names)
    assert target.fill({"splat": b"a b/\xff?#", "id": b"x"}) == "/new/x/a%20b/%FF%3F%23"
    assert target.literal is None
    assert Template.parse("/a:80/b", names).literal == "/a:80/b"


@pytest.mark.parametrize("target", ["/:splat", "/:nothing"])
def test_a_placeholder_that_catches_nothing_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="stands for nothing"):
        Template.parse(target, frozenset())
