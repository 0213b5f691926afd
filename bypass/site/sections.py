"""Where an image's sections lie, and its header (struct image_header)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bypass.site.layout import (
    AREA,
    ERROR_SLOTS,
    HOST,
    LINE,
    MAGIC,
    POLICY,
    RESOURCE,
    RESPONSE,
    RULE,
    SLOT,
    VERSION,
    ErrorSlot,
    aligned,
    padded,
)

_WIDTHS = {
    "slots_count": SLOT.size,
    "paths_bytes": 1,
    "hosts_count": HOST.size,
    "resources_count": RESOURCE.size,
    "rules_count": RULE.size,
    "areas_count": AREA.size,
    "policies_count": POLICY.size,
    "lines_count": LINE.size,
    "texts_bytes": 1,
    "responses_count": RESPONSE.size,
    "heads_bytes": 1,
    "sums_count": 2,
    "bodies_bytes": 1,
}
"""The sections in their order: what counts them, and octets of one."""

HEADER = struct.Struct(f"<8sII{2 + 2 * len(_WIDTHS)}Q5I28x{ERROR_SLOTS}I")
HEADER_FIELDS = (
    "magic",
    "version",
    "header_bytes",
    "image_bytes",
    "checksum",
    *(field for counted in _WIDTHS for field in (counted.rpartition("_")[0] + "_offset", counted)),
    "max_probe",
    "files",
    "names_first",
    "names_count",
    "default_host",
    "errors",
)
_FIRST_SECTION = 4  # among the fields behind the magic


@dataclass(frozen=True)  # no slots: where the sections lie is worked out once
class Sections:
    """How much each section holds, and where it lies: octets from the start of the file."""

    slots_count: int
    paths_bytes: int
    responses_count: int
    heads_bytes: int
    sums_count: int
    bodies_bytes: int
    hosts_count: int = 1
    resources_count: int = 0
    rules_count: int = 0
    areas_count: int = 0
    policies_count: int = 0
    lines_count: int = 0
    texts_bytes: int = 0

    def octets(self, counted: str) -> int:
        """Octets of the section that the field `counted` counts."""
        count: int = getattr(self, counted)
        return count * _WIDTHS[counted]

    @cached_property
    def _offsets(self) -> dict[str, int]:
        place = aligned(HEADER.size)
        offsets = {}
        for name in _WIDTHS:
            offsets[name] = place
            place = aligned(place + self.octets(name))
        return offsets

    def offset(self, counted: str) -> int:
        return self._offsets[counted]

    def span(self, counted: str) -> slice:
        """Of the whole section within the file."""
        start = self.offset(counted)
        return slice(start, start + self.octets(counted))

    @property
    def slots_offset(self) -> int:
        return self.offset("slots_count")

    @property
    def paths_offset(self) -> int:
        return self.offset("paths_bytes")

    @property
    def texts_offset(self) -> int:
        return self.offset("texts_bytes")

    @property
    def responses_offset(self) -> int:
        return self.offset("responses_count")

    @property
    def heads_offset(self) -> int:
        return self.offset("heads_bytes")

    @property
    def sums_offset(self) -> int:
        return self.offset("sums_count")

    @property
    def bodies_offset(self) -> int:
        return self.offset("bodies_bytes")

    @property
    def image_bytes(self) -> int:
        return aligned(self.bodies_offset + self.bodies_bytes)

    def gaps(self) -> list[slice]:
        """Between the sections, and behind the last: nothing is there."""
        spans = [self.span(name) for name in _WIDTHS]
        places = [*((one.stop, following.start) for one, following in pairwise(spans))]
        return [slice(*place) for place in [*places, (spans[-1].stop, self.image_bytes)]]


@dataclass(frozen=True, slots=True)
class Header:
    """struct image_header, without its reserved words (zero)."""

    sections: Sections
    checksum: int
    max_probe: int
    files: int
    names_first: int
    names_count: int
    default_host: int
    errors: tuple[int, ...]

    def pack(self) -> bytes:
        """The octets at the start of the file; `errors` has one response for each ErrorSlot."""
        lie = self.sections
        places = [number for name in _WIDTHS for number in (lie.offset(name), getattr(lie, name))]
        about = (self.max_probe, self.files, self.names_first, self.names_count, self.default_host)
        first = MAGIC, VERSION, HEADER.size, lie.image_bytes, self.checksum
        return HEADER.pack(*first, *places, *about, *padded(self.errors))


def header_from(fields: Sequence[int]) -> Header:
    """The header out of HEADER.unpack() with the magic taken off.

    Only the free values are taken: packing the result again gives the same octets exactly when
    every offset, the version, the reserved words and the unused error slots are as they must be.
    """
    end = _FIRST_SECTION + 2 * len(_WIDTHS)
    counts = fields[_FIRST_SECTION + 1 : end : 2]
    sections = Sections(**dict(zip(_WIDTHS, counts, strict=True)))
    errors = tuple(fields[end + 5 : end + 5 + len(ErrorSlot)])
    max_probe, files, names_first, names_count, default = fields[end : end + 5]
    return Header(sections, fields[3], max_probe, files, names_first, names_count, default, errors)
