"""Rules of TCP that no other file has a place for; most are numbered in RFC 9293 Appendix B."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import Host
from tests.engine.peer import Peer, begun, get_request
from tests.engine.test_path_mtu import too_big, waiting

MSS = 1460


@pytest.mark.rfc("6298", "5.2", "SHOULD", "the timer stops when all is acknowledged")
@pytest.mark.rfc("9293", "MUST-60")
@pytest.mark.rfc("9293", "MUST-61")
def test_the_last_segment_of_a_response_bears_psh(host: Host) -> None:
    peer, flight = begun(host, "/b10k")
    assert "P" in flight[-1].flags and not any("P" in got.flags for got in flight[:-1])
    assert sum(got.size for got in flight) > 10_240, "and nothing waits for more"
    peer.send("A")
    assert host.sleep(1000) == []


@pytest.mark.rfc("9293", "SHLD-14")
def test_the_edge_of_our_window_never_moves_back(host: Host) -> None:
    peer = Peer(host, window=0).connect()
    edge = 0
    for number in range(40):
        for got in peer.ask("A", get_request("/b64")[: 7 + number % 30]):
            assert got.ack + got.window >= edge
            edge = got.ack + got.window
    assert edge > 16384


@pytest.mark.rfc("9293", "SHLD-2")
@pytest.mark.rfc("9293", "MUST-66")
def test_a_rst_with_data_and_a_closed_window_is_taken(host: Host) -> None:
    """Our window is filled by requests whose responses the peer's window does not let out."""
    peer = Peer(host, window=0).connect()
    stream, window = get_request("/b1") * 800, 16384
    while window:
        peer.send("A", stream[peer.snd - 1 :][: min(1400, window)])
        window = peer.get()[-1].window
    peer.send("R", b"reason")
    host.settle()
    assert host.engine.open_connections == 0 and host.count("connections_reset") == 1


@pytest.mark.rfc("9293", "SHLD-17")
@pytest.mark.rfc("9293", "SHLD-15")
def test_data_beyond_a_window_that_shrank_times_nothing_out(host: Host) -> None:
    peer, _ = begun(host, "/b10k")
    peer.send("A", ack=1, window=0)
    assert peer.get() == []
    for _ in range(4):
        host.sleep(5000, 20)
        assert all(got.seq == 1 and got.size <= 1 for got in peer.taken()), "probes only"
        peer.send("A", ack=1, window=0)
    peer.send("A", ack=1)
    host.sleep(3000, 20)
    peer.send("A")
    assert host.engine.open_connections == 1 and peer.stream.prefix > 10_240


@pytest.mark.rfc("9293", "MUST-55")
@pytest.mark.rfc("5927", "6", "MUST", "Source Quench is silently discarded")
def test_source_quench_changes_nothing(host: Host) -> None:
    peer = waiting(host, 4)
    host.inject(too_big(peer, 0, kind=4, code=0))
    assert host.settle() == []
    peer.send("A")
    assert len(peer.get()) >= 10


@pytest.mark.parametrize(
    ("kind", "code"), [(3, 0), (3, 1), (3, 2), (3, 3), (3, 5), (11, 0), (11, 1), (12, 0)], ids=str
)
@pytest.mark.rfc("9293", "MUST-56")
@pytest.mark.rfc("5927", "5.2", "SHOULD", "hard ICMP errors about an open connection are soft ones")
def test_no_icmp_error_aborts_a_connection(host: Host, kind: int, code: int) -> None:
    peer = waiting(host, 4)
    host.inject(too_big(peer, 0, kind=kind, code=code))
    assert host.settle() == [] and host.engine.open_connections == 1
    peer.send("A")
    assert {got.size for got in peer.get()} == {MSS}


@pytest.mark.rfc("9438", "4.6", "SHOULD", "the threshold after a loss is 0.7 of the window")
@pytest.mark.rfc("9438", "4.8", "MUST", "a timeout leaves one segment of window and the threshold at 0.7")
@pytest.mark.rfc("9293", "MAY-18")
def test_slow_start_after_a_timeout_ends_at_seven_tenths(make_host: MakeHost) -> None:
    """Ten segments were in flight: slow start ends at seven."""
    host = make_host(congestion="cubic")
    peer, flight = begun(host, sack=True)
    assert len(flight) == 10
    host.sleep(1500)
    peer.taken()
    acked, windows = 1, []
    for _ in range(9):
        acked += MSS
        end = max((got.seq + got.size for got in peer.ask("A", ack=acked)), default=0)
        windows.append((end - acked) // MSS if end else windows[-1] - 1)
    assert max(windows) <= 8 and windows[5] >= 6, windows


@pytest.mark.rfc("9438", "4.10", "MUST", "below the threshold a slow start algorithm is used: HyStart++")
@pytest.mark.rfc("5681", "3.1", "SHOULD", "the first slow start has no threshold")
@pytest.mark.rfc("9406", "4.2", "SHOULD", "a round trip that grows ends the doubling of slow start")
def test_slow_start_slows_when_the_round_trip_grows(make_host: MakeHost) -> None:
    def last_round(rtts_ms: list[int]) -> int:
        peer, flight = begun(make_host(), sack=True, timestamps=True, scale=8, window=65535)
        for rtt_ms in rtts_ms:
            peer.host.now += rtt_ms * 1_000_000
            answers = []
            for got in flight:
                answers += peer.ask("A", ack=got.seq + got.size)
            flight = answers
        return len(flight)

    steady, growing = last_round([2] * 4), last_round([2, 2, 8, 8])
    assert steady == 160 and growing < steady * 2 // 3


@pytest.mark.rfc("2883", "4", "MAY", "a duplicate SACK below the cumulative ACK is no loss and no claim")
def test_a_duplicate_sack_sends_nothing_again(host: Host) -> None:
    peer, flight = begun(host, sack=True)
    for _ in range(4):
        base = (peer.irs or 0) + 1
        options = Options(sack=((base, base + MSS),))
        peer.send("A", options=options)
        peer.get()
    assert host.count("retransmitted") == 0 and len(flight) == 10


@pytest.mark.rfc("2018", "5", "SHOULD", "what was SACKed is not sent again")
@pytest.mark.rfc("6675", "5", "MUST", "three segments SACKed above a hole: the hole is sent again")
def test_three_segments_above_a_hole_send_it_again(host: Host) -> None:
    peer, flight = begun(host, sack=True)
    base = peer.irs or 0
    host.now += 20_000_000
    for got in flight[1:4]:
        top = got.seq + got.size
        peer.send("A", ack=1, options=Options(sack=((base + 1 + MSS, base + top),)))
    host.sleep(60)
    again = [got for got in peer.taken() if got.seq <= flight[-1].seq]
    assert again[0].seq == 1 and not any(got.seq in {1 + MSS, 1 + 2 * MSS, 1 + 3 * MSS} for got in again)
