"""CUBIC's window over time, and HyStart++'s slow start, reckoned by hand (RFC 9438, RFC 9406)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import MODULUS, Options
from tests.engine.host import MS, TICK, Host
from tests.engine.peer import Got, Peer, begun

MSS = 1460
BETA, C = 0.7, 0.4


class Rounds:
    """A peer that acknowledges every segment a round trip after it left: one by one, as they are paced."""

    def __init__(self, host: Host, rtt_ms: float, requests: int = 4, **options: object) -> None:
        self.host = host
        self.peer = Peer(host, sack=True, scale=8, window=65535, **options)  # type: ignore[arg-type]
        self.peer.syn()
        host.now += round(rtt_ms * MS)
        self.peer.send("A")
        for _ in range(requests):
            self.peer.request("/b1m")
        self.flight = self.sent()
        self.rtt_ms = rtt_ms

    def sent(self) -> list[tuple[Got, int]]:
        """What left since the last call, and that it is now."""
        return [(got, self.host.now) for got in self.peer.get()]

    def _until(self, when: int) -> list[tuple[Got, int]]:
        """What leaves until then."""
        sent = []
        while self.host.now < when:
            self.host.now = min(self.host.now + TICK, when)
            self.host.turn()
            sent += self.sent()
        return sent

    def round(self, lost: int = 0, rtt_ms: float | None = None, *, one_ack: bool = False) -> int:
        """All of the flight but its first `lost` segments arrives; how many segments that sends.
        one_ack: the peer acknowledges all of it together."""
        rtt = round((rtt_ms or self.rtt_ms) * MS)
        start, base = self.flight[0][0].seq, self.peer.irs or 0
        answers: list[tuple[Got, int]] = []
        for got, left in self.flight[-1:] if one_ack else self.flight[lost:]:
            answers += self._until(left + rtt)
            end = got.seq + got.size
            if lost:
                hole = self.flight[lost][0].seq
                blocks = (((base + hole) % MODULUS, (base + end) % MODULUS),)
                self.peer.send("A", ack=start, options=Options(sack=blocks))
            else:
                self.peer.send("A", ack=end)
            answers += self.sent()
        while more := self._until(self.host.now + max(4 * TICK, rtt // 8)):
            answers += more
        self.flight = answers
        return len(answers)

    def recover(self) -> int:
        """Loses the first segment of a flight and ends the recovery; returns how large the flight was."""
        before = len(self.flight)
        assert self.host.count("retransmission_timeouts") == 0
        self.round(lost=1)
        self.round()
        return before


@pytest.mark.rfc("9438", "4.2", "MUST", "the window follows C (t - K)^3 + W_max, C = 0.4")
@pytest.mark.rfc("9438", "4.4", "SHOULD", "the concave region: fast at first, slow as W_max comes near")
@pytest.mark.rfc("9438", "4.5", "SHOULD", "the convex region: beyond W_max the window grows ever faster")
def test_the_window_follows_the_cubic_function(make_host: MakeHost) -> None:
    """A round trip of 0.4 s: there the cubic function, not Reno's, decides."""
    rounds = Rounds(make_host(tx_frames=4096, congestion="cubic"), 400)
    rounds.round()
    most = rounds.recover()
    assert most == 20
    k = (most * (1 - BETA) / C) ** (1 / 3)
    seen = [rounds.round() for _ in range(14)]
    for number, window in enumerate(seen):
        low, high = (most + C * ((number + ahead) * 0.4 - k) ** 3 for ahead in (1, 2))
        assert low - 2 <= window <= high + 2, "between W_cubic(t) and W_cubic(t + RTT)"
    at_k = round(k / 0.4) - 2
    assert seen[at_k] - seen[at_k - 2] <= 2, "flat about W_max"
    assert seen[-1] - seen[-3] > 5, "steep behind it"


@pytest.mark.rfc("9438", "4.3", "MUST", "the window is never below that of a Reno with the same reduction")
def test_on_a_short_path_the_window_grows_as_renos(make_host: MakeHost) -> None:
    """A round trip of 10 ms: the cubic function would take 2.5 s to W_max, Reno's takes 11 rounds."""
    rounds = Rounds(make_host(tx_frames=4096, congestion="cubic"), 10)
    rounds.round()
    assert rounds.recover() == 20
    seen = [rounds.round() for _ in range(24)]
    alpha = 3 * (1 - BETA) / (1 + BETA)
    assert seen[10] == pytest.approx(0.7 * 20 + alpha * 11, abs=2), seen
    assert seen[-1] - seen[13] == pytest.approx(10, abs=3), "one segment a round beyond W_max"


@pytest.mark.rfc("9438", "4.3", "MUST", "the window is never below that of a Reno with the same reduction")
@pytest.mark.parametrize("congestion", ["cubic", "newreno"])
def test_an_ack_of_a_whole_flight_grows_the_window_by_it(make_host: MakeHost, congestion: str) -> None:
    """Busy receivers acknowledge a whole flight at a time; what counts is what has arrived."""
    seen = []
    for one_ack in (False, True):
        rounds = Rounds(make_host(tx_frames=4096, congestion=congestion), 10)
        rounds.round()
        rounds.recover()
        seen.append([rounds.round(one_ack=one_ack) for _ in range(12)])
    assert seen[1][-1] >= seen[0][-1] - 1 > seen[0][0] + 3, seen


