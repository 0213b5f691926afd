"""Hostile input cannot crash, hang or leak the data plane: proved at C speed in a sanitizer build."""

from __future__ import annotations

import pytest

from tests.fuzz.runner import Fuzz, prepare, totals_of

FRAMES = 2_000_000
TEXTS = 500_000
SEED = 20_261_123

DEEP = {
    "drop_short", "drop_other_mac", "drop_not_ip", "drop_ip_header", "drop_ip_length", "drop_fragment",
    "drop_not_tcp", "drop_other_address", "drop_tcp_header", "drop_tcp_checksum", "syn_received",
    "cookies_sent", "cookies_accepted", "cookies_bad", "source_limited", "table_full",
    "idle_evicted", "half_open_evicted", "challenges_limited",
    "syn_draining", "connections_opened", "connections_closed", "connections_reset",
    "connections_aborted", "time_wait_reused", "time_wait_evicted", "no_connection", "rst_sent",
    "rst_ignored", "challenge_acks", "out_of_window", "paws_rejected", "bad_acks", "out_of_order",
    "duplicate_acks", "retransmitted", "fast_retransmits", "retransmission_timeouts", "window_probes",
    "requests", "responses_2xx", "responses_4xx", "responses_5xx", "header_timeouts", "idle_timeouts",
    "no_request_buffer", "tx_refused", "tx_no_frame",
}  # fmt: skip
"""Counters that show how deep the frames came: each must have moved."""

WORLDS = {
    8974279836320644061: "an ACK that came late took up a cookie whose connection was gone",
    10079359698356900990: "acknowledgements of what was never sent led the judge far ahead of the stream",
}

BREACHES = {
    "a read behind a received frame": (0, "use-after-poison"),
    "a write to a submitted frame": (1, "use-after-poison"),
    "a frame recycled twice": (2, "cannot become FREE: it is FREE"),
    "a read behind a text": (3, "heap-buffer-overflow"),
    "a loop without end": (4, "the engine hangs"),
}


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Fuzz:
    return prepare(tmp_path_factory.mktemp("fuzz") / "made")


@pytest.mark.slow
def test_two_million_frames_break_nothing_and_no_frame_is_lost(fuzz: Fuzz) -> None:
    totals = totals_of(fuzz.run(seed=SEED, frames=FRAMES, timeout_s=600))
    moved = {name for name, value in totals["counters"].items() if value}
    assert totals["frames"] >= FRAMES
    assert totals["judged"] > FRAMES // 4
    assert moved >= DEEP
    assert totals["late_kib"] - totals["early_kib"] < 64 * 1024, "memory grows with the frames"


@pytest.mark.slow
def test_requests_that_end_where_their_memory_ends_break_nothing(fuzz: Fuzz) -> None:
    totals = totals_of(fuzz.run(seed=SEED, rounds=TEXTS, timeout_s=600))
    assert totals["parsed"] == TEXTS


@pytest.mark.parametrize("world", WORLDS)
def test_a_world_that_was_once_stopped_runs_to_its_end(fuzz: Fuzz, world: int) -> None:
    assert totals_of(fuzz.run(world=world, timeout_s=600))["worlds"] == 1


@pytest.mark.parametrize("name", BREACHES)
def test_the_build_sees(fuzz: Fuzz, name: str) -> None:
    kind, words = BREACHES[name]
    done = fuzz.run(breach=kind, timeout_s=60)
    assert done.returncode != 0
    assert words in done.stderr
    assert f"fuzz: in world {kind}" in done.stderr
