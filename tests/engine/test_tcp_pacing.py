"""A window does not leave as one burst where the round trip is long enough to spread it (tcp/pacing)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import MS, TICK
from tests.engine.peer import Peer

MSS = 1460


def grown(make_host: MakeHost, rtt_ms: float) -> Peer:
    """A peer that has acknowledged the first flight all at once, a round trip after it left."""
    host = make_host(tx_frames=4096)
    peer = Peer(host, sack=True, scale=8, window=65535)
    peer.syn()
    host.now += round(rtt_ms * MS)
    peer.send("A")
    peer.request("/b1m")
    assert len(peer.get()) == 10, "the initial window goes at once"
    host.now += round(rtt_ms * MS)
    return peer


def per_tick(peer: Peer, ticks: int) -> list[int]:
    """How many segments leave in each."""
    sent = []
    for _ in range(ticks):
        peer.host.now += TICK
        peer.host.turn()
        sent.append(len(peer.taken()))
    return sent


def test_what_an_ack_allows_beyond_a_burst_leaves_tick_by_tick(make_host: MakeHost) -> None:
    """18 segments of window, 40 ms: 10 at once, the rest at 36 in 40 ms."""
    peer = grown(make_host, 40)
    at_once = len(peer.ask("A", ack=1 + 10 * MSS))
    assert 10 <= at_once <= 11, "what leaves before there is a second is not counted"
    sent = per_tick(peer, 12)
    assert sum(sent) == 18 - at_once and max(sent) <= 2, sent
    assert 2 <= sum(sent[:4]) <= 5, sent


def test_next_door_a_window_leaves_at_once(make_host: MakeHost) -> None:
    peer = grown(make_host, 2)
    assert len(peer.ask("A", ack=1 + 10 * MSS)) == 18


def test_acks_find_what_has_filled_since(make_host: MakeHost) -> None:
    """What is clocked by acknowledgements is not slower for it: each sends what it opens at once."""
    peer = grown(make_host, 40)
    for number in range(1, 11):
        assert len(peer.ask("A", ack=1 + number * MSS)) == 2
        peer.host.now += 3 * MS


def test_an_idle_connection_saves_nothing_up(make_host: MakeHost) -> None:
    """Of a second without use half a window is left, or a burst."""
    peer = grown(make_host, 40)
    peer.ask("A", ack=1 + 10 * MSS)
    per_tick(peer, 30)
    peer.host.now += 10 * MS
    assert 9 <= len(peer.ask("A", ack=1 + 28 * MSS)) <= 11


@pytest.mark.parametrize("lost", [1, 5])
def test_what_is_sent_again_is_not_held(make_host: MakeHost, lost: int) -> None:
    peer = grown(make_host, 40)
    base = (peer.irs or 0) + 1
    for number in range(lost + 1, 11):
        blocks = ((base + lost * MSS, base + number * MSS),)
        peer.send("A", ack=1, options=Options(sack=blocks))
    seen = [got.seq for got in peer.get()]
    assert 1 in seen and seen.count(1) == 1, seen
