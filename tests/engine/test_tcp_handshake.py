"""Opening a connection: SYN, SYN-ACK, ACK, and what may go wrong on the way (RFC 9293 3.5, 3.10.7)."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import Host
from tests.engine.peer import Peer, get_request, seg


@pytest.mark.rfc("9293", "3.5", "MUST", "passive open: LISTEN, SYN-RECEIVED, ESTABLISHED")
@pytest.mark.rfc("9293", "MUST-65")
@pytest.mark.rfc("9293", "MUST-45")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("tag", [None, (0x8100, 0x2005), (0x88A8, 7)])
def test_a_connection_opens_and_answers_a_request(
    host: Host, version: int, tag: tuple[int, int] | None
) -> None:
    peer = Peer(host, version=version, tag=tag).connect()
    assert host.engine.open_connections == host.count("connections_opened") == 1
    assert peer.fetch("/b1").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.rfc("9293", "SHLD-5")
@pytest.mark.rfc("9293", "MAY-3")
@pytest.mark.rfc("7323", "2.2", "MUST", "window scale is offered only in answer to an offer")
@pytest.mark.rfc("7323", "3.2", "MAY", "timestamps are offered only in answer to an offer")
@pytest.mark.rfc("2018", "2", "MAY", "SACK-permitted is exchanged in SYNs")
@pytest.mark.parametrize(("version", "mss"), [(4, 1460), (6, 1440)])
def test_the_syn_ack_offers_only_what_the_syn_offered(host: Host, version: int, mss: int) -> None:
    bare = Peer(host, version=version, mss=None).syn()
    assert bare.options == Options(mss=mss)
    assert bare.window == 16384
    stamped = Peer(host, version=version, port=2, timestamps=True)
    clock = stamped.clock
    assert stamped.syn().options == Options(mss=mss, timestamps=(stamped.ts_recent, clock))
    assert Peer(host, version=version, port=3, scale=7).syn().options == Options(mss=mss, scale=0)
    full = Peer(host, version=version, port=4, scale=14, timestamps=True).syn().options
    assert full.mss == mss and full.scale == 0 and full.timestamps is not None


@pytest.mark.rfc("9293", "MUST-4")
@pytest.mark.rfc("9293", "MUST-6")
@pytest.mark.rfc("9293", "MUST-64")
def test_options_are_found_in_any_order_and_behind_unknown_ones(host: Host) -> None:
    odd = Options(raw=b"\xfe\x04ab\x1e\x02\x01\x03\x03\x02\x02\x04\x02\x00\x08\x0a\0\0\0\x09\0\0\0\0\0")
    peer = Peer(host, timestamps=True, scale=2, mss=512)
    (got,) = peer.ask("S", options=odd)
    assert got.options.scale == 0 and got.options.timestamps is not None and got.options.timestamps[1] == 9
    peer.window = 100
    peer.send("A")
    peer.request("/b1k")
    assert [one.size for one in peer.get()] == [400]


@pytest.mark.rfc("9293", "MUST-4")
def test_options_behind_the_end_mark_are_not_read(host: Host) -> None:
    ended = Options(raw=b"\x00\x03\x03\x02\x02\x04\x02\x00")
    assert Peer(host, mss=None).ask("S", options=ended)[0].options == Options(mss=1460)


@pytest.mark.rfc("9293", "MUST-7")
@pytest.mark.parametrize(
    ("raw", "mss"), [(b"\x02\x03\x05\x03\x02\x08\x02", 536), (b"\x02\x04\x02\x00\x03\x04\x02\x01", 512)]
)
def test_a_known_option_of_another_length_is_ignored(host: Host, raw: bytes, mss: int) -> None:
    peer = Peer(host, mss=None)
    assert peer.ask("S", options=Options(raw=raw))[0].options == Options(mss=1460)
    peer.request("/b10k")
    assert max(got.size for got in peer.get()) == mss


@pytest.mark.rfc("9293", "MUST-15")
@pytest.mark.parametrize(("version", "most"), [(4, 536), (6, 1220)])
def test_without_an_mss_option_segments_have_the_default_size(host: Host, version: int, most: int) -> None:
    peer = Peer(host, version=version, mss=None).connect()
    peer.request("/b10k")
    assert max(got.size for got in peer.get()) == most


@pytest.mark.rfc("9293", "MUST-14")
@pytest.mark.rfc("9293", "MUST-16")
@pytest.mark.rfc("9293", "SHLD-28")
@pytest.mark.rfc("6691", "2", "MUST", "segments keep to the peer's MSS, options deducted")
@pytest.mark.parametrize("mss", [0, 1, 12, 63, 64, 65, 536, 1459, 1461, 9000, 65535])
@pytest.mark.parametrize("timestamps", [False, True])
def test_segments_obey_the_offered_mss_and_the_link(host: Host, mss: int, timestamps: bool) -> None:
    peer = Peer(host, mss=mss, timestamps=timestamps).connect()
    peer.request("/b1k" if mss and mss < 100 else "/b10k")
    expected = min(max(mss or 536, 64), 1460) - (12 if timestamps else 0)
    assert max(got.size for got in peer.get()) == expected


@pytest.mark.rfc("9293", "MUST-67")
@pytest.mark.rfc("9293", "MUST-14")
@pytest.mark.rfc(
    "6691", "2", "SHOULD", "the MSS option is the MTU less the fixed headers, and counts no options"
)
@pytest.mark.parametrize("mtu", [576, 1280, 3500])
def test_the_mss_follows_from_the_mtu(make_host: MakeHost, mtu: int) -> None:
    host = make_host(mtu=mtu, frame_bytes=4096)
    assert Peer(host).syn().options.mss == mtu - 40
    assert Peer(host, version=6).syn().options.mss == mtu - 60
    peer = Peer(host, port=2, mss=9000).connect()
    peer.request("/b10k")
    assert max(got.size for got in peer.get()) == mtu - 40


@pytest.mark.rfc("9293", "3.8.1", "MUST", "a duplicate SYN in SYN-RECEIVED gets the SYN-ACK again")
def test_a_repeated_syn_gets_the_same_syn_ack(host: Host) -> None:
    peer = Peer(host, timestamps=True, scale=3)
    first = peer.syn()
    host.sleep(300)
    (second,) = peer.ask("S", seq=0)
    assert (second.seq, second.ack, second.flags, second.window) == (0, 1, first.flags, first.window)
    assert second.options.scale == first.options.scale and second.options.mss == first.options.mss
    assert host.count("syn_received") == 1
    peer.send("A", seq=1)
    peer.expect()
    assert host.count("connections_opened") == 1


def test_a_repeated_syn_with_data_gets_the_same_syn_ack(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("S", b"early data", seq=0)
    peer.expect(seg("SA", seq=0, ack=1))


@pytest.mark.rfc("9293", "3.10.7.2", "MAY", "octets on a SYN are not acknowledged")
def test_data_on_the_syn_is_not_acknowledged(host: Host) -> None:
    peer = Peer(host)
    request = get_request("/b1")
    peer.send("S", request)
    peer.expect(seg("SA", ack=1))
    peer.send("PA", request, seq=1)
    (got,) = peer.get()
    assert got.ack == 1 + len(request) and got.payload.startswith(b"HTTP/1.1 200")


@pytest.mark.rfc("9293", "MUST-22")
@pytest.mark.rfc("6298", "5.5", "MUST", "the timeout doubles")
def test_a_lost_syn_ack_is_sent_again_ever_later_until_given_up(host: Host) -> None:
    peer = Peer(host)
    first = peer.syn()
    waits = []
    for _ in range(4):
        waits.append(host.until_sent(70_000))
        (again,) = peer.taken()
        assert again == first
    assert [round(wait / 1000) for wait in waits] == [1, 2, 4, 8]
    assert host.sleep(15_000, 50) == []
    assert host.engine.open_connections == 1
    assert host.sleep(2_000, 50) == []
    assert host.engine.open_connections == 0
    assert host.count("connections_aborted") == 1 and host.count("connections_opened") == 0
    peer.send("A", seq=1)
    peer.expect(seg("R"))


def test_a_syn_ack_sent_again_still_opens_the_connection(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    host.until_sent(2000)
    peer.taken()
    peer.send("A", seq=1)
    peer.expect()
    assert host.count("connections_opened") == 1
    assert host.sleep(5000) == []


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "SYN-RECEIVED: an unacceptable ACK gets a RST")
@pytest.mark.parametrize("ack", [0, 2, -1, 1 << 31])
def test_a_bad_acknowledgement_in_syn_rcvd_gets_a_rst(host: Host, ack: int) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("A", ack=ack)
    peer.expect(seg("R", seq=ack % (1 << 32)))
    assert host.engine.open_connections == 1 and host.count("connections_opened") == 0
    peer.send("A", ack=1)
    peer.expect()
    assert host.count("connections_opened") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "SYN-RECEIVED: a RST returns to LISTEN")
def test_a_rst_in_syn_rcvd_frees_the_record(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("R", seq=1)
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_reset") == 1
    assert host.sleep(3000) == []


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "fifth check: a segment without ACK is dropped")
def test_a_segment_without_ack_in_syn_rcvd_is_dropped(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("P", b"GET / HTTP/1.1\r\n\r\n", seq=1)
    peer.expect()
    assert host.count("connections_opened") == 0


def test_data_with_the_ack_of_the_handshake_is_answered(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.request("/b64")
    (got,) = peer.get()
    assert got.seq == 1 and got.ack == peer.snd and got.payload.startswith(b"HTTP/1.1 200")


def test_data_and_fin_with_the_ack_of_the_handshake_are_answered(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("FPA", get_request("/b64"))
    (got,) = peer.get()
    assert "F" in got.flags and got.ack == peer.snd and got.payload.startswith(b"HTTP/1.1 200")
    peer.send("A")
    peer.expect()
    assert host.engine.open_connections == 0 and host.count("connections_closed") == 1


def test_data_before_a_lost_ack_of_the_handshake_waits_for_no_timer(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("PA", get_request("/b1"), seq=1)
    assert peer.get()[0].payload.startswith(b"HTTP/1.1 200")
    assert host.count("connections_opened") == 1


@pytest.mark.rfc("9293", "3.10.7.4", "MUST", "fourth check: a SYN gets a challenge ACK")
def test_a_syn_of_another_connection_in_syn_rcvd_gets_a_challenge(host: Host) -> None:
    peer = Peer(host)
    peer.syn()
    peer.send("S", seq=500)
    peer.expect(seg("A", seq=1, ack=1))
    peer.send("R", seq=1)
    peer.expect()
    assert host.engine.open_connections == 0


@pytest.mark.rfc("9293", "MUST-41")
@pytest.mark.rfc("9293", "MUST-42")
def test_many_connections_of_one_burst_open_and_are_told_apart(make_host: MakeHost) -> None:
    host = make_host(connections=400)
    peers = [Peer(host, port=1000 + i, version=4 if i % 2 else 6, iss=i * 0x11111111) for i in range(150)]
    for peer in peers:
        peer.send("S")
    assert len(host.settle()) == 150
    for peer in peers:
        peer.taken()
        peer.send("A")
    assert host.settle() == []
    assert host.engine.open_connections == 150
    names = ["b0", "b1", "b63", "b64", "b65"]
    for i, peer in enumerate(peers):
        peer.request("/" + names[i % 5])
    host.settle()
    for i, peer in enumerate(peers):
        length = b"Content-Length: %d\r\n" % [0, 1, 63, 64, 65][i % 5]
        assert length in peer.stream.octets()
