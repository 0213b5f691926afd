"""An index: open addressing with linear probing, as content/store walks it.

The search for a key begins at the first slot of the line of 64 octets that hash & (slots_count - 1) lies in,
so that nearly all end in the line they began in; its tag is the upper half of the hash. At most half of the
slots are taken. `max_probe` counts the slots looked at to find the worst placed key: 1 when every key lies at
home. A search may stop at an empty slot or after max_probe slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bypass._engine import image_hash
from bypass.errors import SiteError
from bypass.site.layout import EMPTY_SLOT, LINE_SLOTS, NONE, SLOT
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
    """The power of two that is at least twice `key_count`, and a line at least."""
    return max(1 << (2 * max(key_count, 1) - 1).bit_length(), LINE_SLOTS)


def home_of(hashed: int, slots_count: int) -> int:
    """The slot at which the search for a key begins."""
    return hashed & (slots_count - 1) & -LINE_SLOTS


def build_index(
    entries: Sequence[tuple[bytes, int]], paths_first: int = 0, inside: bytes | bytearray = b""
) -> PathIndex:
    """The index over (key, number); keys are distinct. paths_first: octets of keys of earlier indexes.
    inside: not 0 for each key that lies in the card of its response; empty: none does."""
    inside = inside or bytes(len(entries))
    paths = b"".join(path for (path, _), near in zip(entries, inside, strict=True) if not near)
    if paths_first + len(paths) > LARGEST_PATHS_BYTES:
        raise SiteError("the site's paths exceed 4 GiB", remedy="Serve it as several sites.")
    count = slots_for(len(entries))
    mask = count - 1
    slots = bytearray(SLOT.pack(0, EMPTY_SLOT, 0, 0) * count)
    taken = bytearray(count)
    max_probe = 1
    offset = paths_first
    for (path, response), near in zip(entries, inside, strict=True):
        hashed = image_hash(path)
        probe = 1
        slot = home_of(hashed, count)
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
        place = NONE if near else offset
        SLOT.pack_into(slots, slot * SLOT.size, hashed >> 32, response, place, len(path))
        max_probe = max(max_probe, probe)
        if not near:
            offset += len(path)
    return PathIndex(bytes(slots), paths, count, max_probe)


def find(
    slots: memoryview,
    paths: memoryview,
    max_probe: int,
    path: bytes,
    card_key: Callable[[int], bytes] | None = None,
) -> int | None:
    """The number that the key `path` stands for, or None: the same walk that content/store does. card_key:
    the key in the card of a response."""
    count = len(slots) // SLOT.size
    hashed = image_hash(path)
    slot = home_of(hashed, count)
    for _ in range(max_probe):
        tag, response, offset, size = SLOT.unpack_from(slots, slot * SLOT.size)
        if response == EMPTY_SLOT:
            return None
        if tag == hashed >> 32 and size == len(path):
            near = card_key(response) if card_key is not None and offset == NONE else None
            if path == (paths[offset : offset + size] if near is None else near):
                return int(response)
        slot = (slot + 1) & (count - 1)
    return None
