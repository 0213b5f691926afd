"""Redirects and rewrites as programs that the engine runs: enum image_op of cython_ext/abi/image.h.

A program is a row of (op, 16-bit number, octets). What may stand in one is checked here, so that the
engine matches a path in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote_to_bytes

from bypass.errors import SiteError
from bypass.site.layout import CAPTURES_MOST, Op
from bypass.site.resource import RequestRule, Wild

_TEXT_MOST = 8000


@dataclass(frozen=True, slots=True)
class Programs:
    """The three programs of a rule."""

    pattern: bytes
    query: bytes
    target: bytes


def instruction(op: Op, number: int, octets: bytes = b"") -> bytes:
    return bytes([op]) + number.to_bytes(2, "little") + octets


def compile_rule(rule: RequestRule) -> Programs:
    """SiteError when the rule cannot be run in one pass, or puts what was caught where it must not be."""
    _check_pattern(rule)
    names: dict[str, int] = {}
    parameters: set[str] = set()
    pattern = b"".join(_matched(part, names) for part in rule.pattern)
    query = b""
    for name, value in rule.query:
        query += instruction(Op.PARAMETER, len(name), name.encode("ascii"))
        if isinstance(value, Wild):
            parameters.add(value.name)
            query += _matched(Wild(value.name), names)
        else:
            query += _matched(value.encode("ascii"), names)
    if len(names) > CAPTURES_MOST:
        raise _refused(rule, f"it catches more than {CAPTURES_MOST} parts")
    return Programs(pattern, query, _target(rule, names, parameters))


def rule_text(rule: RequestRule) -> str:
    """The rule as a person may have written it."""
    return "".join(
        ("*" if part.star else f":{part.name}") if isinstance(part, Wild) else part.decode("utf-8", "replace")
        for part in rule.pattern
    )


def _text(part: bytes | Wild) -> bytes:
    return b"" if isinstance(part, Wild) else part


def _matched(part: bytes | Wild, names: dict[str, int]) -> bytes:
    if isinstance(part, bytes):
        return instruction(Op.TEXT, len(part), part)
    number = names.setdefault(part.name, len(names))
    return instruction(Op.STAR if part.star else Op.SEGMENT, number)


def _check_pattern(rule: RequestRule) -> None:
    parts = rule.pattern
    if not parts or not isinstance(parts[0], bytes) or not parts[0].startswith(b"/"):
        raise _refused(rule, "a path pattern starts with a slash")
    if sum(len(part) for part in parts if isinstance(part, bytes)) > _TEXT_MOST:
        raise _refused(rule, f"its text is longer than {_TEXT_MOST} octets")
    wild = [part for part in parts if isinstance(part, Wild)]
    named = [part.name for part in wild] + [part.name for _, part in rule.query if isinstance(part, Wild)]
    if len(set(named)) != len(named):
        raise _refused(rule, "a placeholder occurs twice")
    if any(type(one) is type(following) for one, following in pairwise(parts)):
        raise _refused(rule, "two of its parts are one")
    starred = [place for place, part in enumerate(parts) if isinstance(part, Wild) and part.star]
    if starred and any(isinstance(part, Wild) for part in parts[starred[0] + 1 :]):
        raise _refused(rule, "behind a star there can be plain text only")
    for place, part in enumerate(parts):
        between = parts[place + 1 : place + 2]
        if place + 2 < len(parts) and isinstance(part, Wild) and b"/" not in b"".join(map(_text, between)):
            raise _refused(rule, "a segment can have one placeholder or star")
    for name, value in rule.query:
        if not name.isascii() or not (isinstance(value, Wild) or value.isascii()):
            raise _refused(rule, "a query parameter is not percent-encoded")


def _target(rule: RequestRule, names: dict[str, int], parameters: set[str]) -> bytes:
    rewrites = not 300 <= rule.status < 400
    text = "".join(part if isinstance(part, str) else "\0" for part in rule.target)
    if not text.isascii() or any(0 < ord(char) < 33 or ord(char) == 127 for char in text):
        raise _refused(rule, "its target is not percent-encoded")
    if "\0" in _authority(text) or not (text.startswith("/") or (_authority(text) and not rewrites)):
        raise _refused(rule, "its target is neither a path nor an absolute address of a fixed server")
    made = b""
    seen = ""
    for part in rule.target:
        if isinstance(part, str):
            octets = unquote_to_bytes(part) if rewrites else part.encode("ascii")
            made += instruction(Op.TEXT, len(octets), octets)
            seen += part
            continue
        if part.name not in names:
            raise _refused(rule, f":{part.name} stands for nothing that is caught")
        op = Op.RAW if rewrites else Op.QUERY if part.name in parameters or "?" in seen else Op.PATH
        made += instruction(op, names[part.name])
    return made


def _authority(text: str) -> str:
    """The scheme and server of an absolute address, "" of a path."""
    for scheme in ("http://", "https://"):
        if text.startswith(scheme):
            end = min((text + mark).index(mark, len(scheme)) for mark in "/?#")
            return text[:end] if end > len(scheme) else ""
    return ""


def _refused(rule: RequestRule, why: str) -> SiteError:
    return SiteError(f"rule {rule_text(rule)}: cannot be used", why=why)
