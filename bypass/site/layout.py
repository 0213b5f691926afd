"""The image's binary layout: Python twin of cython_ext/abi/image.h.

Owns the formats, the constants and where the sections lie. Knows nothing of files, heads or
HTTP. tests/unit/test_layout.py holds it against the header, field by field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MAGIC = b"BYPASSIM"
VERSION = 4
ALIGN = 64
SUM_STEP = 64
DATE_BYTES = 29
ETAG_BYTES = 24
EMPTY_SLOT = 0xFFFFFFFF
ERROR_SLOTS = 24
NONE = 0xFFFFFFFF
SALT_BYTES = 16
DIGEST_BYTES = 32
CAPTURES_MOST = 16
LINES_MOST = 4096
LINE_BYTES_MOST = 1024
RESPONSE_CLOSE = 1
RESPONSE_CARE = 2
RESPONSE_LARGE = 4
LINE_SLOTS = 4
CARD_BYTES = 208
CARD_BODY_MOST = 127
CARD_KEY_MOST = 92
TAG_BYTES = 32
TAG_AT = 6
MODIFIED_BYTES = 46
MODIFIED_AT = 15
CODINGS = ("", "gzip", "br", "zstd")
"""enum image_coding, by number."""

KEY_AREA = b"A."
KEY_POLICY = b"C."
KEY_PAGE = b"E"
KEY_HOST = b"H"
KEY_WILD_HOST = b"W"

SLOT = struct.Struct("<IIII")
"""tag, response, path_offset, path_bytes."""
SLOT_FIELDS = ("tag", "response", "path_offset", "path_bytes")

RECORD = struct.Struct("<QQIIIIHHHHHHBBBB")
"""A response up to its card."""
RESPONSE = struct.Struct(f"{RECORD.format}{CARD_BYTES}s")
"""As RESPONSE_FIELDS names them."""
RESPONSE_FIELDS = (
    "body_offset",
    "body_bytes",
    "front_offset",
    "sums_first",
    "modified",
    "resource",
    "front_bytes",
    "date_offset",
    "line_bytes",
    "meta_first",
    "head_sum",
    "status",
    "flags",
    "coding",
    "own_bytes",
    "key_bytes",
    "card",
)
CARD_AT = RECORD.size

RESOURCE = struct.Struct("<6I8x")
RESOURCE_FIELDS = ("first", "count", "area", "bare", "location_offset", "location_bytes")

RULE = struct.Struct("<7IHH")
RULE_FIELDS = (
    "pattern_offset",
    "pattern_bytes",
    "target_offset",
    "target_bytes",
    "query_offset",
    "query_bytes",
    "answer",
    "status",
    "flags",
)

AREA = struct.Struct("<3I4x16s")
AREA_FIELDS = ("response", "digests_offset", "digests_count", "salt")

POLICY = struct.Struct("<4I")
POLICY_FIELDS = ("preflight", "lines_first", "origins", "any")

LINE = struct.Struct("<II")
LINE_FIELDS = ("offset", "bytes")

HOST = struct.Struct(f"<7I4x{ERROR_SLOTS}I")
HOST_FIELDS = (
    "slots_first",
    "slots_count",
    "features",
    "depth",
    "rules_first",
    "rules_count",
    "pages",
    "errors",
)


class RuleFlag(IntFlag):
    """IMAGE_RULE_*."""

    FORCED = 1
    KEEPS_QUERY = 2
    REDIRECT = 4


class HostFeature(IntFlag):
    """IMAGE_HOST_*."""

    RULES = 1
    FORCED = 2
    AREAS = 4
    POLICIES = 8


class Op(IntEnum):
    """enum image_op: what the programs of a rule are made of."""

    TEXT = 1
    SEGMENT = 2
    STAR = 3
    PATH = 4
    QUERY = 5
    RAW = 6
    PARAMETER = 7


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
    ERROR_406 = 14
    ERROR_421 = 15

    @property
    def status(self) -> int:
        return int(self.name.removeprefix("ERROR_"))


def aligned(octets: int) -> int:
    """`octets` rounded up to the alignment of a section."""
    return (octets + ALIGN - 1) & ~(ALIGN - 1)


def sums_of(body_bytes: int) -> int:
    """How many prefix sums a body of that size has."""
    return body_bytes // SUM_STEP + 1


def own_length_at(status: int, modified: int) -> int:
    """Where the line Content-Length begins in a head's own part."""
    return TAG_BYTES * (status == 200) + MODIFIED_BYTES * (modified != 0)


def fits_card(own_bytes: int, key_bytes: int, body_bytes: int) -> bool:
    """Whether a body that no other response has lies in the card."""
    return body_bytes <= CARD_BODY_MOST and own_bytes + key_bytes + body_bytes <= CARD_BYTES


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """struct image_response."""

    body_offset: int
    body_bytes: int
    front_offset: int
    sums_first: int
    modified: int
    resource: int
    front_bytes: int
    date_offset: int
    line_bytes: int
    meta_first: int
    head_sum: int
    status: int
    flags: int
    coding: int
    own_bytes: int
    key_bytes: int
    card: bytes

    @property
    def own(self) -> bytes:
        """The end of the head, which no other response has."""
        return self.card[: self.own_bytes]

    @property
    def key(self) -> bytes:
        """The path in the card, if there is one."""
        return self.card[self.own_bytes : self.own_bytes + self.key_bytes]

    @property
    def etag_offset(self) -> int:
        """Of the ETag value within the head, 0 without one."""
        return self.front_bytes + TAG_AT if self.status == 200 else 0


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """struct image_resource."""

    first: int
    count: int
    area: int = NONE
    bare: int = NONE
    location_offset: int = 0
    location_bytes: int = 0

    def pack(self) -> bytes:
        return RESOURCE.pack(*(getattr(self, name) for name in RESOURCE_FIELDS))


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """struct image_rule."""

    pattern_offset: int
    pattern_bytes: int
    target_offset: int
    target_bytes: int
    query_offset: int
    query_bytes: int
    answer: int
    status: int
    flags: int

    def pack(self) -> bytes:
        return RULE.pack(*(getattr(self, name) for name in RULE_FIELDS))


@dataclass(frozen=True, slots=True)
class HostRecord:
    """struct image_host."""

    slots_first: int
    slots_count: int
    features: int
    depth: int
    rules_first: int
    rules_count: int
    pages: int
    errors: tuple[int, ...]

    def pack(self) -> bytes:
        return HOST.pack(*(getattr(self, name) for name in HOST_FIELDS[:-1]), *padded(self.errors))


def host_from(fields: tuple[int, ...]) -> HostRecord:
    """Out of HOST.unpack(); the unused error slots are left out."""
    first, count, features, depth, rules, rules_count, pages, *errors = fields
    used = tuple(errors[: len(ErrorSlot)])
    return HostRecord(first, count, features, depth, rules, rules_count, pages, used)


def padded(errors: tuple[int, ...]) -> tuple[int, ...]:
    """With the error slots that are not in use."""
    return (*errors, *[EMPTY_SLOT] * (ERROR_SLOTS - len(errors)))
