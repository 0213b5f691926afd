"""The end of a connection from either side, or from both at once (RFC 9293 3.6, 3.10.7.4)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.host import SECOND, Host
from tests.engine.peer import Got, Peer, get_request, seg
from tests.engine.stream import responses

MSL_2 = 10 * SECOND


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host(time_wait_ns=MSL_2)


def closed_by_us(host: Host, **options: object) -> tuple[Peer, Got]:
    """A connection on which the server has sent its last response and its FIN."""
    peer = Peer(host, **options).connect()  # type: ignore[arg-type]
    peer.request("/b64", close=True)
    (last,) = peer.get()
    assert "F" in last.flags
    return peer, last


def in_time_wait(host: Host, **options: object) -> Peer:
    peer, _ = closed_by_us(host, **options)
    peer.send("FA")
    peer.expect(seg("A", ack=peer.snd))
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1
    return peer


@pytest.mark.rfc("9293", "3.6", "MUST", "the client closes first: CLOSE-WAIT, LAST-ACK, CLOSED")
def test_the_client_closes_first(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("FA")
    peer.expect(seg("FA", seq=1, ack=2))
    assert host.engine.open_connections == 1
    peer.send("A")
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1
    peer.send("A")
    peer.expect(seg("R"))


def test_the_client_closes_and_our_fin_is_lost(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("FA")
    first = peer.expect(seg("FA", seq=1, ack=2))
    host.until_sent(1000)
    assert peer.taken() == first
    peer.send("FA", seq=1, ack=1)
    peer.expect(seg("A", seq=2, ack=2))
    peer.send("A", ack=2)
    peer.expect()
    assert host.engine.open_connections == 0


@pytest.mark.rfc("9293", "MAY-1")
def test_a_half_closed_client_still_gets_its_response(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("FPA", get_request("/b1m"))
    for _ in peer.acknowledging():
        pass
    (response,) = responses(peer.stream.octets())
    assert len(response.body) == 1 << 20 and peer.stream.ended
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1


@pytest.mark.rfc("9293", "3.6", "MUST", "what is queued is sent before our FIN")
def test_a_client_that_closes_while_its_response_is_sent_gets_the_rest(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1m")
    peer.get()
    peer.send("FA", ack=1)
    assert peer.get()[-1].ack == peer.snd
    peer.send("A")
    for _ in peer.acknowledging():
        pass
    assert len(responses(peer.stream.octets())[0].body) == 1 << 20
    assert peer.stream.ended and host.engine.open_connections == 0


def test_pipelined_requests_with_a_fin_are_all_answered(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send_all(get_request("/b1") * 100)
    peer.send("FA")
    for _ in peer.acknowledging():
        pass
    assert len(responses(peer.stream.octets())) == 100
    assert peer.stream.ended and host.engine.open_connections == 0


def test_a_client_that_closes_within_a_request_gets_a_fin_and_its_buffer_is_free(make_host: MakeHost) -> None:
    host = make_host(request_buffers=1)
    cut = Peer(host).connect()
    cut.send("FA", b"GET /b1 HT")
    cut.expect(seg("FA", payload=b""))
    other = Peer(host, port=2).connect()
    other.send("A", b"GET /b1 HT")
    other.expect(seg("A", ack=11))
    assert host.count("no_request_buffer") == 0


def test_a_fin_behind_octets_that_found_no_buffer_is_not_taken(make_host: MakeHost) -> None:
    host = make_host(request_buffers=1)
    holder = Peer(host, port=2).connect()
    holder.send("A", b"GET /b1 HT")
    peer = Peer(host).connect()
    peer.send("FA", b"GET /b1")
    host.settle()
    peer.expect(seg("A", ack=1))
    holder.send("R")
    peer.send("FPA", get_request("/b1"), seq=1)
    (got,) = peer.get()
    assert got.ack == 2 + len(get_request("/b1")) and "F" in got.flags


@pytest.mark.rfc("9293", "3.6", "MUST", "we close first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT")
def test_we_close_first_and_wait(host: Host) -> None:
    peer, last = closed_by_us(host)
    peer.send("A")
    peer.expect()
    assert host.engine.open_connections == 1
    peer.send("FA")
    peer.expect(seg("A", seq=last.seq + last.size + 1, ack=peer.snd))
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1
    assert host.sleep(30_000, 100) == []


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "FIN-WAIT-1: a FIN that acknowledges ours leads to TIME-WAIT")
def test_fin_and_ack_of_ours_in_one_segment(host: Host) -> None:
    peer = in_time_wait(host)
    peer.send("FA", seq=peer.snd - 1)
    peer.expect(seg("A", ack=peer.snd))


@pytest.mark.rfc("9293", "3.6", "MUST", "both close at once: CLOSING, TIME-WAIT")
def test_both_close_at_once(host: Host) -> None:
    peer, last = closed_by_us(host)
    peer.send("FA", ack=last.seq)
    peer.expect(seg("A", ack=peer.snd, seq=last.seq + last.size + 1))
    assert host.engine.open_connections == 1, "CLOSING"
    host.until_sent(1000)
    assert "F" in peer.taken()[0].flags, "our FIN is still repeated"
    peer.send("A")
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1
    peer.send("FA", seq=peer.snd - 1)
    peer.expect(seg("A", ack=peer.snd))


def test_data_behind_our_fin_is_taken_and_forgotten(host: Host) -> None:
    peer, _ = closed_by_us(host)
    peer.send("A")
    for _ in range(30):
        peer.send("A", b"x" * 1400)
        peer.expect(seg("A", ack=peer.snd, window=16384))
    peer.send("FA")
    peer.expect(seg("A", ack=peer.snd))
    assert host.count("responses_4xx") == 0


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "seventh check: octets behind the peer's FIN are ignored")
def test_data_behind_the_peers_own_fin_is_not_taken(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("FA")
    peer.get()
    peer.send("A", b"late", ack=1)
    peer.expect(seg("A", ack=2))
    assert host.count("not_taken") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "TIME-WAIT: a repeated FIN begins the wait anew")
def test_a_repeated_fin_restarts_the_wait(host: Host) -> None:
    peer = in_time_wait(host)
    host.sleep(6000, 100)
    peer.send("FA", seq=peer.snd - 1)
    peer.expect(seg("A", ack=peer.snd))
    host.sleep(6000, 100)
    peer.send("FA", seq=peer.snd - 1)
    peer.expect(seg("A", ack=peer.snd))
    host.sleep(10_100, 100)
    peer.send("FA", seq=peer.snd - 1)
    peer.expect(seg("R"))


@pytest.mark.rfc("9293", "MUST-13")
def test_the_wait_ends_after_twice_the_segment_lifetime(host: Host) -> None:
    peer = in_time_wait(host)
    host.sleep(9900, 100)
    peer.send("A")
    peer.expect()
    host.sleep(200, 100)
    peer.send("A")
    peer.expect(seg("R"))


@pytest.mark.parametrize("flags", ["A", "PA"])
def test_what_comes_in_time_wait_but_a_fin_does_not_prolong_it(host: Host, flags: str) -> None:
    peer = in_time_wait(host)
    host.sleep(6000, 100)
    peer.send(flags, b"x" if "P" in flags else b"", seq=peer.snd)
    peer.expect(*([seg("A", ack=peer.snd)] if "P" in flags else []))
    host.sleep(4100, 100)
    peer.send("A")
    peer.expect(seg("R"))


def test_connections_wait_and_end_in_the_order_they_came(host: Host) -> None:
    peers = []
    for i in range(5):
        peers.append(in_time_wait_again(host, port=100 + i))
        host.sleep(1000, 100)
    peers[2].send("FA", seq=peers[2].snd - 1)
    peers[2].get()
    ends = {}
    for second in range(12):
        host.sleep(1000, 100)
        for peer in peers:
            if peer.port not in ends:
                peer.send("A")
                if peer.get():
                    ends[peer.port] = second
    assert [ends[100 + i] for i in range(5)] == [5, 6, 9, 8, 9] or ends[102] > ends[103]
    assert list(ends) == [100, 101, 103, 102, 104] or list(ends) == [100, 101, 103, 104, 102]


def in_time_wait_again(host: Host, **options: object) -> Peer:
    peer, _ = closed_by_us(host, **options)
    peer.send("FA")
    peer.get()
    return peer


@pytest.mark.rfc("9293", "SHLD-4")
@pytest.mark.rfc("9293", "MAY-2")
@pytest.mark.rfc("6191", "2", "SHOULD", "a SYN with a later timestamp is taken in TIME-WAIT")
def test_a_new_syn_with_a_later_timestamp_reuses_a_waiting_record(host: Host) -> None:
    peer = in_time_wait(host, timestamps=True)
    old_isn, last = peer.irs, peer.rcv
    host.sleep(10)
    again = Peer(host, timestamps=True, iss=peer.iss - 5_000_000)
    again.connect()
    assert host.count("time_wait_reused") == 1 and host.engine.open_connections == 1
    assert again.irs is not None and old_isn is not None
    assert 0 < (again.irs - old_isn - last) % (1 << 32) < 1 << 31
    assert responses(again.fetch("/b1"))


@pytest.mark.rfc(
    "6191", "2", "SHOULD", "a SYN without timestamps is taken in TIME-WAIT if its number is later"
)
@pytest.mark.rfc("9293", "MAY-2")
def test_a_new_syn_with_a_later_number_reuses_a_waiting_record(host: Host) -> None:
    peer = in_time_wait(host)
    again = Peer(host, iss=(peer.iss + peer.snd + 1) % (1 << 32)).connect()
    assert host.count("time_wait_reused") == 1 and responses(again.fetch("/b1"))


@pytest.mark.rfc("9293", "3.6.1", "MUST", "a reopened connection begins beyond the numbers of the one before")
def test_a_new_connection_begins_beyond_the_octets_of_the_one_before(host: Host) -> None:
    """RFC 9293 3.6.1: also when that sent more than the clock of sequence numbers moved."""
    peer = Peer(host).connect()
    peer.request("/b1m", close=True)
    for _ in peer.acknowledging():
        pass
    peer.send("FA")
    peer.get()
    again = Peer(host, iss=(peer.iss + peer.snd + 1) % (1 << 32)).connect()
    assert again.irs is not None and peer.irs is not None
    assert peer.rcv < (again.irs - peer.irs) % (1 << 32) < 1 << 31
    assert host.count("time_wait_reused") == 1


@pytest.mark.rfc("6191", "2", "SHOULD", "a SYN with timestamps is taken where the old connection had none")
def test_a_syn_with_timestamps_reuses_the_record_of_one_without(host: Host) -> None:
    """RFC 6191 2."""
    peer = in_time_wait(host)
    Peer(host, iss=(peer.iss - 100) % (1 << 32), timestamps=True).connect()
    assert host.count("time_wait_reused") == 1


@pytest.mark.rfc("6191", "2", "SHOULD", "with an equal timestamp the number decides")
@pytest.mark.parametrize(
    ("stamp", "number", "reused"), [(0, 1, True), (0, 0, False), (-5, 100, False), (1, -9, True)]
)
def test_a_syn_with_an_equal_timestamp_needs_a_later_number(
    host: Host, stamp: int, number: int, reused: bool
) -> None:
    peer = in_time_wait(host, timestamps=True)
    again = Peer(host, iss=(peer.iss + peer.snd + number) % (1 << 32), timestamps=True)
    segment = again.segment("S", seq=0)
    again.irs, again.iss = peer.irs, again.iss
    options = segment.options
    assert options.timestamps is not None
    shifted = type(options)(mss=1460, timestamps=(options.timestamps[0] + stamp, 0))
    (got,) = again.ask("S", seq=0, options=shifted)
    assert ("S" in got.flags) == reused == bool(host.count("time_wait_reused"))


@pytest.mark.rfc(
    "6191", "2", "SHOULD", "any other SYN in TIME-WAIT is dropped, here with an ACK (RFC 5961 4.2)"
)
@pytest.mark.parametrize("number", [0, -1, -1000])
def test_an_old_syn_gets_an_ack_and_disturbs_no_waiting_record(host: Host, number: int) -> None:
    peer = in_time_wait(host)
    peer.send("S", seq=peer.snd + number)
    peer.expect(seg("A", ack=peer.snd))
    assert host.count("time_wait_reused") == 0


def test_a_syn_with_ack_reuses_nothing(host: Host) -> None:
    peer = in_time_wait(host)
    peer.send("SA", seq=peer.snd + 1000)
    peer.expect(seg("A"))
    assert host.count("time_wait_reused") == 0
