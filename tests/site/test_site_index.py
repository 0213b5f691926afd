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
        longest = max(longest, (slot - hashed // 4 * 4) % made.slots_count + 1)
    assert made.max_probe == longest


@pytest.mark.parametrize(
    ("paths", "slots"), [(0, 4), (1, 4), (2, 4), (3, 8), (4, 8), (5, 16), (1024, 2048), (1025, 4096)]
)
def test_at_most_half_of_a_power_of_two_slots_is_taken(paths: int, slots: int) -> None:
    assert slots_for(paths) == slots
    assert build_index([(b"/%d" % number, number) for number in range(paths)]).slots_count == slots


def test_paths_that_collide_are_kept_apart_and_wrap_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "image_hash", lambda _: 0xABCD_0000_FFFF_FFFF)  # home: the last line
    keys = [b"/%d" % number for number in range(6)]
    made = build_index([(key, 7 + number) for number, key in enumerate(keys)])
    assert made.max_probe == 6
    assert [found(made, path) for path in [*keys, b"/6"]] == [7, 8, 9, 10, 11, 12, None]
    responses = [response for _, response, _, _ in SLOT.iter_unpack(made.slots)]
    assert responses == [11, 12, *[EMPTY_SLOT] * 10, 7, 8, 9, 10]


def test_keys_in_cards_take_no_room_among_the_paths() -> None:
    cards = {3: b"/near", 4: b"/other"}
    made = build_index([(b"/far", 2), (b"/near", 3), (b"/other", 4), (b"C./", 5)], 100, b"\0\1\1\0")
    assert made.paths == b"/farC./"
    room = bytes(100) + made.paths
    for key, number in ((b"/far", 2), (b"/near", 3), (b"/other", 4), (b"C./", 5), (b"/neat", None)):
        held = find(memoryview(made.slots), memoryview(room), made.max_probe, key, cards.__getitem__)
        assert held == number


def test_paths_that_were_chosen_to_lie_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bypass.site.index.image_hash", lambda _: 77)
    crowd = [(b"/%d" % number, number) for number in range(MOST_PROBE + 1)]
    assert build_index(crowd[:-1]).max_probe == MOST_PROBE
    with pytest.raises(SiteError, match="hashes that lie together"):
        build_index(crowd)
