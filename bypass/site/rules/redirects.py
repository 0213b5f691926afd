"""`_redirects`, as Netlify and Cloudflare Pages read it: one rule a line, the first that matches counts.

    /old            /new                 301
    /blog/*         /news/:splat         302
    /store id=:id   /items/:id           301!
    /app/*          /app/index.html      200
    https://www.example.org/*  https://example.org/:splat  301

The two differ in two things, and `dialect` says which is meant: a rule without a status is a 301 in
Netlify's reading and a 302 in Cloudflare's; and in Netlify's a file that exists comes before a rule without
"!". What depends on who asks (country, language, role) and what would be fetched elsewhere is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from bypass.errors import SiteError
from bypass.site.rules.lines import Line, lines_of
from bypass.site.rules.pattern import Pattern, Template

Dialect = Literal["netlify", "cloudflare"]

MOST_RULES = 20_000
MOST_DYNAMIC_RULES = 1000
"""Rules with wild cards or query parameters: they are tried one after another while a request waits."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PAGES = frozenset({200, 404, 410, 451})
"""Statuses that answer with a page of the site in place of an address."""

_QUERY = re.compile(r"([A-Za-z0-9_.~-]+)=(.*)")
_CONDITIONS = {"country": "country", "language": "language", "role": "role", "cookie": "cookies"}
_STATUS = re.compile(r"([0-9]+)(!?)")


@dataclass(frozen=True, slots=True)
class RedirectRule:
    """One rule. host: of an absolute `from`, lower case, or empty. query: name and value that the request
    must have, a value ":name" catches. force: comes before a file of that path."""

    source: Pattern
    target: Template
    status: int
    force: bool = False
    host: str = ""
    query: tuple[tuple[str, str], ...] = ()
    origin: str = ""

    @property
    def is_static(self) -> bool:
        """One path, one answer: it can be looked up like a file."""
        return self.source.literal is not None and not self.query and not self.target.names

    @property
    def is_redirect(self) -> bool:
        return self.status in REDIRECTS


def parse_redirects(
    content: bytes, file: str = "_redirects", dialect: Dialect = "netlify"
) -> list[RedirectRule]:
    """The rules in their order. SiteError names the first wrong line."""
    rules: list[RedirectRule] = []
    dynamic = 0
    for line in lines_of(file, content):
        rule = _rule(line, dialect)
        rules.append(rule)
        dynamic += not rule.is_static
        if len(rules) > MOST_RULES or dynamic > MOST_DYNAMIC_RULES:
            raise line.error(
                f"at most {MOST_RULES} rules are read, {MOST_DYNAMIC_RULES} of them with wild cards",
                "Join rules with a star or a placeholder",
            )
    return rules


def make_rule(
    source: str,
    target: str,
    status: int,
    *,
    force: bool = False,
    query: Iterable[tuple[str, str]] = (),
    origin: str = "",
) -> RedirectRule:
    """A rule from its parts. ValueError says what is wrong."""
    host, path = _split_source(source)
    pattern = Pattern.parse(path)
    query = tuple(query)
    names = pattern.names | {value[1:] for _, value in query if value.startswith(":")}
    rule = RedirectRule(
        pattern,
        Template.parse(target, frozenset(names), _path_start(target)),
        status,
        force,
        host,
        query,
        origin,
    )
    _check_target(rule)
    return rule


def _rule(line: Line, dialect: Dialect) -> RedirectRule:
    words = _words(line)
    query, rest = _take_query(words[1:])
    if not rest:
        raise line.error("a rule has a path and a target", "Write: /from /to 301")
    target, *rest = rest
    status, force = 301 if dialect == "netlify" else 302, False
    if rest and (found := _STATUS.fullmatch(rest[0])):
        status, force = int(found[1]), bool(found[2])
        rest = rest[1:]
    for word in rest:
        raise _refused_word(line, word)
    if status not in REDIRECTS | PAGES:
        raise line.error(
            f"status {status} is not answered by a rule",
            f"Known are {', '.join(map(str, sorted(REDIRECTS | PAGES)))}",
        )
    try:
        rule = make_rule(words[0], target, status, query=query, origin=f"{line.file}:{line.number}")
    except ValueError as error:
        raise line.error(str(error)) from None
    return replace(rule, force=force or (dialect == "cloudflare" and rule.is_redirect))


def _words(line: Line) -> list[str]:
    words = line.text.split()
    for number, word in enumerate(words):
        if word.startswith("#"):
            return words[:number]
    return words


def _take_query(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters right behind the path, and the words after them."""
    query: list[tuple[str, str]] = []
    for number, word in enumerate(words):
        found = None if word.startswith(("/", "http:", "https:")) else _QUERY.fullmatch(word)
        if not found or "/" in found[1]:
            return query, words[number:]
        query.append((found[1], found[2]))
    return query, []


def _refused_word(line: Line, word: str) -> SiteError:
    name = word.partition("=")[0].lower()
    if "=" in word and name in _CONDITIONS:
        return line.error(
            f"{word}: the answers of a static site do not depend on a visitor's {_CONDITIONS[name]}",
            "Take the condition off, or give each case a path of its own",
        )
    if "=" in word:
        return line.error(f"{word}: not a condition that is known here", "Parameters stand before the target")
    return line.error(f"{word}: not a status", "Write a number such as 301, with ! to come before files")


def _split_source(text: str) -> tuple[str, str]:
    """Host (or empty) and path of a rule's `from`."""
    if not text.startswith(("http://", "https://", "//")):
        return "", text
    parts = urlsplit(text)
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an absolute address has a host and a path, and nothing behind")
    return parts.hostname, parts.path or "/"


def _path_start(target: str) -> int:
    """Where the path of a target begins: a port number is no placeholder."""
    scheme, found, rest = target.partition("://")
    if not found or "/" in scheme:
        return 0
    slash = rest.find("/")
    return len(target) if slash < 0 else len(scheme) + 3 + slash


def _check_target(rule: RedirectRule) -> None:
    text = rule.target.text
    if text.startswith("//"):
        raise ValueError("a target on another server begins with https:// or http://")
    absolute = text.startswith(("http://", "https://"))
    if not text.isprintable() or any(char.isspace() for char in text):
        raise ValueError("a target has no blanks and no control characters")
    if absolute and not rule.is_redirect:
        raise ValueError(
            f"{rule.status} to another server: what is not in the site cannot be answered from it"
        )
    if not absolute and not text.startswith("/"):
        raise ValueError("a target is a path from the root, or an address that begins with https://")
    if rule.is_redirect and not rule.host and not rule.query and rule.target.literal == rule.source.text:
        raise ValueError("the rule leads to itself")
    if rule.is_redirect and not absolute and _comes_back(rule):
        raise ValueError("the target matches the rule again: a browser would go round in circles")


def _comes_back(rule: RedirectRule) -> bool:
    """/* to /x matches for ever; with a host or parameters it need not."""
    literal = rule.target.literal
    if rule.host or rule.query or literal is None:
        return False
    return rule.source.matches(literal.partition("#")[0].partition("?")[0].encode())
