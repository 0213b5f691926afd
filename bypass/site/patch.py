"""A new image out of the last one where only contents of files changed: the same octets as a compile from
scratch gives, for the price of copying.

Paths, rules and the number of responses stay; a changed body makes everything behind it move. What this
cannot do it says (CannotPatch), and then the site is compiled anew.
"""

from __future__ import annotations

import array
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from bypass._engine import body_sums, folded_sum, image_checksum, move_places
from bypass.site.heads import etag, http_date
from bypass.site.layout import (
    ALIGN,
    DATE_BYTES,
    ETAG_BYTES,
    RESPONSE,
    RESPONSE_FIELDS,
    RESPONSE_LARGE,
    sums_of,
)
from bypass.site.sections import HEADER, header_from

MOST_CHANGES = 256
_WORDS = RESPONSE.size // 8
_HEAD, _BODY, _SIZE, _SUMS = range(4)  # the first four fields of a record have 8 octets each
_FLAGS_AT = struct.calcsize("<4QI3H") // 2  # in words of 2 octets


class CannotPatch(Exception):
    """The change is more than one of contents."""


@dataclass(frozen=True, slots=True)
class Change:
    """One body. offset, size: in the last image. content: the new octets, digest: their SHA-256, old: that of
    the last ones. modified: Last-Modified, seconds since 1970, 0 for none."""

    offset: int
    size: int
    content: bytes
    digest: bytes
    modified: int
    old: bytes = b""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a section that is replaced. place, size: in the last image."""

    place: int
    size: int
    content: bytes


class Track:
    """A section of parts one after another, each at a multiple of `align`, some of them replaced.

    start, end: of the section in the last image, its last part not padded."""

    def __init__(self, start: int, end: int, parts: Sequence[_Part], align: int) -> None:
        self.start, self.end = start, end
        self._parts = sorted(parts, key=lambda part: part.place)
        self._places = [part.place for part in self._parts]
        self._align = align
        grown = [self._padded(len(part.content)) - self._padded(part.size) for part in self._parts]
        self._shifts = [0, *accumulate(grown)]

    def moved(self, place: int) -> int:
        """Where something that began at `place` begins now, the section's own start being the same."""
        return place + self._shifts[bisect_left(self._places, place)]

    @property
    def is_in_place(self) -> bool:
        return not any(self._shifts)

    def move_all(
        self, words: memoryview | array.array[int], first: int, step: int, base: int = 0, unit: int = 1
    ) -> None:
        """moved() plus `base` of the words first, first + step ...; unit: they count so many octets from the
        section's start, not octets from the image's."""
        if self.is_in_place and not base:
            return
        start = self.start if unit > 1 else 0
        begins = array.array("Q", [(place - start) // unit for place in self._places])
        move_places(
            words, first, step, begins, array.array("q", [(by + base) // unit for by in self._shifts])
        )

    @property
    def octets(self) -> int:
        """Of the section as it is now."""
        last = self._parts[-1] if self._parts else None
        if last is not None and last.place + last.size == self.end:
            return self.moved(last.place) + len(last.content) - self.start
        return self.end + self._shifts[-1] - self.start

    def copy(self, old: memoryview, image: memoryview, start: int) -> None:
        """Writes the section to where it starts in the new image."""
        base, cursor, shift = start - self.start, self.start, 0
        for part, after in zip(self._parts, self._shifts[1:], strict=True):
            image[cursor + shift + base : part.place + shift + base] = old[cursor : part.place]
            place = part.place + shift + base
            image[place : place + len(part.content)] = part.content
            cursor, shift = min(part.place + self._padded(part.size), self.end), after
        if cursor < self.end:
            image[cursor + shift + base : self.end + shift + base] = old[cursor : self.end]

    def _padded(self, octets: int) -> int:
        return -(-octets // self._align) * self._align


@dataclass(frozen=True, slots=True)
class Patched:
    """bodies: how offsets moved; base: by how much the section did."""

    bodies: Track
    base: int
    image_bytes: int

    @property
    def is_in_place(self) -> bool:
        return not self.base and self.bodies.is_in_place

    def places_of(self, offsets: list[int]) -> list[int]:
        """Where the bodies that began at `offsets` in the last image begin in the new one."""
        places = array.array("Q", offsets)
        self.bodies.move_all(places, 0, 1, self.base)
        return places.tolist()


def patch(old: memoryview, changes: Sequence[Change], fd: int) -> Patched:
    """Writes the new image into `fd`, a regular file or memfd. CannotPatch: before anything is written."""
    if len(changes) > MOST_CHANGES or any(not each.size or not each.content for each in changes):
        raise CannotPatch
    header = header_from(HEADER.unpack_from(old)[1:])
    lie = header.sections
    records = bytearray(old[lie.span("responses_count")])
    heads, sums = _changed_records(old, records, changes, lie.sums_offset)
    head_track = Track(lie.heads_offset, lie.heads_offset + lie.heads_bytes, heads, ALIGN)
    body_parts = [_Part(change.offset, change.size, change.content) for change in changes]
    body_track = Track(lie.bodies_offset, lie.bodies_offset + lie.bodies_bytes, body_parts, ALIGN)
    sum_track = Track(lie.sums_offset, lie.sums_offset + 2 * lie.sums_count, sums, 2)
    new = replace(
        lie,
        heads_bytes=head_track.octets,
        sums_count=sum_track.octets // 2,
        bodies_bytes=body_track.octets,
    )
    base = new.bodies_offset - lie.bodies_offset
    words = memoryview(records).cast("Q")
    head_track.move_all(words, _HEAD, _WORDS)
    sum_track.move_all(words, _SUMS, _WORDS, unit=2)
    numbers = _large_bodies(records)
    body_track.move_all(words, _BODY, _WORDS, base)
    for place, number in numbers.items():
        words[place] = number
    os.ftruncate(fd, 0)
    os.posix_fallocate(fd, 0, new.image_bytes)
    with mmap.mmap(fd, new.image_bytes) as mapped, memoryview(mapped) as image:
        image[HEADER.size : lie.responses_offset] = old[HEADER.size : lie.responses_offset]
        image[new.span("responses_count")] = records
        head_track.copy(old, image, new.heads_offset)
        sum_track.copy(old, image, new.sums_offset)
        body_track.copy(old, image, new.bodies_offset)
        header = replace(header, sections=new, checksum=0)
        checksum = image_checksum(header.pack(), image[HEADER.size :])
        image[: HEADER.size] = replace(header, checksum=checksum).pack()
    return Patched(body_track, base, new.image_bytes)


def _large_bodies(records: bytearray) -> dict[int, int]:
    """Of records whose body has no place but a number: in which word of 8 octets that is, and it."""
    words = memoryview(records).cast("Q")
    flags = memoryview(records).cast("H")[_FLAGS_AT :: RESPONSE.size // 2].tolist()
    large = (number * _WORDS + _BODY for number, each in enumerate(flags) if each & RESPONSE_LARGE)
    return {place: words[place] for place in large}


def _changed_records(
    old: memoryview, records: bytearray, changes: Sequence[Change], sums_offset: int
) -> tuple[list[_Part], list[_Part]]:
    """Rewrites the records of changed bodies, but not where things lie; the heads and sums that they get."""
    words = memoryview(records).cast("Q")
    by_body = {(change.offset, change.size): change for change in changes}
    pairs = zip(words[_BODY::_WORDS].tolist(), words[_SIZE::_WORDS].tolist(), strict=True)
    touched = [(number, by_body[pair]) for number, pair in enumerate(pairs) if pair in by_body]
    heads: list[_Part] = []
    sums: dict[int, _Part] = {}
    for number, change in touched:
        place = number * RESPONSE.size
        record = dict(zip(RESPONSE_FIELDS, RESPONSE.unpack_from(records, place), strict=True))
        head = _changed_head(old, record, change)
        heads.append(_Part(record["head_offset"], record["head_bytes"], head))
        first = sums_offset + 2 * record["sums_first"]
        sums[change.offset] = _Part(first, 2 * sums_of(change.size), _sums(change.content))
        record |= {"body_bytes": len(change.content), "head_bytes": len(head), "head_sum": folded_sum(head)}
        RESPONSE.pack_into(records, place, *record.values())
    if len(sums) != len(changes):
        raise CannotPatch  # a body that no response has
    return heads, list(sums.values())


def _changed_head(old: memoryview, record: dict[str, int], change: Change) -> bytes:
    if record["status"] == 200 and bool(record["modified"]) != bool(change.modified):
        raise CannotPatch  # a field comes or goes
    start = record["head_offset"]
    head = bytearray(old[start : start + record["head_bytes"]])
    if tag := record["etag_offset"]:
        head[tag : tag + ETAG_BYTES] = etag(change.digest).encode("ascii")
    if date := record["modified_offset"]:
        head[date : date + DATE_BYTES] = http_date(change.modified).encode("ascii")
        record["modified"] = change.modified
    if length := record["length_offset"]:
        head[length:] = b"Content-Length: %d\r\n" % len(change.content)
    return bytes(head)


def _sums(content: bytes) -> bytes:
    sums = memoryview(bytearray(2 * sums_of(len(content)))).cast("H")
    body_sums(content, sums)
    return sums.tobytes()
