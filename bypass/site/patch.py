"""A new image out of the last one where only contents of files changed: the same octets as a compile from
scratch gives, for the price of copying.

Paths, rules and the number of responses stay; a changed body makes everything behind it move. What this
cannot do it says (CannotPatch), and then the site is compiled anew.
"""

from __future__ import annotations

import array
import mmap
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from bypass._engine import body_sums, folded_sum, image_checksum, move_places
from bypass.site.heads import make_own
from bypass.site.layout import (
    ALIGN,
    CARD_AT,
    RESPONSE,
    RESPONSE_FIELDS,
    ResponseRecord,
    fits_card,
    own_length_at,
    sums_of,
)
from bypass.site.sections import HEADER, Sections, header_from

MOST_CHANGES = 256
_WORDS = RESPONSE.size // 8
_BODY, _SIZE = range(2)  # the first two fields of a record have 8 octets each
_SUMS = 5  # in words of 4 octets


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
        """moved() plus `base` of the words first, first + step ..., of those that lie in the section; unit:
        they count so many octets from the section's start, not octets from the image's."""
        if self.is_in_place and not base:
            return
        start = self.start if unit > 1 else 0
        places = [(place - start) // unit for place in self._places]
        shifts = [(by + base) // unit for by in self._shifts]
        if unit == 1:  # what begins before the section: a body in a card, or the number of a large one
            places, shifts = [self.start - 1, *places], [0, *shifts]
        move_places(words, first, step, array.array("Q", places), array.array("q", shifts))

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
    """bodies: how offsets moved; base: by how much the section did; near: where those that lie in cards
    began, and begin now, as far as they moved."""

    bodies: Track
    base: int
    near: dict[int, int]
    image_bytes: int

    @property
    def is_in_place(self) -> bool:
        return not self.base and not self.near and self.bodies.is_in_place

    def places_of(self, offsets: list[int]) -> list[int]:
        """Where the bodies that began at `offsets` in the last image begin in the new one."""
        places = array.array("Q", offsets)
        self.bodies.move_all(places, 0, 1, self.base)
        return [self.near.get(place, place) for place in places]


def patch(old: memoryview, changes: Sequence[Change], fd: int) -> Patched:
    """Writes the new image into `fd`, a regular file or memfd. CannotPatch: before anything is written."""
    if len(changes) > MOST_CHANGES or any(not each.size or not each.content for each in changes):
        raise CannotPatch
    header = header_from(HEADER.unpack_from(old)[1:])
    lie = header.sections
    records = bytearray(old[lie.span("responses_count")])
    sums, near = _changed_records(old, records, changes, lie)
    far = [change for change in changes if change.offset >= lie.bodies_offset]
    body_parts = [_Part(change.offset, change.size, change.content) for change in far]
    body_track = Track(lie.bodies_offset, lie.bodies_offset + lie.bodies_bytes, body_parts, ALIGN)
    sum_track = Track(lie.sums_offset, lie.sums_offset + 2 * lie.sums_count, sums, 2)
    new = replace(lie, sums_count=sum_track.octets // 2, bodies_bytes=body_track.octets)
    patched = Patched(body_track, new.bodies_offset - lie.bodies_offset, near, new.image_bytes)
    words = memoryview(records).cast("Q")
    body_track.move_all(words, _BODY, _WORDS, patched.base)
    if not sum_track.is_in_place:
        halves = memoryview(records).cast("I")
        firsts = array.array("Q", halves[_SUMS :: 2 * _WORDS].tolist())
        sum_track.move_all(firsts, 0, 1, unit=2)
        halves[_SUMS :: 2 * _WORDS] = array.array("I", firsts)
    os.ftruncate(fd, 0)
    os.posix_fallocate(fd, 0, new.image_bytes)
    with mmap.mmap(fd, new.image_bytes) as mapped, memoryview(mapped) as image:
        image[HEADER.size : lie.responses_offset] = old[HEADER.size : lie.responses_offset]
        image[new.span("responses_count")] = records
        image[new.span("heads_bytes")] = old[lie.span("heads_bytes")]
        sum_track.copy(old, image, new.sums_offset)
        body_track.copy(old, image, new.bodies_offset)
        header = replace(header, sections=new, checksum=0)
        checksum = image_checksum(header.pack(), image[HEADER.size :])
        image[: HEADER.size] = replace(header, checksum=checksum).pack()
    return patched


def _changed_records(
    old: memoryview, records: bytearray, changes: Sequence[Change], lie: Sections
) -> tuple[list[_Part], dict[int, int]]:
    """Rewrites the records of changed bodies and their cards, but not where other things lie. The sums that
    they get, and where bodies in cards began and begin now."""
    words = memoryview(records).cast("Q")
    by_body = {(change.offset, change.size): change for change in changes}
    pairs = zip(words[_BODY::_WORDS].tolist(), words[_SIZE::_WORDS].tolist(), strict=True)
    touched = [(number, by_body[pair]) for number, pair in enumerate(pairs) if pair in by_body]
    users = Counter(change.offset for _, change in touched)
    if len(users) != len(changes):
        raise CannotPatch  # a body that no response has
    sums: dict[int, _Part] = {}
    near: dict[int, int] = {}
    for number, change in touched:
        place = number * RESPONSE.size
        record = _changed_record(old, records, place, change, lie, alone=users[change.offset] == 1)
        RESPONSE.pack_into(records, place, *(getattr(record, name) for name in RESPONSE_FIELDS))
        if change.offset >= lie.bodies_offset:
            first = lie.sums_offset + 2 * record.sums_first
            sums[change.offset] = _Part(first, 2 * sums_of(change.size), _sums(change.content))
        elif change.offset != record.body_offset:
            near[change.offset] = record.body_offset
    return list(sums.values()), near


def _changed_record(
    old: memoryview, records: bytearray, place: int, change: Change, lie: Sections, *, alone: bool
) -> ResponseRecord:
    """alone: no other response has that body."""
    record = ResponseRecord(*RESPONSE.unpack_from(records, place))
    if record.status == 200 and bool(record.modified) != bool(change.modified):
        raise CannotPatch  # a field comes or goes
    modified = change.modified if record.modified else 0
    sized = record.own_bytes > own_length_at(record.status, record.modified)
    own = make_own(record.status, change.digest, modified, len(change.content) if sized else None)
    in_card = change.offset < lie.bodies_offset
    if in_card != (alone and fits_card(len(own), record.key_bytes, len(change.content))):
        raise CannotPatch  # it comes into the card, or has to leave it
    start = lie.heads_offset + record.front_offset
    front = bytes(old[start : start + record.front_bytes])
    body_at = lie.responses_offset + place + CARD_AT + len(own) + record.key_bytes
    return replace(
        record,
        body_offset=body_at if in_card else change.offset,
        body_bytes=len(change.content),
        modified=modified,
        head_sum=folded_sum(front + own),
        own_bytes=len(own),
        card=own + record.key + (change.content if in_card else b""),
    )


def _sums(content: bytes) -> bytes:
    sums = memoryview(bytearray(2 * sums_of(len(content)))).cast("H")
    body_sums(content, sums)
    return sums.tobytes()
