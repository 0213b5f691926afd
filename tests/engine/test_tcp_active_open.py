"""Active open, with a server by hand: SYN-SENT, simultaneous open, options, repetition, ports, the fetch."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from bypass._sim import ClientEngine
from tests.engine.dialled import ISS, OFFER, REQUEST, Dialled, fetched, response
from tests.engine.frames import CLIENT, CLIENT_MAC, SERVER_MAC, Options
from tests.engine.host import MS, START

BODY = random.Random(7).randbytes(9000)
PLAIN = Options(mss=1000)


@pytest.mark.rfc("9293", "3.10.1", "MUST", "active open: CLOSED, SYN-SENT, ESTABLISHED")
@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_is_opened_with_all_options_and_asks(version: int) -> None:
    client = Dialled(version=version)
    syn = client.dial()
    assert (syn.flags, syn.seq, syn.ack, syn.window, syn.payload) == ("S", 0, 0, 65535, b"")
    assert syn.options.mss == (1460 if version == 4 else 1440)
    assert syn.options.sack_permitted and syn.options.scale == 1 and syn.options.timestamps is not None
    assert client.fetch["tcp"] == "SYN-SENT"
    client.stamps = True
    (request,) = client.ask("SA", seq=0, ack=1, options=OFFER)
    assert (request.flags, request.seq, request.ack, request.payload) == ("PA", 1, 1, REQUEST)
    assert request.options.timestamps is not None and request.options.timestamps[1] == 500
    assert client.fetch["tcp"] == "ESTABLISHED" and client.count("connections_opened") == 1


@pytest.mark.rfc("9293", "3.10.1", "MUST", "active open: CLOSED, SYN-SENT, ESTABLISHED")
def test_a_body_is_counted_and_summed_and_the_connection_closes() -> None:
    client = Dialled(time_wait_ns=1000 * MS)
    client.connect()
    octets, at, acks = response(BODY), 1, []
    for start in range(0, len(octets), 1000):
        acks += client.ask("PA", octets[start : start + 1000], seq=at + start)
    assert fetched(client.fetch, BODY) and client.fetch["status"] == 200
    (fin,) = [one for one in acks if "F" in one.flags]
    assert fin.ack == at + len(octets)
    assert client.ask("FA", seq=at + len(octets), ack=2 + len(REQUEST))[0].ack == at + len(octets) + 1
    assert client.fetch["tcp"] == "TIME-WAIT"
    client.sleep(1100)
    assert client.engine.open_connections == 0 and client.engine.frames_lost == 0


@pytest.mark.rfc("9293", "MUST-40")
@pytest.mark.rfc("9293", "SHLD-19")
@pytest.mark.rfc("9293", "SHLD-18")
@pytest.mark.rfc(
    "5681", "4.2", "SHOULD", "ACKs are delayed by less than half a second, and every second segment gets one"
)
def test_every_second_segment_is_acknowledged_and_a_single_one_within_40_ms() -> None:
    client = Dialled()
    client.connect()
    assert client.ask("A", b"H" * 100, seq=1) == []
    (ack,) = client.ask("A", b"T" * 100, seq=101)
    assert ack.ack == 201
    assert client.ask("A", b"P" * 100, seq=201) == []
    assert client.sleep(30) == []
    (ack,) = client.sleep(15)
    assert ack.ack == 301


@pytest.mark.rfc("9293", "MUST-10")
@pytest.mark.rfc("9293", "MUST-11")
def test_simultaneous_open() -> None:
    client = Dialled()
    client.dial()
    client.stamps = True
    (answer,) = client.ask("S", seq=0, options=OFFER)
    assert (answer.flags, answer.seq, answer.ack) == ("SA", 0, 1)
    assert answer.options.sack_permitted and answer.options.scale == 1
    assert client.fetch["tcp"] == "SYN-RECEIVED"
    (request,) = client.ask("SA", seq=0, ack=1, options=OFFER)
    assert (request.seq, request.ack, request.payload) == (1, 1, REQUEST)
    assert client.fetch["tcp"] == "ESTABLISHED"
    client.ask("PA", response(BODY[:500]))
    assert fetched(client.fetch, BODY[:500])


@pytest.mark.rfc("9293", "MUST-10")
def test_simultaneous_open_ends_with_a_plain_ack_too_and_repeats_its_syn_ack() -> None:
    client = Dialled()
    client.dial()
    client.ask("S", seq=0, options=PLAIN)
    (again,) = client.sleep(1100)
    assert (again.flags, again.seq, again.ack) == ("SA", 0, 1)
    assert client.ask("S", seq=0, options=PLAIN)[0].flags == "SA"
    (request,) = client.ask("A", seq=1, ack=1)
    assert request.payload == REQUEST


@pytest.mark.rfc("9293", "MUST-11")
def test_a_rst_in_syn_received_of_an_active_open_ends_it() -> None:
    client = Dialled()
    client.dial()
    client.ask("S", seq=0, options=PLAIN)
    assert client.ask("R", seq=1) == []
    assert client.fetch["tcp"] == "CLOSED" and client.fetch["state"] == "cut"
    assert client.engine.open_connections == 0


@pytest.mark.rfc("9293", "3.10.7.3", "MUST", "SYN-SENT: a RST that acknowledges the SYN ends the connection")
def test_a_rst_that_acknowledges_the_syn_is_a_refusal() -> None:
    client = Dialled()
    client.dial()
    assert client.ask("RA", seq=0, ack=1) == []
    assert client.fetch["state"] == "cut" and client.count("connections_reset") == 1


@pytest.mark.rfc("9293", "3.10.7.3", "MUST", "SYN-SENT: any other RST is dropped")
@pytest.mark.parametrize(("flags", "ack"), [("R", 0), ("RA", 0), ("RA", 2)])
def test_a_rst_that_may_be_anybodys_is_ignored(flags: str, ack: int) -> None:
    client = Dialled()
    client.dial()
    assert client.ask(flags, seq=0, ack=ack) == []
    assert client.fetch["tcp"] == "SYN-SENT"
    client.ask("SA", seq=0, ack=1, options=PLAIN)
    assert client.fetch["tcp"] == "ESTABLISHED"


@pytest.mark.rfc(
    "9293", "3.10.7.3", "MUST", "SYN-SENT: an ACK of anything but the SYN gets a RST at its number"
)
@pytest.mark.parametrize("flags", ["SA", "A"])
@pytest.mark.parametrize("ack", [0, 2, 1 << 31])
def test_an_ack_of_anything_but_the_syn_gets_a_rst(flags: str, ack: int) -> None:
    client = Dialled()
    client.dial()
    (rst,) = client.ask(flags, seq=0, ack=ack, options=PLAIN if "S" in flags else None)
    assert (rst.flags, rst.seq) == ("R", ack)
    assert client.fetch["tcp"] == "SYN-SENT"


@pytest.mark.rfc("9293", "3.10.7.3", "MUST", "SYN-SENT: a segment with neither SYN nor RST is dropped")
def test_a_segment_without_syn_changes_nothing() -> None:
    client = Dialled()
    client.dial()
    assert client.ask("A", b"octets", seq=1, ack=1) == []
    assert client.ask("F", seq=1) == []
    assert client.fetch["tcp"] == "SYN-SENT"


@pytest.mark.rfc("9293", "MUST-23")
@pytest.mark.rfc("6298", "5", "MUST", "an unanswered SYN is sent again, after ever longer times")
def test_a_syn_is_sent_for_three_minutes() -> None:
    client = Dialled()
    first = client.dial()
    sent = [(0.0, first)]
    while client.engine.open_connections:
        sent += [((client.now - START) / 1e9, one) for one in client.sleep(5)]
    times = [time for time, _ in sent]
    assert [round(time) for time in times] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert {(one.flags, one.seq) for _, one in sent} == {("S", 0)}
    assert 180 <= (client.now - START) / 1e9 < 190
    assert client.fetch["state"] == "cut" and client.count("connections_aborted") == 1


@pytest.mark.rfc("6298", "5.7", "MUST", "a SYN that was lost makes the first timeout three seconds")
def test_after_a_lost_syn_the_request_waits_three_seconds() -> None:
    client = Dialled()
    client.dial()
    client.sleep(1100)
    client.ask("SA", seq=0, ack=1, options=PLAIN)
    assert client.sleep(2900) == []
    (request,) = client.sleep(300)
    assert request.payload == REQUEST


@pytest.mark.rfc("7323", "3.2", "MUST", "timestamps only where both SYNs had them")
def test_only_what_the_server_offers_too_is_used() -> None:
    client = Dialled(window=1 << 20)
    request = client.connect(PLAIN)
    assert request.options == Options() and request.window == 65535
    kept = client.fetch
    assert not (kept["timestamps"] or kept["window_scale"] or kept["sack"] or kept["ecn"])


@pytest.mark.rfc("7323", "2.2", "MUST", "the window of a SYN is never scaled")
def test_windows_are_scaled_when_both_offered_it() -> None:
    client = Dialled(window=1 << 20)
    syn = client.dial()
    assert (syn.window, syn.options.scale) == (65535, 5)
    client.stamps = True
    (request,) = client.ask("SA", seq=0, ack=1, options=OFFER, window=10)
    assert request.window == 1 << 15
    assert request.payload == REQUEST[:10]  # the peer's ten octets are not scaled by its seven


@pytest.mark.rfc("6691", "2", "MUST", "segments keep to the peer's MSS, options deducted")
def test_the_request_keeps_to_the_servers_mss() -> None:
    client = Dialled()
    client.dial()
    client.stamps = True
    small = Options(mss=64, timestamps=(500, 0))
    sent = client.ask("SA", seq=0, ack=1, options=small)
    assert b"".join(one.payload for one in sent) == REQUEST[: sum(len(one.payload) for one in sent)]
    assert max(len(one.payload) for one in sent) == min(64 - 12, len(REQUEST))


@pytest.mark.rfc("3168", "6.1.1", "MUST", "ECN is used only when the SYN-ACK bears ECE without CWR")
@pytest.mark.parametrize(("extra", "agreed"), [("", False), ("E", True), ("EC", False)])
def test_ecn_is_agreed_by_ece_alone(extra: str, agreed: bool) -> None:
    client = Dialled(ecn=True)
    assert set(client.dial().flags) == set("SEC")
    client.ask("SA" + extra, seq=0, ack=1, options=PLAIN)
    assert client.fetch["ecn"] == agreed


@pytest.mark.rfc("3168", "6.1.1.1", "MAY", "a SYN that nobody answers is repeated without ECN")
def test_the_second_syn_asks_for_no_ecn() -> None:
    client = Dialled(ecn=True)
    client.dial()
    (again,) = client.sleep(1100)
    assert again.flags == "S"
    client.ask("SAE", seq=0, ack=1, options=PLAIN)
    assert not client.fetch["ecn"]


@pytest.mark.rfc("9293", "MUST-46")
@pytest.mark.parametrize("target", ["255.255.255.255", "224.0.0.1", "0.0.0.0", "ff02::1", "::"])
def test_no_connection_is_opened_to_a_group(target: str) -> None:
    packed = ip_address(target).packed
    engine = ClientEngine(
        address=CLIENT[4 if len(packed) == 4 else 6],
        target=packed,
        target_port=80,
        mac=CLIENT_MAC,
        target_mac=SERVER_MAC,
        request=REQUEST,
        secret=bytes(16),
        now_ns=START,
    )
    with pytest.raises(ConnectionError):
        engine.dial(START)
    engine.turn(START)
    assert engine.collect() == [] and engine.open_connections == 0


@pytest.mark.rfc("6528", "3", "SHOULD", "ISN = M + F(addresses, ports, secret)")
def test_numbers_differ_by_port_and_secret_and_grow_with_the_clock() -> None:
    firsts = []
    for secret in (bytes(16), bytes(range(16))):
        client = Dialled(secret=secret, connections=2)
        client.dial()
        firsts.append(client.irs)
        client.dial()
        firsts.append(client.irs)
    assert len(set(firsts)) == 4
    again = Dialled(secret=bytes(16))
    again.now += 4 * MS
    again.dial()
    assert (again.irs - firsts[0]) % (1 << 32) == 1000


@pytest.mark.rfc("5927", "4.2", "SHOULD", "ports of our own opening cannot be guessed")
@pytest.mark.rfc("6056", "3.3.3", "SHOULD", "a port is a counter's from an offset that a keyed hash makes")
@pytest.mark.rfc("6056", "3.2", "SHOULD", "ports are taken from 1024 to 65535")
def test_ports_are_not_to_be_guessed_and_never_shared() -> None:
    ports = []
    for secret in range(8):
        client = Dialled(secret=bytes([secret] * 16), connections=50)
        numbers = [client.engine.dial(START) for _ in range(50)]
        mine = [client.engine.fetch(number)["port"] for number in numbers]
        assert len(set(mine)) == 50 and min(mine) >= 1024
        ports.append(mine[0])
    assert len(set(ports)) == 8
    with pytest.raises(ConnectionError):
        client.engine.dial(START)


def test_a_port_is_not_soon_the_same_again() -> None:
    client = Dialled()
    seen = set()
    for _ in range(20):
        client.dial()
        seen.add(client.fetch["port"])
        client.ask("RA", seq=0, ack=1)
    assert len(seen) == 20


@pytest.mark.rfc("2018", "3", "MUST", "what is missing is told by SACK blocks, the newest first")
def test_octets_out_of_order_are_kept_and_told() -> None:
    client = Dialled()
    client.connect()
    octets = response(BODY)
    pieces = [(1 + start, octets[start : start + 1000]) for start in range(0, len(octets), 1000)]
    (ack,) = client.ask("A", pieces[1][1], seq=pieces[1][0])
    assert ack.ack == 1 and blocks(ack.options) == [(1001, 2001)]
    (ack,) = client.ask("A", pieces[5][1], seq=pieces[5][0])
    assert blocks(ack.options) == [(5001, 6001), (1001, 2001)]
    (ack,) = client.ask("A", pieces[3][1], seq=pieces[3][0])
    assert blocks(ack.options) == [(3001, 4001), (5001, 6001), (1001, 2001)]
    for seq, piece in random.Random(1).sample(pieces, len(pieces)):
        client.ask("A", piece, seq=seq)
    assert fetched(client.fetch, BODY)


@pytest.mark.rfc("2883", "4", "MUST", "what comes twice is told by the first block")
def test_octets_that_come_twice_are_told() -> None:
    client = Dialled()
    client.connect()
    octets = response(BODY)
    client.ask("A", octets[:1000], seq=1)
    (ack,) = client.ask("A", octets[:1000], seq=1)
    assert blocks(ack.options) == [(1, 1001)] and ack.ack == 1001
    client.ask("A", octets[2000:3000], seq=2001)
    (ack,) = client.ask("A", octets[2000:3000], seq=2001)
    assert blocks(ack.options) == [(2001, 3001), (2001, 3001)]


def test_a_response_that_is_no_http_or_has_no_length_is_bad() -> None:
    for octets in (b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", response(b"12345") + b"6"):
        client = Dialled()
        client.connect()
        client.ask("PA", octets)
        assert client.fetch["state"] == "bad", octets


def test_a_connection_that_ends_early_is_cut() -> None:
    client = Dialled()
    client.connect()
    octets = response(BODY)[:500]
    client.ask("A", octets, seq=1)
    client.ask("FA", seq=501)
    client.ask("A", seq=502, ack=2 + len(REQUEST))
    assert client.fetch["state"] == "cut" and client.engine.open_connections == 0


def test_a_segment_to_nobody_gets_a_rst() -> None:
    client = Dialled()
    client.dial()
    (rst,) = client.ask("A", seq=1, ack=77, port=5)
    assert rst.flags == "R" and client.count("no_connection") == 1


def blocks(options: Options) -> list[tuple[int, int]]:
    """SACK blocks, relative to the server's initial number."""
    return [((start - ISS) % (1 << 32), (end - ISS) % (1 << 32)) for start, end in options.sack]
