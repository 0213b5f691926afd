"""`_headers`, as Netlify and Cloudflare Pages read it: a path, and below it, indented, what its answers get.

    /assets/*
      Cache-Control: public, max-age=31536000, immutable
    /download/:name
      Content-Disposition: attachment; filename=":name"
      ! X-Robots-Tag

Every rule that matches counts, in order. The same name again adds a value to the first, joined by a comma,
but for fields that hold one policy, such as Cache-Control: there a later rule replaces what an earlier one
said. "! Name" takes off what came so far, the server's own default included. What says how a message is
framed, or which content it is, comes from the compiler and can be neither set nor taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bypass.site.rules.lines import Line, lines_of
from bypass.site.rules.pattern import Pattern, Template
from bypass.text import did_you_mean

MOST_RULES = 1000
MOST_FIELDS = 100
MOST_VALUE_BYTES = 4096
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OWN_FIELDS = {
    name.lower(): why
    for why, names in {
        "it says how long the message is or how it is sent, and a wrong one breaks connections": (
            "Connection Content-Length Keep-Alive TE Trailer Transfer-Encoding Upgrade"
        ),
        "it is written for each answer by the server": "Accept-Ranges Age Allow Content-Range Date Server",
        "it follows from the content, and a wrong one spoils caches": "Content-Encoding ETag Last-Modified",
        "it belongs to a redirect rule": "Location",
    }.items()
    for name in names.split()
}
"""Fields that nobody but the server sets, lower case -> why."""
# Joined by a comma two of these are none.
_SINGLE = frozenset({"content-type", "content-disposition", "location", "strict-transport-security"})

# A rule for one of these means to replace what was there, not to add to it.
_REPLACED = frozenset(
    {
        "access-control-allow-credentials",
        "access-control-allow-origin",
        "cache-control",
        "content-security-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
    }
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One field to add, or with value None to take off."""

    name: str
    value: Template | None


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """What answers at paths of one pattern get. host: of an absolute path line, or empty. basic_auth: user
    and password pairs of a Basic-Auth line."""

    pattern: Pattern
    settings: tuple[Setting, ...]
    host: str = ""
    basic_auth: tuple[tuple[str, str], ...] = ()
    origin: str = ""


def parse_headers(content: bytes, file: str = "_headers") -> list[HeaderRule]:
    """The rules in their order. SiteError names the first wrong line."""
    rules: list[HeaderRule] = []
    head: Line | None = None
    fields: list[Line] = []
    for line in lines_of(file, content):
        if line.text[0] in " \t":
            if head is None:
                raise line.error(
                    "a field without a path", "Write the path on a line of its own above, not indented"
                )
            fields.append(line)
            continue
        if head is not None:
            rules.append(_rule(head, fields))
        if len(rules) >= MOST_RULES:
            raise line.error(f"at most {MOST_RULES} rules are read")
        head, fields = line, []
    if head is not None:
        rules.append(_rule(head, fields))
    return rules


def make_setting(name: str, value: str | None, names: frozenset[str] = frozenset()) -> Setting:
    """One field, checked. value None takes it off. ValueError says what is wrong."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a field")
    if name.lower() in OWN_FIELDS:
        raise ValueError(f"{name} cannot be set: {OWN_FIELDS[name.lower()]}")
    if value is None:
        return Setting(name, None)
    if not value:
        raise ValueError(f"{name} has no value")
    if not all(char == "\t" or " " <= char <= "~" for char in value):
        raise ValueError(f"the value of {name} has characters other than printable ASCII")
    if len(value) > MOST_VALUE_BYTES:
        raise ValueError(f"the value of {name} has more than {MOST_VALUE_BYTES} octets")
    return Setting(name, _template(value, names))


def effective_fields(
    rules: Iterable[HeaderRule], path: bytes, defaults: Iterable[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """The fields of an answer at `path`: defaults, then every rule that matches, in order."""
    found: dict[str, tuple[str, str]] = {name.lower(): (name, value) for name, value in defaults}
    for rule in rules:
        caught = rule.pattern.catch(path)
        if caught is None:
            continue
        seen: set[str] = set()
        for setting in rule.settings:
            _apply(found, setting, caught, seen)
    return list(found.values())


def _apply(
    found: dict[str, tuple[str, str]], setting: Setting, caught: dict[str, bytes], seen: set[str]
) -> None:
    key = setting.name.lower()
    if setting.value is None:
        found.pop(key, None)
        return
    value = setting.value.fill(caught)
    old = found.get(key)
    joined = old is not None and key not in _SINGLE and (key in seen or key not in _REPLACED)
    found[key] = (setting.name, f"{old[1]}, {value}" if old is not None and joined else value)
    seen.add(key)


def _rule(head: Line, lines: list[Line]) -> HeaderRule:
    host, path = _split(head)
    try:
        pattern = Pattern.parse(path)
    except ValueError as error:
        raise head.error(str(error)) from None
    if not lines:
        raise head.error("a path without a field", "Write the fields below it, indented")
    if len(lines) > MOST_FIELDS:
        raise head.error(f"more than {MOST_FIELDS} fields")
    settings: list[Setting] = []
    users: list[tuple[str, str]] = []
    for line in lines:
        text = line.text.strip()
        if text.lower().startswith("basic-auth:"):
            users += _users(line, text.partition(":")[2].split())
            continue
        settings.append(_setting(line, text, pattern.names))
    return HeaderRule(pattern, tuple(settings), host, tuple(users), f"{head.file}:{head.number}")


def _split(head: Line) -> tuple[str, str]:
    text = head.text.strip()
    for scheme in ("https://", "http://"):
        if text.startswith(scheme):
            host, slash, path = text.removeprefix(scheme).partition("/")
            if not host or ":" in host or "*" in host:
                raise head.error("a host with wild cards or a port", "Name one host, or write the path alone")
            return host.lower(), slash + path or "/"
    if ":" in text and not text.startswith("/"):
        raise head.error("a field that is not indented", "Indent the fields below their path")
    return "", text


def _setting(line: Line, text: str, names: frozenset[str]) -> Setting:
    try:
        if text.startswith("!"):
            return make_setting(text[1:].strip(), None)
        name, colon, value = text.partition(":")
        if not colon:
            hint = did_you_mean(text.split()[0], ["Cache-Control", "Content-Type", "X-Robots-Tag"])
            raise line.error("no colon between name and value", hint or "Write: Name: value")
        return make_setting(name.rstrip(), value.strip(), names)
    except ValueError as error:
        raise line.error(str(error)) from None


def _users(line: Line, pairs: list[str]) -> list[tuple[str, str]]:
    found = []
    for pair in pairs:
        user, colon, password = pair.partition(":")
        if not (colon and user and password):
            raise line.error("a user and a password are written as user:password")
        found.append((user, password))
    if not found:
        raise line.error("Basic-Auth names no user", "Write: Basic-Auth: user:password")
    return found


def _template(value: str, names: frozenset[str]) -> Template:
    """A placeholder that the path does not catch is text, as in a time of day."""
    known = frozenset(name for name in names if f":{name}" in value)
    return Template.parse(value, known) if known else Template(value, (value,))
