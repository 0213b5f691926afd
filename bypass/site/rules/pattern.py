"""The one pattern language for URL paths, and targets filled from what a pattern caught.

    /docs/guide       that path alone
    /docs/*           "*" stands for any octets, slashes and none at all included
    /blog/:year/:id   ":name" stands for one segment: at least one octet, no slash
    /*.css            a star can be followed by more

Compared with the path after percent-decoding, octet by octet, case and all; the whole path has to match.
Escapes in a pattern are decoded, so "%2A" is a star that stands for itself. The first star's catch is
called "splat", those of further ones "splat2" and so on. A pattern is matched in linear time for one star,
and has at most MOST_STARS of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote_from_bytes, unquote_to_bytes

from bypass.site.resource import Wild

MOST_STARS = 4
MOST_PARTS = 32
_TOKEN = re.compile(r"\*|:[A-Za-z][A-Za-z0-9_]*")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE = "/:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. parts: literal octets and wild cards, in order."""

    text: str
    parts: tuple[bytes | Wild, ...]
    _regex: re.Pattern[bytes] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """ValueError says what is wrong with `text`."""
        if not text.startswith("/"):
            raise ValueError("a path pattern starts with a slash")
        if any(char.isspace() or not char.isprintable() for char in text):
            raise ValueError("a path pattern has no blanks and no control characters")
        parts = tuple(_parts(text))
        names = [part.name for part in parts if isinstance(part, Wild)]
        if len(set(names)) != len(names):
            raise ValueError("a placeholder occurs twice")
        if sum(part.star for part in parts if isinstance(part, Wild)) > MOST_STARS:
            raise ValueError(f"more than {MOST_STARS} stars")
        if len(parts) > MOST_PARTS:
            raise ValueError(f"more than {MOST_PARTS} parts")
        for one, next_one in pairwise(parts):
            if isinstance(one, Wild) and isinstance(next_one, Wild):
                raise ValueError(f"nothing tells {_spelled(one)} from {_spelled(next_one)}")
        return cls(text, parts, re.compile(b"".join(map(_expression, parts)), re.S))

    @property
    def literal(self) -> bytes | None:
        """The one path that matches, None when there are wild cards."""
        if any(isinstance(part, Wild) for part in self.parts):
            return None
        return b"".join(part for part in self.parts if isinstance(part, bytes))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts if isinstance(part, Wild))

    def matches(self, path: bytes) -> bool:
        return self._regex.fullmatch(path) is not None

    def catch(self, path: bytes) -> dict[str, bytes] | None:
        """What each wild card caught, None when `path` does not match."""
        found = self._regex.fullmatch(path)
        return None if found is None else found.groupdict()


@dataclass(frozen=True, slots=True)
class Template:
    """A target or value with ":name" in it. parts: literal text and names of what is caught."""

    text: str
    parts: tuple[str | Wild, ...]

    @classmethod
    def parse(cls, text: str, names: frozenset[str], start: int = 0) -> Template:
        """ ":name" is a placeholder where the pattern has one of that name, else it is text; ":splat" and a
        name in a path must be known. start: before it, nothing is a placeholder. ValueError."""
        parts: list[str | Wild] = []
        end = 0
        for found in re.finditer(r":[A-Za-z][A-Za-z0-9_]*", text):
            name = found[0][1:]
            if found.start() < start or name not in names:
                if name == "splat" or (found.start() >= start and text[: found.start()].endswith("/")):
                    raise ValueError(f":{name} stands for nothing that the path pattern catches")
                continue
            parts += [text[end : found.start()], Wild(name, name.startswith("splat"))]
            end = found.end()
        parts.append(text[end:])
        return cls(text, tuple(part for part in parts if part != ""))

    @property
    def literal(self) -> str | None:
        return "".join(str(part) for part in self.parts) if not self.names else None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts if isinstance(part, Wild))

    def fill(self, caught: Mapping[str, bytes]) -> str:
        """The text, what was caught percent-encoded as a path needs it."""
        return "".join(
            part if isinstance(part, str) else quote_from_bytes(caught[part.name], safe=_PATH_SAFE)
            for part in self.parts
        )


def _parts(text: str) -> list[bytes | Wild]:
    if _ESCAPE.search(text):
        raise ValueError("a percent sign is not followed by two hexadecimal digits")
    parts: list[bytes | Wild] = []
    end = stars = 0
    for found in _TOKEN.finditer(text):
        if found.start() > end:
            parts.append(unquote_to_bytes(text[end : found.start()]))
        if found[0] == "*":
            stars += 1
            parts.append(Wild("splat" if stars == 1 else f"splat{stars}", star=True))
        else:
            parts.append(Wild(found[0][1:], star=False))
        end = found.end()
    if end < len(text):
        parts.append(unquote_to_bytes(text[end:]))
    return parts


def _expression(part: bytes | Wild) -> bytes:
    if isinstance(part, bytes):
        return re.escape(part)
    return b"(?P<%s>%s)" % (part.name.encode("ascii"), b".*" if part.star else b"[^/]+")


def _spelled(part: Wild) -> str:
    return "*" if part.star else f":{part.name}"
