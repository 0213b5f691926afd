"""The image's binary layout: Python twin of cython_ext/abi/image.h.

Owns the formats, the constants and where the sections lie. Knows nothing of files, heads or
HTTP. tests/unit/test_layout.py holds it against the header, field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"BYPASSIM"
VERSION = 2
ALIGN = 64
SUM_STEP = 64
DATE_BYTES = 29
ETAG_BYTES = 24
EMPTY_SLOT = 0xFFFFFFFF
ERROR_SLOTS = 24
RESPONSE_CLOSE = 1

SLOT = struct.Struct("<IIII")
"""tag, response, path_offset, path_bytes."""
SLOT_FIELDS = ("tag", "response", "path_offset", "path_bytes")

RESPONSE = struct.Struct("<QQQQIHHHHIHHHHH6x")
"""As RESPONSE_FIELDS names them."""
RESPONSE_FIELDS = (
    "head_offset",
    "body_offset",
    "body_bytes",
    "sums_first",
    "head_bytes",
    "head_sum",
    "date_offset",
    "status",
    "flags",
    "modified",
    "line_bytes",
    "etag_offset",
    "modified_offset",
    "meta_end",
    "length_offset",
)

HEADER = struct.Struct(f"<8sII14QII24x{ERROR_SLOTS}I")
HEADER_FIELDS = (
    "magic",
    "version",
    "header_bytes",
    "image_bytes",
    "checksum",
    "slots_offset",
    "slots_count",
    "paths_offset",
    "paths_bytes",
    "responses_offset",
    "responses_count",
    "heads_offset",
    "heads_bytes",
    "sums_offset",
    "sums_count",
    "bodies_offset",
    "bodies_bytes",
    "max_probe",
    "files",
    "errors",
)


class ErrorSlot(IntEnum):
    """enum image_error: the responses that need no path."""

    ERROR_400 = 0
    ERROR_404 = 1
    ERROR_405 = 2
    ERROR_408 = 3
    ERROR_413 = 4
    ERROR_414 = 5
    ERROR_417 = 6
    ERROR_431 = 7
    ERROR_500 = 8
    ERROR_501 = 9
    ERROR_503 = 10
    ERROR_505 = 11
    ERROR_412 = 12
    ERROR_204 = 13

    @property
    def status(self) -> int:
        return int(self.name.removeprefix("ERROR_"))


def aligned(octets: int) -> int:
    """`octets` rounded up to the alignment of a section."""
    return (octets + ALIGN - 1) & ~(ALIGN - 1)


def sums_of(body_bytes: int) -> int:
    """How many prefix sums a body of that size has."""
    return body_bytes // SUM_STEP + 1


@dataclass(frozen=True, slots=True)
class Sections:
    """Where everything lies. Offsets and sizes in bytes from the start of the file."""

    slots_count: int
    paths_bytes: int
    responses_count: int
    heads_bytes: int
    sums_count: int
    bodies_bytes: int

    @property
    def slots_offset(self) -> int:
        return aligned(HEADER.size)

    @property
    def paths_offset(self) -> int:
        return aligned(self.slots_offset + self.slots_count * SLOT.size)

    @property
    def responses_offset(self) -> int:
        return aligned(self.paths_offset + self.paths_bytes)

    @property
    def heads_offset(self) -> int:
        return aligned(self.responses_offset + self.responses_count * RESPONSE.size)

    @property
    def sums_offset(self) -> int:
        return aligned(self.heads_offset + self.heads_bytes)

    @property
    def bodies_offset(self) -> int:
        return aligned(self.sums_offset + self.sums_count * 2)

    @property
    def image_bytes(self) -> int:
        return aligned(self.bodies_offset + self.bodies_bytes)


@dataclass(frozen=True, slots=True)
class Header:
    """struct image_header, without its reserved words (zero)."""

    sections: Sections
    checksum: int
    max_probe: int
    files: int
    errors: tuple[int, ...]

    def pack(self) -> bytes:
        """The 256 octets at the start of the file; `errors` has one response for each ErrorSlot."""
        lie = self.sections
        unused = [EMPTY_SLOT] * (ERROR_SLOTS - len(self.errors))
        return HEADER.pack(
            MAGIC,
            VERSION,
            HEADER.size,
            lie.image_bytes,
            self.checksum,
            lie.slots_offset,
            lie.slots_count,
            lie.paths_offset,
            lie.paths_bytes,
            lie.responses_offset,
            lie.responses_count,
            lie.heads_offset,
            lie.heads_bytes,
            lie.sums_offset,
            lie.sums_count,
            lie.bodies_offset,
            lie.bodies_bytes,
            self.max_probe,
            self.files,
            *self.errors,
            *unused,
        )


def header_from(fields: Sequence[int]) -> Header:
    """The header out of HEADER.unpack() with the magic taken off.

    Only the free values are taken: packing the result again gives the same octets exactly when
    every offset, the version, the reserved words and the unused error slots are as they must be.
    """
    sections = Sections(
        slots_count=fields[5],
        paths_bytes=fields[7],
        responses_count=fields[9],
        heads_bytes=fields[11],
        sums_count=fields[13],
        bodies_bytes=fields[15],
    )
    errors = tuple(fields[18 : 18 + len(ErrorSlot)])
    return Header(sections, checksum=fields[3], max_probe=fields[16], files=fields[17], errors=errors)


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """struct image_response."""

    head_offset: int
    body_offset: int
    body_bytes: int
    sums_first: int
    head_bytes: int
    head_sum: int
    date_offset: int
    status: int
    flags: int
    modified: int = 0
    line_bytes: int = 0
    etag_offset: int = 0
    modified_offset: int = 0
    meta_end: int = 0
    length_offset: int = 0

    def pack_into(self, buffer: memoryview, offset: int) -> None:
        RESPONSE.pack_into(buffer, offset, *(getattr(self, name) for name in RESPONSE_FIELDS))
