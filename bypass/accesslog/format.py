"""What a line of the access log looks like: a name, or text with $variables as nginx has them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bypass.text import did_you_mean

VARIABLES = (
    "remote_addr",
    "remote_port",
    "time_local",
    "time_iso8601",
    "msec",
    "request",
    "request_method",
    "request_uri",
    "server_protocol",
    "status",
    "body_bytes_sent",
    "http_referer",
    "http_user_agent",
    "http_host",
)
FIELD_VARIABLES = frozenset({"http_referer", "http_user_agent", "http_host"})
"""Those that are looked for among the fields of the request."""
PIECES_MOST = 64

COMMON = '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent'
FORMATS = {
    "common": COMMON,
    "combined": COMMON + ' "$http_referer" "$http_user_agent"',
    "json": (
        '{"time":"$time_iso8601","msec":$msec,"remote_addr":"$remote_addr","remote_port":$remote_port,'
        '"host":"$http_host","request":"$request","status":$status,"body_bytes_sent":$body_bytes_sent,'
        '"referer":"$http_referer","user_agent":"$http_user_agent"}'
    ),
}
_VARIABLE = re.compile(r"\$(?:\$|\{([a-z0-9_]*)\}|([a-z0-9_]*))")


@dataclass(frozen=True, slots=True)
class LineFormat:
    """pieces: literal octets, and names of variables. json: a line is a JSON object, and escaped as one."""

    pieces: tuple[bytes | str, ...]
    json: bool

    @property
    def wants_fields(self) -> bool:
        return not FIELD_VARIABLES.isdisjoint(piece for piece in self.pieces if isinstance(piece, str))


def parse_format(text: str) -> LineFormat:
    """ValueError says what is wrong. A format that begins with { is one of JSON."""
    template = FORMATS.get(text, text)
    if "$" not in template:
        hint = did_you_mean(text, FORMATS)
        raise ValueError(
            f"no format is called {text!r}, and it holds no $variable. {hint}".rstrip(". ") + "."
        )
    if any(ord(letter) < 32 for letter in template.replace("\t", " ")):
        raise ValueError("a line may hold no control characters but tabs")
    pieces: list[bytes | str] = []
    last = 0
    for found in _VARIABLE.finditer(template):
        _add_text(pieces, template[last : found.start()])
        last = found.end()
        if found[0] == "$$":
            _add_text(pieces, "$")
        else:
            pieces.append(_known(found[1] or found[2] or ""))
    _add_text(pieces, template[last:])
    if len(pieces) > PIECES_MOST:
        raise ValueError(f"at most {PIECES_MOST} variables and texts between them, not {len(pieces)}")
    return LineFormat(tuple(pieces), json=template.startswith("{"))


def _add_text(pieces: list[bytes | str], text: str) -> None:
    if not text:
        return
    octets = text.encode()
    if pieces and isinstance(pieces[-1], bytes):
        pieces[-1] += octets
    else:
        pieces.append(octets)


def _known(name: str) -> str:
    if name not in VARIABLES:
        hint = did_you_mean(name, VARIABLES) or f"There are: {', '.join('$' + known for known in VARIABLES)}"
        raise ValueError(f"no such variable: ${name}. {hint}")
    return name
