"""RST: when one is sent, when one is believed (RFC 9293 3.10.7.1, 3.10.7.4; RFC 5961 3)."""

from __future__ import annotations

import pytest

from tests.engine.frames import Options
from tests.engine.host import Host
from tests.engine.peer import Peer, check, seg


@pytest.mark.rfc("9293", "3.5.2", "MUST", "no connection: a segment with ACK gets a RST at its ACK")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tag", [None, (0x8100, 5)])
@pytest.mark.parametrize("flags", ["A", "PA", "FA", "SA", "FSA", "UA"])
def test_a_segment_with_ack_to_no_connection_gets_a_rst_at_its_ack(
    host: Host, flags: str, version: int, tag: tuple[int, int] | None
) -> None:
    peer = Peer(host, version=version, tag=tag)
    (got,) = peer.ask(flags, b"abc" if "P" in flags else b"", ack=777, seq=5)
    check(got, seg("R", seq=777, ack=0, window=0, payload=b""))
    assert host.count("no_connection") == host.count("rst_sent") == 1


@pytest.mark.rfc(
    "9293",
    "3.10.7.1",
    "MUST",
    "no connection: a segment without ACK gets a RST that acknowledges it",
)
@pytest.mark.parametrize(
    ("flags", "payload", "length"),
    [("F", b"", 1), ("", b"", 0), ("P", b"abcd", 4), ("FP", b"abcd", 5), ("FS", b"", 2), ("U", b"", 0)],
)
def test_a_segment_without_ack_to_no_connection_gets_a_rst_that_acknowledges_it(
    host: Host, flags: str, payload: bytes, length: int
) -> None:
    peer = Peer(host)
    (got,) = peer.ask(flags, payload, seq=10)
    check(got, seg("RA", seq=0, ack=10 + length, window=0, payload=b""))


@pytest.mark.rfc("9293", "3.10.7.1", "MUST", "no connection: a RST gets no answer")
@pytest.mark.parametrize("flags", ["R", "RA", "RS", "RSA", "FRA"])
def test_a_rst_to_no_connection_gets_no_answer(host: Host, flags: str) -> None:
    Peer(host).send(flags, seq=5, ack=6)
    assert host.settle() == []
    assert host.count("no_connection") == 1 and host.engine.open_connections == 0


