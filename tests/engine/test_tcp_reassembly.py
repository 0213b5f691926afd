"""What arrives out of order is kept, SACKed and taken in its turn (RFC 9293 3.10.7.4, RFC 2018, RFC 2883)."""

from __future__ import annotations

import random

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import MODULUS, Options
from tests.engine.host import SECOND, Host
from tests.engine.peer import Got, Peer, get_request, seg
from tests.engine.stream import responses

RUNS = 8
"""Most holes that a connection may have before what is kept of it."""
HEAD = b"GET /b1 HTTP/1.1\r\nHost: test\r\nX: "
REQUEST = get_request("/b1k")[:-2] + b"X-Padding: " + b"x" * 60 + b"\r\n\r\n"


def opened(host: Host, **options: object) -> Peer:
    return Peer(host, sack=True, **options).connect()  # type: ignore[arg-type]


def sacked(peer: Peer, got: Got) -> list[tuple[int, int]]:
    """SACK blocks, relative as sequence numbers are."""
    return [((start - peer.iss) % MODULUS, (end - peer.iss) % MODULUS) for start, end in got.options.sack]


def answer(peer: Peer, octets: bytes, seq: int, flags: str = "A") -> list[tuple[int, int]]:
    """Sends a segment that is answered by a bare ACK; the blocks of that."""
    (got,) = peer.ask(flags, octets, seq=seq)
    assert not got.size
    return sacked(peer, got)


@pytest.mark.rfc("5681", "4.2", "SHOULD", "a segment that fills a hole gets an immediate ACK")
@pytest.mark.rfc("9293", "SHLD-31")
@pytest.mark.rfc("2018", "4", "SHOULD", "a receiver reports what it holds out of order")
def test_what_was_ahead_is_taken_when_the_hole_is_filled(host: Host) -> None:
    peer = opened(host)
    assert answer(peer, REQUEST[10:20], 11) == [(11, 21)]
    assert answer(peer, REQUEST[20:], 21) == [(11, 1 + len(REQUEST))], "neighbours are one block"
    (got,) = peer.ask("A", REQUEST[:10], seq=1)
    assert got.ack == 1 + len(REQUEST) and got.size, "the response acknowledges all of it"
    assert responses(got.payload)[0].status == 200
    peer.snd = 1 + len(REQUEST)
    assert len(responses(peer.fetch("/b10k"))[-1].body) == 10240
    assert host.count("out_of_order") == 2 and host.count("no_reassembly") == 0


@pytest.mark.rfc("2018", "4", "MUST", "the first block is that of the newest segment")
@pytest.mark.rfc("2018", "4", "SHOULD", "the other blocks follow, the most recently reported first")
def test_the_newest_block_comes_first_and_as_many_as_fit_follow(host: Host) -> None:
    peer = opened(host)
    blocks = [(start, start + 5) for start in (11, 91, 31, 71, 51)]
    for count, (start, _) in enumerate(blocks, 1):
        assert answer(peer, b"a" * 5, start) == blocks[:count][::-1][:4]
    assert answer(peer, b"a" * 5, 96) == [(91, 101), (51, 56), (71, 76), (31, 36)]


@pytest.mark.rfc("2018", "2", "MUST", "SACK-permitted is in SYNs only")
@pytest.mark.rfc("2018", "4", "SHOULD", "as many blocks as fit beside the other options")
def test_beside_timestamps_three_blocks_fit(host: Host) -> None:
    peer = opened(host, timestamps=True)
    for start in (11, 31, 51):
        answer(peer, b"a" * 5, start)
    assert answer(peer, b"a" * 5, 71) == [(71, 76), (51, 56), (31, 36)]


@pytest.mark.rfc("2018", "4", "MUST", "SACK blocks go only to who permitted them")
@pytest.mark.rfc("2018", "3", "MUST", "the cumulative ACK does not cover what is held out of order")
def test_without_sack_permitted_it_is_kept_and_nothing_said(host: Host) -> None:
    peer = Peer(host).connect()
    peer.send("A", REQUEST[9:], seq=10)
    peer.expect(seg("A", ack=1, options=Options()))
    assert peer.ask("A", REQUEST[:9], seq=1)[0].ack == 1 + len(REQUEST)


@pytest.mark.rfc("2883", "4.2", "MUST", "of a segment that is partly a duplicate, that part is reported")
@pytest.mark.rfc("2883", "4", "MUST", "a duplicate is reported once")
@pytest.mark.rfc("2883", "4", "MUST", "a segment that came before is reported by the first block")
def test_what_was_acknowledged_is_reported_when_it_comes_again(host: Host) -> None:
    peer = opened(host)
    peer.send("A", REQUEST[:30])
    peer.get()
    assert answer(peer, REQUEST[:30], 1) == [(1, 31)]
    assert answer(peer, REQUEST[10:20], 11) == [(11, 21)]
    assert answer(peer, REQUEST[20:40], 21) == [(21, 31)], "of a partial one, the part"
    assert answer(peer, REQUEST[40:50], 41) == [], "once"


