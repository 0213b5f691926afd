"""The octets of one direction, put together from segments in any order."""

from __future__ import annotations

import re
from dataclasses import dataclass


class Stream:
    """Octets by offset. The same octet twice must be the same octet."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._known = bytearray()
        self._end: int | None = None
        self.prefix = 0
        """Octets known without a gap from the start."""

    def add(self, offset: int, octets: bytes, fin: bool = False) -> None:
        """Octets at `offset`; AssertionError when they are not those seen there before."""
        if not octets and not fin:
            return
        end = offset + len(octets)
        assert self._end is None or end <= self._end, "octets behind the FIN"
        missing = end - len(self._data)
        if missing > 0:
            self._data += bytes(missing)
            self._known += bytes(missing)
        known = self._known[offset:end]
        if known.count(1) == len(octets):
            assert self._data[offset:end] == octets, f"other octets sent again at {offset}"
        elif any(known):
            same = all(self._data[offset + i] == octets[i] for i in range(len(octets)) if known[i])
            assert same, f"other octets sent again at {offset}"
        self._data[offset:end] = octets
        self._known[offset:end] = b"\1" * len(octets)
        if fin:
            assert self._end in (None, end) and len(self._data) == end, "the FIN moves"
            self._end = end
        gap = self._known.find(0, self.prefix)
        self.prefix = len(self._known) if gap < 0 else gap

    def islands(self) -> list[tuple[int, int]]:
        """Known octets behind the first gap, as (start, end)."""
        found, at = [], self.prefix
        while (start := self._known.find(1, at)) >= 0:
            at = self._known.find(0, start)
            at = len(self._known) if at < 0 else at
            found.append((start, at))
        return found

    @property
    def ended(self) -> bool:
        """The FIN and everything before it are here."""
        return self._end is not None and self.prefix == self._end

    def octets(self, start: int = 0, most: int | None = None) -> bytes:
        """From `start` to the first gap, `most` of them."""
        end = self.prefix if most is None else min(self.prefix, start + most)
        return bytes(self._data[start:end])


@dataclass(frozen=True)
class Response:
    status: int
    head: bytes
    body: bytes

    def without_date(self) -> bytes:
        return re.sub(rb"\r\nDate: [^\r]*", b"", self.head) + self.body

    @property
    def closes(self) -> bool:
        return b"\r\nConnection: close\r\n" in self.head

    @property
    def date(self) -> bytes:
        found = re.search(rb"\r\nDate: ([^\r]*)\r\n", self.head)
        assert found is not None, f"no Date in {self.head!r}"
        return found[1]


def content_length(head: bytes) -> int:
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    assert head.startswith(b"HTTP/1.1 ") and length is not None, head
    return int(length[1])


def responses(octets: bytes) -> list[Response]:
    """Whole responses to GETs, one behind the other; AssertionError when the last one is cut."""
    found = []
    while octets:
        head, mark, rest = octets.partition(b"\r\n\r\n")
        assert mark, f"a head is cut: {head!r}"
        size = content_length(head)
        assert len(rest) >= size, f"a body is cut: {len(rest)} of {size} octets"
        found.append(Response(int(head[9:12]), head + mark, rest[:size]))
        octets = rest[size:]
    return found
