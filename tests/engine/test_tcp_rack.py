"""RACK and the tail loss probe by hand: what counts as lost and when, when a probe leaves (RFC 8985)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import MODULUS, Options
from tests.engine.host import MS, Host
from tests.engine.peer import Got, Peer, begun

MSS = 1460
RTT_MS = 40


def opened(host: Host, path: str = "/b1m", **options: object) -> tuple[Peer, list[Got]]:
    """A connection with a round trip of 40 ms, and the first flight of its response."""
    peer = Peer(host, sack=True, scale=7, **options)  # type: ignore[arg-type]
    peer.syn()
    host.sleep(RTT_MS)
    peer.send("A")
    peer.request(path)
    return peer, peer.get()


def sack(peer: Peer, *parts: tuple[int, int]) -> Options:
    """SACK of segments of the first flight, by number: from and up to."""
    base = (peer.irs or 0) + 1
    return Options(sack=tuple(((base + a * MSS) % MODULUS, (base + b * MSS) % MODULUS) for a, b in parts))


def numbers(segments: list[Got]) -> list[int]:
    return [(got.seq - 1) // MSS for got in segments]


@pytest.mark.rfc("8985", "4", "MUST", "RACK and TLP are used where SACK was agreed on")
@pytest.mark.parametrize("agreed", [True, False])
def test_one_block_says_enough_only_where_sack_was_agreed_on(host: Host, agreed: bool) -> None:
    peer, flight = begun(host, sack=agreed)
    host.now += RTT_MS * MS
    peer.send("A", ack=1, options=sack(peer, (9, 10)) if agreed else None)
    host.sleep(RTT_MS / 4 + 5)
    assert (0 in numbers(peer.taken())) == agreed and len(flight) == 10


@pytest.mark.rfc("8985", "6.2", "MUST", "what left before something that arrived is lost after the window")
@pytest.mark.rfc("8985", "6.2", "SHOULD", "the window begins with a quarter of the least round trip")
@pytest.mark.rfc("8985", "6.2", "MUST", "a timer looks again when the reordering window has passed")
def test_two_segments_above_a_hole_make_it_lost_after_a_quarter_of_a_round_trip(host: Host) -> None:
    peer, _ = opened(host)
    host.now += RTT_MS * MS
    assert 0 not in numbers(peer.ask("A", ack=1, options=sack(peer, (1, 3))))
    host.sleep(RTT_MS / 4 - 3, 1)
    assert 0 not in numbers(peer.taken()) and host.count("fast_retransmits") == 0
    host.sleep(8, 1)
    assert 0 in numbers(peer.taken()) and host.count("fast_retransmits") == 1


@pytest.mark.rfc("8985", "6.2", "SHOULD", "without reordering three segments SACKed leave no window")
def test_three_segments_above_a_hole_make_it_lost_at_once(host: Host) -> None:
    peer, _ = opened(host)
    host.now += RTT_MS * MS
    assert 0 in numbers(peer.ask("A", ack=1, options=sack(peer, (1, 4))))


@pytest.mark.rfc("8985", "6.2", "MUST", "reordering is seen when something older arrives that was sent once")
def test_after_reordering_three_segments_do_not_suffice(host: Host) -> None:
    peer, _ = opened(host)
    host.now += RTT_MS * MS
    peer.ask("A", ack=1, options=sack(peer, (2, 3)))
    peer.ask("A", ack=1, options=sack(peer, (1, 3)))
    assert 0 not in numbers(peer.ask("A", ack=1, options=sack(peer, (1, 7))))
    host.sleep(RTT_MS / 4 + 5, 1)
    assert 0 in numbers(peer.taken())


@pytest.mark.rfc("8985", "6.1", "MUST", "the time of the last sending of every segment in flight is known")
@pytest.mark.rfc("8985", "6.2", "MUST", "a repetition that was lost is found without a timeout")
def test_a_lost_repetition_is_sent_again_by_what_left_after_it(host: Host) -> None:
    peer, _ = opened(host)
    host.now += RTT_MS * MS
    first = peer.ask("A", ack=1, options=sack(peer, (1, 8)))
    assert numbers(first)[0] == 0
    newer = [number for number in numbers(first) if number >= 10]
    for _ in range(3):
        host.now += 1 * MS
        newer += numbers(peer.ask("A", ack=1, options=sack(peer, (1, 10))))
    assert newer, "new octets left after the repetition"
    host.now += RTT_MS * MS
    peer.send("A", ack=1, options=sack(peer, (max(newer), max(newer) + 1), (1, 10)))
    host.sleep(RTT_MS / 4 + 5, 1)
    assert 0 in numbers(peer.taken()), "again"
    assert host.count("retransmission_timeouts") == 0


@pytest.mark.rfc("8985", "6.2", "MUST", "an early ACK of a repetition is taken for one of the first sending")
def test_an_ack_sooner_than_any_round_trip_is_no_round_trip_of_the_repetition(host: Host) -> None:
    peer, flight = opened(host)
    host.now += RTT_MS * MS
    peer.ask("A", ack=1, options=sack(peer, (1, 4)))
    host.now += 1 * MS
    peer.ask("A", ack=1 + 4 * MSS)
    host.sleep(8, 1)
    again = [number for number in numbers(peer.taken()) if number < len(flight)]
    assert again == [], "with a round trip of 1 ms the rest would be lost"
    assert host.count("retransmitted") == 1


@pytest.mark.rfc("8985", "6.3", "MUST", "a timeout marks as lost what is not SACKed")
@pytest.mark.rfc("6675", "5.1", "SHOULD", "after a timeout what was SACKed is not sent again")
@pytest.mark.rfc(
    "6675", "5.1", "MUST", "after a timeout no recovery begins before all that was out is acknowledged"
)
def test_after_a_timeout_all_but_what_was_sacked_is_sent_again(host: Host) -> None:
    peer, flight = opened(host)
    host.sleep(700)
    peer.taken()
    assert host.count("retransmission_timeouts") >= 1
    again, acked = [0], 1
    for _ in range(4):
        again += numbers(peer.ask("A", ack=acked + MSS, options=sack(peer, (4, 8))))
        acked += MSS
    old = {number for number in again if number < len(flight)}
    assert old and not old & {4, 5, 6, 7}
    assert host.count("fast_retransmits") == 0


@pytest.mark.rfc("8985", "7.2", "SHOULD", "a probe leaves two round trips after the last segment")
@pytest.mark.rfc("8985", "7.3", "MUST", "without new octets the probe is the last segment again")
@pytest.mark.rfc("8985", "7.3", "MUST", "one probe at a time, and the timeout after it")
def test_the_probe_repeats_the_last_segment_after_two_round_trips_and_once(host: Host) -> None:
    peer, flight = opened(host, "/b10k")
    assert len(flight) == 8
    waited = host.until_sent(500)
    (probe,) = peer.taken()
    assert waited == pytest.approx(2 * RTT_MS, abs=6)
    assert probe.seq + probe.size == flight[-1].seq + flight[-1].size and probe.size == MSS
    host.sleep(80, 2)
    assert peer.taken() == [] and host.count("tail_loss_probes") == 1
    host.until_sent(1000)
    assert host.count("tail_loss_probes") == 1 and host.count("retransmission_timeouts") == 1


@pytest.mark.rfc("8985", "7.2", "SHOULD", "for a single segment the probe waits for a delayed ACK too")
def test_a_single_segment_is_probed_after_a_delayed_ack_or_times_out(host: Host) -> None:
    peer, flight = opened(host, "/b64")
    assert len(flight) == 1 and host.until_sent(1000) >= 2 * RTT_MS + 100
    assert peer.taken()[0].seq == flight[0].seq


@pytest.mark.rfc("8985", "7.3", "SHOULD", "the probe is new octets where the window has room for them")
def test_the_probe_is_new_octets_if_there_are_any(host: Host) -> None:
    peer, flight = opened(host)
    host.until_sent(500)
    (probe,) = peer.taken()
    assert probe.seq == flight[-1].seq + MSS and host.count("retransmitted") == 0
    assert "P" in probe.flags, "so that a peer does not delay the ACK which the probe asks for"
    assert host.count("tail_loss_probes") == 1


@pytest.mark.rfc("8985", "7.4.2", "MUST", "a probe that repaired a loss reduces the window")
@pytest.mark.rfc("8985", "7.4.2", "SHOULD", "a DSACK says that the probe was needless: nothing is reduced")
@pytest.mark.parametrize("needless", [False, True])
def test_congestion_control_hears_of_a_loss_that_the_probe_repaired(host: Host, needless: bool) -> None:
    peer, flight = opened(host, "/b10k")
    host.until_sent(500)
    (probe,) = peer.taken()
    base, end = peer.irs or 0, probe.seq + probe.size
    blocks = ((base + probe.seq, base + end),) if needless else ()
    peer.ask("A", ack=end, options=Options(sack=blocks))
    assert host.count("tail_losses_repaired") == (not needless) and len(flight) == 8


@pytest.mark.rfc("8985", "7.2", "MUST", "no probe in recovery")
def test_in_recovery_no_probe_leaves(host: Host) -> None:
    peer, _ = opened(host)
    host.now += RTT_MS * MS
    peer.ask("A", ack=1, options=sack(peer, (1, 5)))
    host.sleep(2 * RTT_MS + 10, 2)
    assert host.count("tail_loss_probes") == 0


@pytest.mark.rfc("6675", "5", "MUST", "in recovery no more is in the network than the window allows")
@pytest.mark.rfc("6675", "5", "MUST", "the first hole is sent again at once when recovery begins")
def test_recovery_sends_no_more_than_arrives(make_host: MakeHost) -> None:
    host = make_host(congestion="newreno")
    peer, flight = opened(host)
    host.now += RTT_MS * MS
    sent = peer.ask("A", ack=1, options=sack(peer, (1, 4)))
    assert numbers(sent)[0] == 0
    for top in range(5, 11):
        sent += peer.ask("A", ack=1, options=sack(peer, (1, top)))
        assert len(sent) <= top, f"{top - 1} have left the network"
    assert len(sent) <= len(flight) // 2 + 1, "down to half of the window"


@pytest.mark.rfc(
    "3522", "3.2", "MUST", "a timeout whose repetition is echoed was needed: the window stays reduced"
)
def test_an_ack_of_the_repetition_undoes_nothing(host: Host) -> None:
    peer, flight = opened(host, timestamps=True)
    host.sleep(700)
    again = peer.taken()[-1]
    assert again.options.timestamps is not None
    stamps = Options(timestamps=(peer.clock, again.options.timestamps[0]))
    sent = peer.ask("A", ack=1 + peer.payload_most, options=stamps)
    assert host.count("spurious_timeouts") == 0 and host.count("retransmission_timeouts") >= 1
    assert len(sent) <= 8 and len(flight) == 10
