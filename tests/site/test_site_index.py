"""The path index: every path is found where a search looks, nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass._engine import image_hash
from bypass.errors import SiteError
from bypass.site import index
from bypass.site.index import MOST_PROBE, PathIndex, build_index, find, slots_for
from bypass.site.layout import EMPTY_SLOT, SLOT

PATHS = st.sets(st.binary(max_size=24).map(lambda rest: b"/" + rest), max_size=200)


def found(made: PathIndex, path: bytes) -> int | None:
    return find(memoryview(made.slots), memoryview(made.paths), made.max_probe, path)


@given(PATHS, st.binary(max_size=24))
def test_every_path_is_found_and_no_other(paths: set[bytes], other: bytes) -> None:
    entries = [(path, number) for number, path in enumerate(sorted(paths))]
    made = build_index(entries)
    assert [found(made, path) for path, _ in entries] == [number for _, number in entries]
    for absent in {other, b"/" + other} - paths:
        assert found(made, absent) is None


@given(PATHS)
def test_probes_run_from_the_home_slot_and_the_longest_is_recorded(paths: set[bytes]) -> None:
    made = build_index([(path, 0) for path in sorted(paths)])
    longest = 1
    for slot, (tag, response, offset, size) in enumerate(SLOT.iter_unpack(made.slots)):
        if response == EMPTY_SLOT:
            continue
        hashed = image_hash(made.paths[offset : offset + size])
        assert tag == hashed >> 32
        longest = max(longest, (slot - hashed) % made.slots_count + 1)
    assert made.max_probe == longest


@pytest.mark.parametrize(
    ("paths", "slots"), [(0, 2), (1, 2), (2, 4), (3, 8), (4, 8), (5, 16), (1024, 2048), (1025, 4096)]
)
def test_at_most_half_of_a_power_of_two_slots_is_taken(paths: int, slots: int) -> None:
    assert slots_for(paths) == slots
    assert build_index([(b"/%d" % number, number) for number in range(paths)]).slots_count == slots


def test_paths_that_collide_are_kept_apart_and_wrap_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "image_hash", lambda _: 0xABCD_0000_FFFF_FFFF)  # home: the last slot
    made = build_index([(b"/a", 7), (b"/b", 8), (b"/c", 9)])
    assert made.max_probe == 3
    assert [found(made, path) for path in (b"/a", b"/b", b"/c", b"/d")] == [7, 8, 9, None]
    responses = [response for _, response, _, _ in SLOT.iter_unpack(made.slots)]
    assert responses == [8, 9, *[EMPTY_SLOT] * 5, 7]


def test_paths_that_were_chosen_to_lie_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bypass.site.index.image_hash", lambda _: 77)
    crowd = [(b"/%d" % number, number) for number in range(MOST_PROBE + 1)]
    assert build_index(crowd[:-1]).max_probe == MOST_PROBE
    with pytest.raises(SiteError, match="hashes that lie together"):
        build_index(crowd)