@pytest.mark.rfc("2883", "4", "SHOULD", "the second block is the one that holds the repeated octets")
def test_what_is_held_is_reported_when_it_comes_again_and_its_block_follows(host: Host) -> None:
    peer = opened(host)
    answer(peer, REQUEST[10:30], 11)
    answer(peer, b"a" * 5, 101)
    assert answer(peer, REQUEST[15:20], 16) == [(16, 21), (11, 31), (101, 106)]
    assert answer(peer, REQUEST[20:50], 21) == [(21, 31), (11, 51), (101, 106)], "of a partial one, the part"


def test_a_duplicate_beside_a_response_is_reported_by_an_ack_of_its_own(host: Host) -> None:
    peer = opened(host)
    answer(peer, REQUEST[10:], 11)
    data, ack = peer.ask("A", REQUEST[:15], seq=1)
    assert data.size and not ack.size and sacked(peer, ack) == [(11, 16)]


def test_a_fin_ahead_waits_for_its_turn(host: Host) -> None:
    peer = opened(host)
    end = 1 + len(REQUEST)
    assert answer(peer, REQUEST[10:], 11, "FA") == [(11, end + 1)], "it has a sequence number as octets have"
    assert host.count("connections_closed") == 0
    (got,) = peer.ask("A", REQUEST[:10], seq=1)
    assert got.ack == end + 1 and "F" in got.flags and responses(got.payload)[0].status == 200


def test_a_bare_fin_ahead_waits_too(host: Host) -> None:
    peer = opened(host)
    assert answer(peer, b"", 1 + len(REQUEST), "FA") == [(1 + len(REQUEST), 2 + len(REQUEST))]
    (got,) = peer.ask("A", REQUEST, seq=1)
    assert got.ack == 2 + len(REQUEST) and "F" in got.flags


def test_of_two_fins_the_first_counts_and_nothing_lies_behind_it(host: Host) -> None:
    peer = opened(host)
    end = 1 + len(REQUEST)
    answer(peer, REQUEST[20:], 21, "FA")
    answer(peer, b"late", end, "A")
    answer(peer, b"late", end + 1, "FA")
    answer(peer, REQUEST[5:15], 6, "FA")
    got = peer.ask("A", REQUEST[:20], seq=1)[0]
    assert got.ack == end + 1 and responses(got.payload)[0].status == 200


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_octets_that_come_twice_the_first_count(host: Host, order: tuple[int, int]) -> None:
    """A request for /b1 or /b64, whichever comes first; what arrives in order meets what is held, too."""
    texts = [b"/b1  ", b"/b64 "]
    texts = [texts[i] for i in order]
    text = b"GET %sHTTP/1.1\r\nHost: t\r\n\r\n"
    first, second = (text % one.replace(b"  ", b" ") for one in texts)
    peer = opened(host)
    peer.ask("A", first[5:], seq=6)
    peer.ask("A", second[6:], seq=7)
    (got,) = peer.ask("A", second, seq=1)[:1]
    size = 1 if order[0] == 0 else 64
    assert len(responses(got.payload)[0].body) == size


@pytest.mark.parametrize("seed", range(40))
def test_any_order_repetition_and_overlap_yields_the_same_stream(make_host: MakeHost, seed: int) -> None:
    """The ring's and the sequence numbers' wrap are on the way: numbers begin anywhere."""
    chance = random.Random(seed)
    host = make_host(reassembly_blocks=1)
    paths = [chance.choice(["/b0", "/b1", "/b64", "/b1k"]) for _ in range(60)]
    stream = b"".join(get_request(path) + b"\r\n" * chance.randrange(3) for path in paths)
    stream += HEAD + b"a" * 12_000 + b"\r\n\r\n"
    peer = opened(host, iss=chance.randrange(MODULUS), timestamps=chance.random() < 0.5)
    una = 1
    for _ in range(3000):
        if una > len(stream):
            break
        for _ in range(chance.randrange(1, 12)):
            start = max(una + chance.randrange(-2000, 9000), 1)
            piece = stream[start - 1 :][: chance.randrange(1, 1400)][: max(una + 16384 - start, 0)]
            if piece:
                peer.send("A", piece, seq=start)
        if chance.random() < 0.3:
            peer.send("A", stream[una - 1 :][: chance.randrange(1, 1400)], seq=una)
        for one in peer.get():
            una = max(una, one.ack)
            blocks = sacked(peer, one)
            assert all(1 <= low < high <= 1 + len(stream) for low, high in blocks), blocks
        peer.send("A", seq=una)
    peer.snd = una
    for _ in peer.acknowledging():
        pass
    answers = responses(peer.stream.octets(0))
    sizes = {"/b0": 0, "/b1": 1, "/b64": 64, "/b1k": 1024}
    assert [len(one.body) for one in answers] == [sizes[path] for path in paths] + [1]
    assert {one.status for one in answers} == {200}


