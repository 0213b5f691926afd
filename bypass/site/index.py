"""An index: open addressing with linear probing, as content/store walks it.

A key's home slot is hash & (slots_count - 1); its tag is the upper half of the hash. At most half
of the slots are taken. `max_probe` counts the slots looked at to find the worst placed key: 1 when
every key lies at home. A search may stop at an empty slot or after max_probe slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bypass._engine import image_hash
from bypass.errors import SiteError
from bypass.site.layout import EMPTY_SLOT, SLOT
from bypass.site.text import printable

MOST_PROBE = 1024
"""By chance it is below 50 with a million paths; more is meant, and would cost requests for such paths."""
LARGEST_PATHS_BYTES = 0xFFFFFFFF  # path_offset has 32 bits


@dataclass(frozen=True, slots=True)
class PathIndex:
    """slots: a part of the slots section. paths: of the paths section, `paths_first` octets into it."""

    slots: bytes
    paths: bytes
    slots_count: int
    max_probe: int


def slots_for(key_count: int) -> int:
    """The power of two that is at least twice `key_count`."""
    return 1 << (2 * max(key_count, 1) - 1).bit_length()


def build_index(entries: Sequence[tuple[bytes, int]], paths_first: int = 0) -> PathIndex:
    """The index over (key, number); keys are distinct. paths_first: octets of keys of earlier indexes."""
    paths = b"".join(path for path, _ in entries)
    if paths_first + len(paths) > LARGEST_PATHS_BYTES:
        raise SiteError("the site's paths exceed 4 GiB", remedy="Serve it as several sites.")
    count = slots_for(len(entries))
    mask = count - 1
    slots = bytearray(SLOT.pack(0, EMPTY_SLOT, 0, 0) * count)
    taken = bytearray(count)
    max_probe = 1
    offset = paths_first
    for path, response in entries:
        hashed = image_hash(path)
        probe = 1
        slot = hashed & mask
        while taken[slot]:
            slot = (slot + 1) & mask
            probe += 1
            if probe > MOST_PROBE:
                raise SiteError(
                    f"{printable(path)}: cannot be looked up quickly",
                    why=f"more than {MOST_PROBE} paths of the site have hashes that lie together",
                    remedy="Give it, or some of them, other names.",
                )
        taken[slot] = 1
        SLOT.pack_into(slots, slot * SLOT.size, hashed >> 32, response, offset, len(path))
        max_probe = max(max_probe, probe)
        offset += len(path)
    return PathIndex(bytes(slots), paths, count, max_probe)


def find(slots: memoryview, paths: memoryview, max_probe: int, path: bytes) -> int | None:
    """The number that the key `path` stands for, or None: the same walk that content/store does."""
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
