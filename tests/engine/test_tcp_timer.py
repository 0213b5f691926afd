"""The retransmission timer: when it fires, what is sent again (RFC 6298)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import Host
from tests.engine.peer import Got, Peer, begun, seg

MSS = 1460


def sizes(segments: list[Got]) -> list[int]:
    return [got.size for got in segments]


@pytest.mark.rfc("6298", "2.1", "SHOULD", "the first timeout is one second")
def test_without_a_sample_the_first_timeout_comes_after_a_second(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("S", seq=0)
    peer.get()
    peer.send("A")
    peer.request("/b64")
    (first,) = peer.get()
    assert host.until_sent(2000) == pytest.approx(1000, abs=3)
    (again,) = peer.taken()
    assert again.seq == first.seq and again.payload == first.payload


@pytest.mark.rfc("6298", "5.6", "SHOULD", "after a repetition the timer runs for the doubled time")
@pytest.mark.rfc("6298", "2.5", "MAY", "a timeout is at most 60 seconds")
@pytest.mark.rfc("9293", "MUST-20")
@pytest.mark.rfc("9293", "MUST-19")
@pytest.mark.rfc("6298", "5.5", "MUST", "the timeout doubles")
def test_the_timeout_doubles_until_the_peer_is_given_up(make_host: MakeHost) -> None:
    host = make_host(idle_timeout_ns=10**12)
    peer, (first,) = begun(host, "/b64")
    waits = []
    for _ in range(10):
        waits.append(host.until_sent(70_000))
        (again,) = peer.taken()
        assert (again.seq, again.payload) == (first.seq, first.payload)
    expected = [200 << i for i in range(9)] + [60_000]
    assert waits == [pytest.approx(ms, rel=0.01) for ms in expected]
    assert host.until_sent(70_000) == pytest.approx(60_000, rel=0.01)
    (end,) = peer.taken()
    assert set(end.flags) == {"R", "A"} and end.seq == first.seq + first.size
    assert host.engine.open_connections == 0
    assert host.count("connections_aborted") == 1 and host.count("retransmission_timeouts") == 11
    assert host.sleep(5000, 50) == []


@pytest.mark.rfc("6298", "5.1", "SHOULD", "the timer starts when octets leave")
@pytest.mark.rfc("6298", "5", "MUST", "nothing is sent again sooner than a timeout after it left")
@pytest.mark.rfc("6298", "2.2", "MUST", "the first sample R makes a timeout of R + 4 * R/2")
@pytest.mark.parametrize(("rtt_ms", "timeout_ms"), [(1, 200), (100, 300), (300, 900), (900, 2700)])
def test_the_timeout_follows_the_round_trip_time(host: Host, rtt_ms: int, timeout_ms: int) -> None:
    """RFC 6298 2.2: R + 4 * R / 2."""
    peer = Peer(host)
    peer.syn()
    host.sleep(rtt_ms)
    peer.send("A")
    peer.request("/b64")
    peer.get()
    assert host.until_sent(10_000) == pytest.approx(timeout_ms, abs=4)


@pytest.mark.rfc("6298", "3", "MUST", "each round trip gives a sample")
@pytest.mark.rfc("6298", "2.3", "MUST", "later samples are smoothed with 1/8 and 1/4")
def test_the_round_trip_time_is_smoothed(host: Host) -> None:
    """RFC 6298 2.3 by hand: samples of 400, 800 and 400 ms."""
    peer = Peer(host)
    peer.syn()
    host.sleep(400)
    peer.send("A")
    srtt, var = 400.0, 200.0
    for rtt in (800, 400):
        peer.request("/b1")
        peer.get()
        host.sleep(rtt)
        peer.send("A")
        peer.expect()
        var = 0.75 * var + 0.25 * abs(srtt - rtt)
        srtt = 0.875 * srtt + 0.125 * rtt
    peer.request("/b1")
    peer.get()
    assert host.until_sent(10_000) == pytest.approx(srtt + 4 * var, abs=4)


@pytest.mark.rfc("9293", "MUST-18")
@pytest.mark.rfc("6298", "3", "MUST", "Karn's algorithm")
def test_what_was_sent_twice_gives_no_sample(host: Host) -> None:
    """The acknowledgement may be of either, so the timeout stays doubled until there is a sample."""
    peer = Peer(host)
    peer.syn()
    host.sleep(100)
    peer.send("A")
    peer.request("/b64")
    peer.get()
    host.until_sent(1000)
    host.sleep(590)
    peer.taken()
    peer.send("A")
    peer.request("/b64")
    peer.get()
    assert host.until_sent(1000) == pytest.approx(600, abs=4)


@pytest.mark.rfc("9293", "MUST-18")
def test_what_a_fast_retransmit_repeated_gives_no_sample(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    host.sleep(100)
    peer.send("A")
    peer.request("/b1m")
    peer.get()
    host.sleep(50)
    for _ in range(3):
        peer.ask("A", ack=1)
    host.sleep(200)
    peer.taken()
    assert peer.ask("A", ack=1 + 10 * MSS)
    assert host.until_sent(1000) == pytest.approx(300, abs=4)
    assert host.count("fast_retransmits") == 1


@pytest.mark.rfc("6298", "5.7", "MUST", "after a lost SYN-ACK the timeout is three seconds")
def test_after_a_lost_syn_ack_the_timeout_is_three_seconds(host: Host) -> None:
    """RFC 6298 5.7."""
    peer = Peer(host)
    peer.syn()
    host.until_sent(2000)
    peer.taken()
    peer.send("A", seq=1)
    peer.request("/b64", seq=1)
    peer.get()
    assert host.until_sent(5000) == pytest.approx(3000, abs=5)


@pytest.mark.rfc("6298", "5.3", "SHOULD", "an ACK of new octets restarts the timer")
def test_a_timer_is_restarted_by_every_ack_of_new_octets(host: Host) -> None:
    peer, _ = begun(host)
    for i in range(1, 5):
        host.sleep(150)
        assert peer.taken() == [] or i > 1
        peer.send("A", ack=1 + i * MSS)
        assert all(got.seq > 10 * MSS for got in peer.get())
    assert host.count("retransmission_timeouts") == 0


@pytest.mark.rfc("6298", "5.4", "SHOULD", "the timer sends the earliest segment again")
def test_a_lost_fin_is_sent_again_with_the_octets_before_it(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b64", close=True)
    (first,) = peer.get()
    assert "F" in first.flags
    host.until_sent(1000)
    assert peer.taken() == [first]
    peer.send("A", ack=first.seq + first.size)
    host.until_sent(2000)
    (fin,) = peer.taken()
    assert "F" in fin.flags and fin.size == 0 and fin.seq == first.seq + first.size


@pytest.mark.rfc("9293", "3.8.1", "MUST", "what is sent again is the same octets")
def test_octets_sent_again_in_a_later_second_are_the_same_octets(host: Host) -> None:
    peer, (first,) = begun(host, "/b64")
    second = host.wall_second
    while host.wall_second < second + 2:
        host.until_sent(2000)
        (again,) = peer.taken()
        assert again.payload == first.payload
    peer.send("A")
    peer.request("/b64")
    (fresh,) = peer.get()
    assert fresh.payload != first.payload and fresh.payload[60:] and fresh.size == first.size


@pytest.mark.parametrize("mss", [64, 65, 100, 536])
def test_a_head_cut_through_its_date_is_sent_again_the_same(host: Host, mss: int) -> None:
    peer, flight = begun(host, "/b1k", mss=mss)
    host.sleep(1500)
    peer.taken()
    acked = 1
    while acked < 1 + 1024:
        acked += peer.payload_most // 2
        peer.ask("A", ack=acked)
    assert len(flight) > 2 and host.count("retransmitted") > 3


def test_a_bare_ack_after_a_timeout_stands_at_the_highest_number_sent(host: Host) -> None:
    peer, flight = begun(host)
    host.until_sent(1000)
    peer.taken()
    peer.send("A", b"x", seq=peer.snd + 10, ack=1)
    peer.expect(seg("A", seq=1 + 10 * MSS, payload=b""))
    assert len(flight) == 10


@pytest.mark.parametrize(("timestamps", "margin_ms"), [(True, 50), (False, 200)])
def test_with_more_than_a_segment_out_no_ack_is_delayed_and_timestamps_undo_what_is_early(
    host: Host, timestamps: bool, margin_ms: int
) -> None:
    """The margin above the round trip (tcp/loss): 50 ms then, else 200."""
    peer, _ = begun(host, "/b1m", timestamps=timestamps)
    host.sleep(20)
    peer.ask("A", ack=1 + 2 * peer.payload_most)
    waited = host.until_sent(1000)
    assert margin_ms <= waited < 60 + margin_ms
    assert host.count("retransmission_timeouts") == 1


def test_a_single_segment_waits_as_long_as_its_ack_may_be_delayed(host: Host) -> None:
    begun(host, "/b64", timestamps=True)
    assert host.until_sent(1000) == pytest.approx(200, abs=4)


@pytest.mark.rfc("3522", "3.2", "MAY", "an ACK that echoes an older timestamp undoes a spurious timeout")
def test_a_timeout_that_came_early_is_undone(host: Host) -> None:
    """The path takes 300 ms of a sudden: the timeout after 50 costs one segment, and no window."""
    peer, got = begun(host, "/b1m", timestamps=True, sack=True)
    early = got[0].options.timestamps
    assert early is not None
    host.sleep(300)
    sent_again = [one for one in peer.taken() if one.seq == 1]
    assert host.count("retransmission_timeouts") >= 1 and len(sent_again) <= 3
    stamps = Options(timestamps=(peer.clock, early[0]))
    peer.ask("A", ack=1 + 10 * peer.payload_most, options=stamps)
    assert host.count("spurious_timeouts") == 1