@pytest.mark.rfc("5961", "3.2", "MUST", "a RST at RCV.NXT resets")
@pytest.mark.rfc("9293", "MAY-12")
def test_a_rst_at_the_next_octet_ends_the_connection_at_once(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("R")
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_reset") == 1
    assert host.sleep(5000) == []


@pytest.mark.rfc("9293", "MUST-12")
def test_a_rst_while_a_response_is_on_its_way_stops_it(host: Host) -> None:
    peer = Peer(host).connect()
    peer.request("/b1m")
    assert peer.get()
    peer.send("RA")
    peer.expect()
    assert host.sleep(3000) == [] and host.engine.open_connections == 0


@pytest.mark.rfc("5961", "3.2", "MUST", "a RST in the window but not at RCV.NXT gets a challenge ACK")
@pytest.mark.rfc("9293", "MAY-12")
@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("offset", [1, 100, 16383])
def test_a_rst_elsewhere_in_the_window_gets_a_challenge_ack(
    host: Host, offset: int, timestamps: bool
) -> None:
    peer = Peer(host, timestamps=timestamps).connect()
    peer.send("R", seq=1 + offset)
    peer.expect(seg("A", seq=1, ack=1))
    assert host.count("challenge_acks") == host.count("rst_ignored") == 1
    assert host.engine.open_connections == 1


@pytest.mark.rfc("5961", "3.2", "MUST", "a RST outside the window is silently dropped")
@pytest.mark.parametrize("offset", [-1, -5000, 16385, 20000, 1 << 31])
def test_a_rst_outside_the_window_is_ignored(host: Host, offset: int) -> None:
    peer = Peer(host).connect()
    peer.send("R", seq=1 + offset)
    peer.expect()
    assert host.count("rst_ignored") == 1 and host.count("challenge_acks") == 0
    assert host.engine.open_connections == 1 and host.count("connections_reset") == 0


@pytest.mark.rfc("7323", "5.2", "MUST", "a RST is not subject to PAWS")
def test_a_rst_needs_no_timestamp(host: Host) -> None:
    peer = Peer(host, timestamps=True).connect()
    peer.timestamps = False
    peer.send("R")
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_reset") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "second check: a RST ends the connection in every state")
@pytest.mark.parametrize("state", ["CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "LAST_ACK", "TIME_WAIT"])
def test_a_rst_ends_the_connection_in_every_state(host: Host, state: str) -> None:
    peer = Peer(host).connect()
    if state in ("FIN_WAIT_1", "FIN_WAIT_2", "TIME_WAIT"):
        peer.request("/b1", close=True)
        peer.get()
    if state in ("FIN_WAIT_2", "TIME_WAIT"):
        peer.send("A")
    if state == "TIME_WAIT":
        peer.send("FA")
    if state == "LAST_ACK":
        peer.send("FA")
    if state == "CLOSE_WAIT":
        peer.window = 0
        peer.request("/b1")
        peer.send("FA")
    host.settle()
    peer.taken()
    peer.send("R")
    peer.expect()
    assert host.engine.open_connections == 0
    assert host.sleep(3000) == []
    peer.send("A")
    peer.expect(seg("R"))


@pytest.mark.rfc("5961", "4.2", "MUST", "a SYN in a synchronized state gets a challenge ACK")
@pytest.mark.parametrize("offset", [-1, 0, 1, 16383, 20000])
@pytest.mark.parametrize("flags", ["S", "SA"])
def test_a_syn_on_an_open_connection_gets_an_ack_wherever_it_stands(
    host: Host, offset: int, flags: str
) -> None:
    peer = Peer(host).connect()
    peer.send(flags, seq=1 + offset, ack=1)
    peer.expect(seg("A", seq=1, ack=1))
    assert host.engine.open_connections == 1
    assert peer.fetch("/b1").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_syn_without_timestamps_on_a_connection_with_them_gets_an_ack(host: Host) -> None:
    peer = Peer(host, timestamps=True).connect()
    peer.send("S", seq=1000, options=Options())
    peer.expect(seg("A", seq=1, ack=1))
    assert host.count("paws_rejected") == 1


@pytest.mark.rfc("5961", "4.2", "MUST", "a client that restarted resets the old connection")
def test_a_client_that_forgot_the_connection_can_open_another(host: Host) -> None:
    peer = Peer(host).connect()
    again = Peer(host, iss=peer.iss + 5000)
    again.irs = peer.irs
    (challenge,) = again.ask("S")
    assert challenge.flags == "A"
    again.send("R", seq=challenge.ack)
    again.expect()
    assert host.engine.open_connections == 0
    again.irs = None
    assert Peer(host, iss=again.iss).connect().fetch("/b1")


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "fifth check: an ACK of what was never sent gets an ACK")
def test_an_ack_of_what_was_never_sent_gets_an_ack_and_is_dropped(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("PA", b"GET /b1 HTTP/1.1\r\nHost: a\r\n\r\n", ack=2, seq=1)
    peer.expect(seg("A", seq=1, ack=1))
    assert host.count("bad_acks") == 1 and host.count("requests") == 0


@pytest.mark.rfc("5961", "5.2", "MUST", "an ACK that is too old or too new is discarded with an ACK")
@pytest.mark.rfc("9293", "MAY-12")
def test_an_ack_from_long_ago_gets_an_ack_and_is_dropped(host: Host) -> None:
    peer = Peer(host, window=1000).connect()
    peer.send("A", ack=1 - 1000)
    peer.expect()
    peer.send("A", ack=1 - 1001)
    peer.expect(seg("A", seq=1, ack=1))
    assert host.count("bad_acks") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "fifth check: a segment without ACK is dropped")
def test_a_segment_without_ack_on_an_open_connection_is_dropped(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("P", b"GET /b1 HTTP/1.1\r\nHost: a\r\n\r\n", seq=1)
    peer.expect()
    assert host.count("requests") == 0 and host.count("not_taken") == 1