# ---- bounds ----


def test_beyond_so_many_holes_a_run_is_dropped_but_not_the_one_that_is_missing(host: Host) -> None:
    peer = opened(host)
    for i in range(RUNS):
        answer(peer, b"a" * 5, 1001 + 10 * i)
    assert host.count("no_reassembly") == 0
    assert answer(peer, b"a" * 5, 5001)[0] == (1001 + 10 * (RUNS - 1), 1006 + 10 * (RUNS - 1))
    assert host.count("no_reassembly") == 1
    (got,) = peer.ask("A", b"GET", seq=1)
    assert got.ack == 4, "what comes in order is always taken"
    assert answer(peer, b"a" * 4, 997) == [(997, 1006), *sacked(peer, got)[:3]], "the last run gave way"


def test_octets_beyond_the_window_are_not_kept(host: Host) -> None:
    peer = opened(host)
    assert answer(peer, b"a" * 1000, 16000) == [(16000, 16385)]
    assert host.count("out_of_window") == 0
    peer.ask("A", b"a" * 10, seq=16385)
    assert host.count("out_of_window") == 1


def test_without_a_block_it_is_dropped_as_ever_and_counted(make_host: MakeHost) -> None:
    host = make_host(reassembly_blocks=1)
    first, second = opened(host, port=1), opened(host, port=2)
    assert answer(first, b"a", 10) == [(10, 11)]
    assert answer(second, REQUEST[5:], 6) == []
    assert host.count("no_reassembly") == 1
    second.send("A", REQUEST[:5], seq=1)
    assert second.get()[0].ack == 6
    second.send("A", REQUEST[5:], seq=6)
    assert second.get()[0].ack == 1 + len(REQUEST)


@pytest.mark.rfc("2018", "8", "MAY", "what was SACKed may be given up when memory is short")
def test_a_block_whose_owner_makes_no_progress_is_given_to_another(make_host: MakeHost) -> None:
    host = make_host(reassembly_blocks=1)
    holder, other = opened(host, port=1), opened(host, port=2)
    answer(holder, REQUEST[5:], 6)
    host.sleep(1100)
    assert answer(other, REQUEST[5:], 6) == [(6, 1 + len(REQUEST))]
    assert host.count("reassembly_given_up") == 1
    assert other.ask("A", REQUEST[:5], seq=1)[0].ack == 1 + len(REQUEST)
    (got,) = holder.ask("A", REQUEST[:5], seq=1)
    assert got.ack == 6 and sacked(holder, got) == [], "the holder's octets are gone"
    assert holder.ask("A", REQUEST[5:], seq=6)[0].ack == 1 + len(REQUEST), "and come again"


def test_what_http_has_no_buffer_for_is_given_up_and_comes_again(make_host: MakeHost) -> None:
    host = make_host(request_buffers=1)
    Peer(host, port=1).connect().ask("A", b"GET")
    peer = opened(host, port=2)
    answer(peer, b"GET /b1k HTT", 1 + 4)
    (got,) = peer.ask("A", b"\r\n\r\n", seq=1)
    assert got.ack == 5, "empty lines need no buffer"
    assert sacked(peer, got) == [] and host.count("reassembly_given_up") == 1
    assert peer.ask("A", b"\r\n" + get_request("/b1"), seq=5)[0].size, "a whole request needs none either"


def test_blocks_come_back_when_holes_are_filled_or_connections_end(make_host: MakeHost) -> None:
    host = make_host(reassembly_blocks=2, idle_timeout_ns=5 * SECOND)
    for i in range(20):
        peer = opened(host, port=100 + i)
        answer(peer, b"GET"[1:], 2)
        if i % 2:
            peer.send("R", seq=1)
        else:
            peer.send("A", b"G", seq=1)
        host.settle()
    assert host.count("no_reassembly") == host.count("reassembly_given_up") == 0


def test_octets_held_are_no_progress(make_host: MakeHost) -> None:
    """Who only ever sends ahead runs into the idle timeout."""
    host = make_host(idle_timeout_ns=5 * SECOND)
    peer = opened(host)
    for i in range(50):
        peer.ask("A", b"a", seq=100 + 2 * i)
        host.sleep(150, 50)
    assert host.count("idle_timeouts") == 1
