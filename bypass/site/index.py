"""The path index: open addressing with linear probing, as content/store walks it.

A path's home slot is hash & (slots_count - 1); its tag is the upper half of the hash. At most half
of the slots are taken. `max_probe` counts the slots looked at to find the worst placed path: 1 when
every path lies at home. A search may stop at an empty slot or after max_probe slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bypass._engine import image_hash
from bypass.errors import SiteError
from bypass.site.layout import EMPTY_SLOT, SLOT

LARGEST_PATHS_BYTES = 0xFFFFFFFF  # path_offset has 32 bits


@dataclass(frozen=True, slots=True)
class PathIndex:
    """slots: the slots section. paths: the paths section."""

    slots: bytes
    paths: bytes
    slots_count: int
    max_probe: int


def slots_for(path_count: int) -> int:
    """The power of two that is at least twice `path_count`."""
    return 1 << (2 * max(path_count, 1) - 1).bit_length()


def build_index(entries: Sequence[tuple[bytes, int]]) -> PathIndex:
    """The index over (path, response number); paths are distinct."""
    paths = b"".join(path for path, _ in entries)
    if len(paths) > LARGEST_PATHS_BYTES:
        raise SiteError("the site's paths exceed 4 GiB", remedy="Serve it as several sites.")
    count = slots_for(len(entries))
    taken: dict[int, tuple[int, int, int, int]] = {}
    max_probe = 1
    offset = 0
    for path, response in entries:
        hashed = image_hash(path)
        probe = 1
        slot = hashed & (count - 1)
        while slot in taken:
            slot = (slot + 1) & (count - 1)
            probe += 1
        taken[slot] = (hashed >> 32, response, offset, len(path))
        max_probe = max(max_probe, probe)
        offset += len(path)
    slots = bytearray(SLOT.pack(0, EMPTY_SLOT, 0, 0) * count)
    for slot, fields in taken.items():
        SLOT.pack_into(slots, slot * SLOT.size, *fields)
    return PathIndex(bytes(slots), paths, count, max_probe)


def find(slots: memoryview, paths: memoryview, max_probe: int, path: bytes) -> int | None:
    """The response number of `path`, or None: the same walk that content/store does."""
    mask = len(slots) // SLOT.size - 1
    hashed = image_hash(path)
    slot = hashed & mask
    for _ in range(max_probe):
        tag, response, offset, size = SLOT.unpack_from(slots, slot * SLOT.size)
        if response == EMPTY_SLOT:
            return None
        if tag == hashed >> 32 and paths[offset : offset + size] == path:
            return int(response)
        slot = (slot + 1) & mask
    return None
