"""Records that exist once for each connection stay small: 100,000 of them share the caches."""

from __future__ import annotations

from bypass._probe import SIZES


def test_a_session_is_one_cache_line() -> None:
    assert SIZES["Session"] == 64


def test_a_connection_with_its_session_leaves_room_for_its_place_in_the_table() -> None:
    """256 octets all told: tests/engine/test_a_million_connections adds them up."""
    assert SIZES["TcpConn"] + SIZES["Session"] <= 256 - 8


def test_a_frame_and_a_slot_are_what_rings_of_them_assume() -> None:
    assert SIZES["Frame"] == 16
    assert SIZES["Slot"] == 12


def test_a_burst_of_parsed_segments_fits_the_first_cache() -> None:
    assert SIZES["Segment"] <= 160
    assert SIZES["Segment"] * 64 <= 16 * 1024


def test_the_counters_fit_one_page() -> None:
    assert SIZES["Counters"] <= 4096
