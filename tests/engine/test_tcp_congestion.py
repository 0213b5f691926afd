"""The congestion window, fast retransmit and recovery (RFC 5681, 6582, 6928)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import Host
from tests.engine.peer import Got, Peer, begun, get_request

MSS = 1460


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """NewReno, whose numbers can be reckoned by hand; the peers of this file do not SACK."""
    return make_host(congestion="newreno")


def sizes(segments: list[Got]) -> list[int]:
    return [got.size for got in segments]


@pytest.mark.rfc("6928", "2", "MUST", "the ACK of the handshake does not grow the initial window")
@pytest.mark.rfc("5681", "3.1", "MUST", "the handshake does not grow the window")
@pytest.mark.rfc("6928", "2", "MAY", "the initial window is ten segments")
def test_the_first_flight_is_ten_segments(host: Host) -> None:
    _, flight = begun(host)
    assert sizes(flight) == [MSS] * 10


@pytest.mark.rfc("6928", "2", "MAY", "ten segments are 14600 octets at most")
def test_the_first_flight_of_large_segments_is_counted_in_octets(make_host: MakeHost) -> None:
    host = make_host(mtu=3740, frame_bytes=4096)
    _, flight = begun(host, mss=3700)
    assert sizes(flight) == [3700] * 3 or sizes(flight) == [3700, 3700, 3700, 3500]


@pytest.mark.rfc("5681", "3.1", "MUST", "slow start grows by at most what an ACK covers")
@pytest.mark.rfc("9293", "MUST-19")
def test_slow_start_grows_by_what_each_ack_covers_but_two_segments_at_most(host: Host) -> None:
    peer, _ = begun(host)
    assert sizes(peer.ask("A", ack=1 + MSS)) == [MSS] * 2
    assert sizes(peer.ask("A", ack=1 + 3 * MSS)) == [MSS] * 4
    assert sizes(peer.ask("A", ack=1 + 8 * MSS)) == [MSS] * 7
    sent = peer.ask("A", ack=1 + 8 * MSS + 100)
    assert sum(sizes(sent)) <= 200


@pytest.mark.rfc("6928", "2", "SHOULD", "two lost SYN-ACKs make the initial window one segment, one does not")
@pytest.mark.parametrize(("lost", "segments"), [(1, 10), (2, 1)])
def test_after_two_lost_syn_acks_the_first_flight_is_one_segment(
    host: Host, lost: int, segments: int
) -> None:
    """RFC 6928 2."""
    peer = Peer(host)
    peer.syn()
    for _ in range(lost):
        host.until_sent(3000)
    peer.taken()
    peer.send("A", seq=1)
    peer.request("/b1m", seq=1)
    assert len(peer.get()) == segments


@pytest.mark.rfc("5681", "3.1", "MUST", "a timeout goes back to slow start")
@pytest.mark.rfc("5681", "3.1", "MUST", "after a timeout the window is one segment")
@pytest.mark.rfc("9293", "MUST-19")
def test_after_a_timeout_one_segment_is_sent_again_and_slow_start_begins(host: Host) -> None:
    peer, flight = begun(host)
    host.until_sent(500)
    (again,) = peer.taken()
    assert again == flight[0]
    second = peer.ask("A", ack=1 + MSS)
    assert second == flight[1:3]
    assert peer.ask("A", ack=1 + 3 * MSS) == flight[3:7]
    assert host.count("retransmission_timeouts") == 1
    assert host.count("retransmitted") == 1 + 2 + 4


@pytest.mark.rfc("5681", "3.1", "MUST", "below the threshold slow start, above it congestion avoidance")
@pytest.mark.rfc("5681", "3.1", "MUST", "ssthresh is at most half of what was in flight")
def test_slow_start_after_a_timeout_ends_at_half_of_what_was_in_flight(host: Host) -> None:
    peer, flight = begun(host)
    host.until_sent(500)
    peer.taken()
    acked = 1
    sent = []
    for count in (1, 2, 4, 5):
        acked += count * MSS
        sent.append(len(peer.ask("A", ack=acked)))
    assert sent == [2, 4, 6, 5], "2 more for each ACK while below 5 segments"
    assert len(flight) == 10


def test_an_ack_for_all_after_a_timeout_sends_nothing_again(host: Host) -> None:
    peer, flight = begun(host)
    host.until_sent(500)
    peer.taken()
    new = peer.ask("A", ack=1 + 10 * MSS)
    assert new and new[0].seq == flight[-1].seq + MSS
    assert host.count("retransmitted") == 1


@pytest.mark.rfc("5681", "3.2", "SHOULD", "fast retransmit at the third duplicate ACK")
def test_the_third_duplicate_ack_sends_the_first_segment_again(host: Host) -> None:
    peer, flight = begun(host)
    assert peer.ask("A", ack=1) == [] and peer.ask("A", ack=1) == []
    (again,) = peer.ask("A", ack=1)
    assert again == flight[0]
    assert host.count("fast_retransmits") == 1 and host.count("duplicate_acks") == 3


def test_duplicates_of_different_numbers_do_not_add_up(host: Host) -> None:
    peer, _ = begun(host)
    for ack in (1, 1, 1 + MSS, 1 + MSS, 1 + MSS, 1 + 2 * MSS, 1 + 2 * MSS, 1 + 2 * MSS):
        assert all(got.seq > 1 + 9 * MSS for got in peer.ask("A", ack=ack))
    assert host.count("duplicate_acks") == 6 and host.count("fast_retransmits") == 0
    assert peer.ask("A", ack=1 + 2 * MSS)[0].seq == 1 + 2 * MSS


@pytest.mark.rfc("5681", "3.2", "SHOULD", "new octets leave in recovery where the windows allow it")
@pytest.mark.rfc("5681", "3.2", "MUST", "fast recovery inflates with duplicates and deflates at its end")
@pytest.mark.rfc("6582", "3.2", "MUST", "a full ACK ends recovery")
def test_recovery_inflates_with_duplicates_and_deflates_with_the_full_ack(host: Host) -> None:
    peer, flight = begun(host)
    for _ in range(3):
        peer.ask("A", ack=1)
    extra = [len(peer.ask("A", ack=1)) for _ in range(6)]
    assert extra == [0, 0, 1, 1, 1, 1], "ssthresh 5 + 3, then one for each duplicate beyond the flight of 10"
    sent = peer.ask("A", ack=1 + 14 * MSS)
    assert len(sent) == 2, "RFC 6582 3.2 step 3: cwnd is min(ssthresh, max(flight, MSS) + MSS)"
    assert host.count("fast_retransmits") == 1
    assert flight[-1].seq == 1 + 9 * MSS


@pytest.mark.rfc("6582", "3.2", "MUST", "a partial ACK sends the next hole again")
def test_a_partial_ack_sends_the_next_hole_at_once(host: Host) -> None:
    peer, flight = begun(host)
    for _ in range(3):
        peer.ask("A", ack=1)
    peer.taken()
    sent = peer.ask("A", ack=1 + 4 * MSS)
    assert sent[0] == flight[4]
    sent = peer.ask("A", ack=1 + 7 * MSS)
    assert sent[0] == flight[7]
    assert host.count("fast_retransmits") == 1 and host.count("retransmission_timeouts") == 0
    after = peer.ask("A", ack=1 + 10 * MSS)
    assert all(got.seq >= 1 + 10 * MSS for got in after)


@pytest.mark.rfc("6582", "3.2", "MUST", "after a timeout no fast retransmit of what was out before")
@pytest.mark.rfc("6582", "3.2", "MUST", "no second fast retransmit within one window of data")
def test_duplicates_after_recovery_of_the_same_flight_do_not_start_another(host: Host) -> None:
    peer, _ = begun(host)
    for _ in range(3):
        peer.ask("A", ack=1)
    host.until_sent(1000)
    peer.taken()
    peer.ask("A", ack=1 + MSS)
    for _ in range(5):
        peer.ask("A", ack=1 + MSS)
    assert host.count("fast_retransmits") == 1


@pytest.mark.rfc("5681", "2", "MUST", "what counts as a duplicate ACK")
@pytest.mark.parametrize("what", ["data", "window", "nothing in flight"])
def test_only_true_duplicates_count(host: Host, what: str) -> None:
    peer, flight = begun(host)
    if what == "nothing in flight":
        peer.send("A")
        for _ in peer.acknowledging():
            pass
        assert host.count("duplicate_acks") == 0
    for i in range(5):
        if what == "data":
            peer.send("A", get_request("/b1")[i : i + 1], ack=1)
        elif what == "window":
            peer.send("A", ack=1, window=60_000 - i)
        else:
            peer.send("A")
        assert all(got.payload == b"" for got in peer.get())
    assert host.count("fast_retransmits") == host.count("duplicate_acks") == 0
    assert len(flight) == 10


@pytest.mark.rfc("5681", "3.1", "MUST", "congestion avoidance adds one segment a round trip")
@pytest.mark.rfc("9293", "MUST-19")
def test_congestion_avoidance_adds_one_segment_a_round_trip(host: Host) -> None:
    peer, _ = begun(host)
    for _ in range(3):
        peer.ask("A", ack=1)
    peer.ask("A", ack=1 + 10 * MSS)
    acked, flights = 1 + 10 * MSS, []
    for _ in range(8):
        highest = peer.stream.prefix + 1
        flights.append((highest - acked) // MSS)
        while acked < highest:
            acked = min(acked + 2 * MSS, highest)
            peer.ask("A", ack=acked)
    growth = [later - before for before, later in pairwise(flights[3:])]
    assert all(0 <= more <= 1 for more in growth) and sum(growth) >= 2, flights


def test_a_lost_first_response_of_several_is_sent_again_without_a_fin_never_sent(host: Host) -> None:
    peer = Peer(host).connect()
    for path in ("/b1", "/b63", "/b64", "/b65"):
        peer.send("PA", get_request(path), ack=1)
        peer.get()
    for _ in range(3):
        again = peer.ask("A", ack=1)
    assert again[0].seq == 1 and all("F" not in got.flags for got in again)


@pytest.mark.rfc("6928", "2", "MAY", "the window after idling is the initial window")
@pytest.mark.rfc("5681", "4.1", "SHOULD", "after an idle timeout the window is no more than the initial one")
@pytest.mark.rfc("9438", "5.8", "SHOULD", "CUBIC after idling begins again with the restart window")
@pytest.mark.rfc("2861", "3.1", "SHOULD", "slow start after idling ends at three quarters of the old window")
@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
def test_after_idling_the_window_begins_anew_and_knows_how_far_it_came(
    make_host: MakeHost, congestion: str
) -> None:
    host = make_host(congestion=congestion)
    peer = Peer(host, scale=7, window=60000).connect()
    peer.fetch("/b1m")
    peer.request("/b1m")
    full = sum(sizes(peer.get()))
    assert full > 50 * MSS, "without a pause the window is what it was"
    peer.send("A")
    for _ in peer.acknowledging():
        pass
    host.sleep(5000, 100)
    peer.request("/b1m")
    assert sizes(peer.get()) == [MSS] * 10
    reached = 0
    while got := peer.ask("A"):
        reached = max(reached, sum(sizes(got)))
    assert reached > 30 * MSS, "slow start, not congestion avoidance from ten segments on"


def test_a_pause_shorter_than_a_timeout_changes_nothing(host: Host) -> None:
    peer = Peer(host, scale=7, window=60000).connect()
    peer.fetch("/b1m")
    host.sleep(100)
    peer.request("/b1m")
    assert sum(sizes(peer.get())) > 50 * MSS
