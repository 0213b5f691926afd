"""Segments as a script sees them: built from tests.engine.frames, read from any TCP's frames."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from tests.engine.frames import Link, flag_letters, internet_sum, pseudo_header


@dataclass(frozen=True)
class Seen:
    """A segment of the server's, numbers absolute, its options by name."""

    flags: str
    seq: int
    ack: int
    window: int
    urgent: int
    payload: bytes
    options: dict[str, tuple[int, ...]] = field(default_factory=dict)
    at_ns: int = 0
    port: int = 0
    source_port: int = 0


class Wire(Protocol):
    """A way to a server, with a clock. Times are nanoseconds since the wire was made."""

    side: str
    """ours or linux."""
    link: Link
    port: int
    server_port: int
    """The port of who is under test."""
    request_bytes: int
    """What it asks, where it is a client; else 0."""
    responses: dict[str, bytes]
    """What the server answers to a GET of a path."""

    def now(self) -> int: ...
    def send(self, frame: bytes) -> None: ...
    def receive(self, until_ns: int) -> Seen | None:
        """The next segment to us, or None when none comes until then."""

    def slack(self, ns: int, early: bool) -> int:
        """How much earlier or later than stated something may come."""


OPTION_NAMES = {2: "mss", 3: "scale", 4: "sackok", 5: "sack", 8: "ts"}


def read(frame: bytes, at_ns: int) -> Seen | None:
    """A TCP/IPv4 frame with sound checksums; None for anything else."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[14] != 0x45 or frame[23] != 6:
        return None
    (total,) = struct.unpack_from("!H", frame, 16)
    octets = frame[34 : 14 + total]
    source, destination = frame[26:30], frame[30:34]
    ports = struct.unpack_from("!HHIIBBHHH", octets)
    source_port, port, seq, ack, words, bits, window, _, urgent = ports
    assert internet_sum(frame[14:34]) == 0, "IPv4 header checksum"
    assert internet_sum(pseudo_header(source, destination, len(octets)) + octets) == 0, "TCP checksum"
    header = (words >> 4) * 4
    options = read_options(octets[20:header])
    return Seen(
        flag_letters(bits), seq, ack, window, urgent, octets[header:], options, at_ns, port, source_port
    )


def read_options(octets: bytes) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    at = 0
    while at < len(octets) and octets[at] != 0:
        if octets[at] == 1:
            at += 1
            continue
        kind, size = octets[at], octets[at + 1]
        value = octets[at + 2 : at + size]
        form = {0: "", 1: "B", 2: "H"}.get(len(value), f"{len(value) // 4}I")
        found[OPTION_NAMES.get(kind, str(kind))] = struct.unpack_from(f"!{form}", value)
        at += size
    return found
