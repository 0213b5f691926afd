"""Images whose large bodies stay on disk: a copy of everything else, and the file to read them from.

The copy has the image's own offsets, with holes where large bodies and their sums are. Records of responses
with such a body say so (RESPONSE_LARGE) and have its number in place of its offset.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bypass.errors import SiteError
from bypass.site.image import SiteImage, open_image
from bypass.site.layout import RESPONSE, RESPONSE_FIELDS, RESPONSE_LARGE, sums_of
from bypass.site.limits import default_limit_bytes
from bypass.site.output import seal
from bypass.site.sections import Sections
from bypass.site.text import format_bytes

_FLAGS = RESPONSE_FIELDS.index("flags")
_BODY_OFFSET = RESPONSE_FIELDS.index("body_offset")
_BODY_BYTES = RESPONSE_FIELDS.index("body_bytes")
_SUMS_FIRST = RESPONSE_FIELDS.index("sums_first")


@dataclass(frozen=True, slots=True)
class LargeBodies:
    """Where they are: `places` has offset and size of each in the file, by its number. The file is held to
    the size and time that it had when it was checked."""

    fd: int
    size_bytes: int
    mtime_ns: int
    places: tuple[tuple[int, int], ...]

    def read_into(self, number: int, offset: int, target: memoryview) -> int:
        """Reads from `offset` of a body until the target is full or the body ends; how many octets. OSError
        when that cannot be, or when the file is not what it was."""
        about = os.fstat(self.fd)
        if (about.st_size, about.st_mtime_ns) != (self.size_bytes, self.mtime_ns):
            raise OSError("the image was changed while it is served")
        first, size = self.places[number]
        wanted = max(min(len(target), size - offset), 0)
        done = 0
        while done < wanted:
            count = os.preadv(self.fd, [target[done:wanted]], first + offset + done)
            if count == 0:
                raise OSError("the image ended too early")
            done += count
        return wanted

    def close(self) -> None:
        os.close(self.fd)


def copy_small(image: Path, *, large_bytes: int, max_bytes: int | None) -> tuple[int, LargeBodies | None]:
    """copy_without_large() into memory that nobody can change: its descriptor, and the large bodies."""
    fd = os.memfd_create("bypass-site", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        limit = default_limit_bytes() if max_bytes is None else max_bytes
        large = copy_without_large(image, fd, large_bytes=large_bytes, max_bytes=limit)
        seal(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, large


def copy_without_large(image: Path, memory: int, *, large_bytes: int, max_bytes: int) -> LargeBodies | None:
    """Checks an image file and copies it into the descriptor `memory`, but for bodies of `large_bytes` and
    more; None when there are none. Raises SiteError, also when what is copied exceeds max_bytes.

    The file is open from here on: a new one that takes its name changes nothing.
    """
    try:
        fd = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SiteError(f"{image}: cannot be read", why=error.strerror or str(error)) from None
    try:
        about = os.fstat(fd)
        with open_image(fd, str(image)) as opened:
            records = _records(opened)
            lie = opened.header.sections
            places = sorted(
                {
                    (one[_BODY_OFFSET], one[_BODY_BYTES])
                    for one in records
                    if one[_BODY_BYTES] >= large_bytes and one[_BODY_OFFSET] >= lie.bodies_offset
                }
            )
            holes = _holes(lie, records, set(places))
            first = lie.responses_offset
        needed = about.st_size - sum(end - start for start, end in holes)
        if needed > max_bytes:
            raise SiteError(
                f"{image}: {format_bytes(needed)} of the image belong into memory, allowed are"
                f" {format_bytes(max_bytes)}",
                remedy="Allow more with --max-memory, or keep more on disk with a smaller --large-file",
            )
        _copy(fd, memory, about.st_size, holes)
        _mark(memory, about.st_size, first, records, {place: number for number, place in enumerate(places)})
    except BaseException:
        os.close(fd)
        raise
    if not places:
        os.close(fd)
        return None
    return LargeBodies(fd, about.st_size, about.st_mtime_ns, tuple(places))


def _records(image: SiteImage) -> list[tuple[Any, ...]]:
    lie = image.header.sections
    with image.buffer[
        lie.responses_offset : lie.responses_offset + lie.responses_count * RESPONSE.size
    ] as raw:
        return list(RESPONSE.iter_unpack(raw))


def _holes(
    lie: Sections, records: list[tuple[Any, ...]], places: set[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Ranges of the file that need not be in memory, in order."""
    found = set()
    for record in records:
        start, size = record[_BODY_OFFSET], record[_BODY_BYTES]
        if (start, size) in places:
            sums = lie.sums_offset + 2 * record[_SUMS_FIRST]
            found.add((start, start + size))
            found.add((sums, sums + 2 * sums_of(size)))
    return sorted(found)


def _copy(source: int, target: int, size: int, holes: list[tuple[int, int]]) -> None:
    os.ftruncate(target, size)
    place = 0
    for start, end in [*holes, (size, size)]:
        os.lseek(target, place, os.SEEK_SET)
        while place < start:
            count = os.sendfile(target, source, place, min(start - place, 1 << 30))
            if count == 0:
                raise SiteError("the image ended too early", why="it was cut while it was read")
            place += count
        place = end


def _mark(
    memory: int, size: int, first: int, records: list[tuple[Any, ...]], numbers: dict[tuple[int, int], int]
) -> None:
    with mmap.mmap(memory, size) as mapped:
        for index, record in enumerate(records):
            number = numbers.get((record[_BODY_OFFSET], record[_BODY_BYTES]))
            if number is not None:
                fields = list(record)
                fields[_FLAGS] |= RESPONSE_LARGE
                fields[_BODY_OFFSET] = number
                RESPONSE.pack_into(mapped, first + index * RESPONSE.size, *fields)