@pytest.mark.rfc("5681", "3.1", "MUST", "in congestion avoidance not more than a segment a round trip")
@pytest.mark.parametrize("congestion", ["cubic", "newreno"])
def test_acks_of_a_few_octets_each_count_for_no_more_than_they_cover(
    make_host: MakeHost, congestion: str
) -> None:
    """ACK division (Savage et al. 1999): a step below one octet is not rounded up for each of them."""
    rounds = Rounds(make_host(tx_frames=4096, congestion=congestion), 3)
    rounds.round()
    rounds.recover()
    rounds.round()
    before = rounds.round()
    for _ in range(2):
        rounds.host.now += 3 * MS
        first, last = rounds.flight[0][0].seq, rounds.flight[-1][0].seq + rounds.flight[-1][0].size
        rounds.flight = []
        for number, ack in enumerate(range(first, last, 4)):
            rounds.peer.send("A", ack=ack)
            if number % 100 == 0:
                rounds.flight += rounds.sent()
        rounds.peer.send("A", ack=last)
        rounds.flight += rounds.sent()
    assert before <= len(rounds.flight) <= before + 3


@pytest.mark.rfc("9438", "4.7", "SHOULD", "fast convergence: a second loss below W_max lowers W_max further")
def test_a_second_loss_below_the_last_leaves_room_to_others(make_host: MakeHost) -> None:
    rounds = Rounds(make_host(tx_frames=4096, congestion="cubic"), 400)
    rounds.round()
    rounds.recover()
    second = rounds.recover()
    assert second < 20
    lower = second * (1 + BETA) / 2
    k = ((lower - 0.7 * second) / C) ** (1 / 3)
    seen = [rounds.round() for _ in range(int(k / 0.4) + 2)]
    assert max(seen[: round(k / 0.4)]) <= lower + 2 < second + 2, (seen, lower)


@pytest.mark.rfc("9438", "4.6", "MUST", "the threshold is at least two segments")
def test_a_loss_of_two_segments_leaves_a_window_of_two(host: Host) -> None:
    peer, _ = begun(host, "/b1m")
    acked = 1
    for number in range(1, 4):
        host.until_sent(3000)
        peer.taken()
        acked += MSS
        sent = peer.ask("A", ack=acked)
        assert host.count("retransmission_timeouts") == number
    assert len(sent) == 2, "slow start from one segment to two"


@pytest.mark.rfc("9438", "4.6", "MUST", "a window that is counted from cwnd does not grow unused")
@pytest.mark.rfc("9438", "5.8", "MUST", "the window does not grow while the application limits the flight")
def test_small_responses_do_not_grow_the_window(host: Host) -> None:
    peer = Peer(host, sack=True).connect()
    for _ in range(40):
        peer.fetch("/b1k")
    peer.request("/b1m")
    assert len(peer.get()) == 10


@pytest.mark.rfc("9406", "4.2", "SHOULD", "in conservative slow start a quarter of the growth")
@pytest.mark.rfc("9406", "4.2", "SHOULD", "after five rounds of it congestion avoidance begins")
def test_conservative_slow_start_lasts_five_rounds(make_host: MakeHost) -> None:
    rounds = Rounds(make_host(tx_frames=8192, congestion="cubic"), 40)
    rounds.round()
    seen = [len(rounds.flight)] + [rounds.round(rtt_ms=80) for _ in range(10)]
    growth = [later / before for before, later in pairwise(seen)]
    slow = [one for one in growth if 1.15 < one < 1.6]  # it begins within a round
    assert 4 <= len(slow) <= 6, growth
    assert growth[-1] < 1.1, growth


@pytest.mark.rfc("9406", "4.2", "SHOULD", "a round trip that shrinks again resumes slow start")
def test_jitter_does_not_end_slow_start(make_host: MakeHost) -> None:
    rounds = Rounds(make_host(tx_frames=8192, congestion="cubic"), 40)
    rounds.round()
    rounds.round(rtt_ms=80)
    before = rounds.round(rtt_ms=80)
    rounds.round()
    rounds.round()
    assert rounds.round() > 3 * before


@pytest.mark.rfc("9406", "4.2", "SHOULD", "fewer than eight samples in a round say nothing")
def test_seven_samples_do_not_slow_slow_start(make_host: MakeHost) -> None:
    """One ACK for a flight that left at one moment is one sample."""
    host = make_host(tx_frames=8192, congestion="cubic")
    peer, flight = begun(host, sack=True, scale=8, window=65535)
    for rtt_ms in (2, 2, 8, 8):
        host.now += rtt_ms * MS
        before, flight = len(flight), peer.ask("A")
    assert len(flight) - before == 8, "what one ACK may add (L = 8)"


@pytest.mark.rfc("5681", "3.1", "MUST", "a second timeout of the same segment leaves the threshold as it is")
def test_a_second_timeout_does_not_lower_the_threshold_again(make_host: MakeHost) -> None:
    host = make_host(congestion="newreno")
    peer, _ = begun(host, mss=500)
    for _ in range(3):
        host.until_sent(3000)
    peer.taken()
    assert host.count("retransmission_timeouts") == 3
    acked, sent = 1, []
    for count in (1, 2, 4):
        acked += count * 500
        sent.append(len(peer.ask("A", ack=acked)))
    assert sent == [2, 4, 6], "2 more for each ACK while below 5 segments, half of the first flight"
