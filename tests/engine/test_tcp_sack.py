"""Loss recovery with SACK and RACK-TLP, over a seeded path in virtual time (RFC 2018, 6675, 8985, 9438)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import MODULUS, Options
from tests.engine.host import MS, Host
from tests.engine.lossy import Download, Path
from tests.engine.peer import Peer, begun, get_request

SIZE = 1 << 20
Fetch = Callable[..., tuple[float, Host]]


@pytest.fixture
def fetch(make_host: MakeHost, files: dict[str, bytes]) -> Fetch:
    """Fetches a file over a path; returns the seconds it took and the host. The octets must be right."""

    def run(
        path: Path, name: str = "b1m", *, options: dict[str, int] | None = None, **how: bool
    ) -> tuple[float, Host]:
        host = make_host(tx_frames=4096, rx_frames=4096, **(options or {}))
        download = Download(host, path, **how)
        seconds = download.run(f"/{name}", len(files[name]))
        assert download.body == files[name]
        return seconds, host

    return run


@pytest.mark.rfc("6675", "5", "MUST", "only what is not SACKed is sent again")
def test_exactly_what_was_lost_is_sent_again(fetch: Fetch) -> None:
    lost = {160, 180, 181, 200, 350, 500}
    seconds, host = fetch(Path(drop_once=lost))
    assert host.count("retransmitted") == len(lost)
    assert host.count("retransmission_timeouts") == 0
    assert seconds < 0.4


@pytest.mark.rfc("6675", "5", "MUST", "recovery goes on until all holes are filled")
@pytest.mark.parametrize(("loss", "most_s"), [(0.0, 0.2), (0.001, 0.3), (0.01, 0.6), (0.05, 5), (0.1, 12)])
def test_a_megabyte_arrives_in_time_at_any_loss(fetch: Fetch, loss: float, most_s: float) -> None:
    seconds, _ = fetch(Path(loss=loss, loss_back=loss))
    assert seconds < most_s


@pytest.mark.rfc("6675", "3", "SHOULD", "SACK is used wherever it was agreed on")
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_sack_is_faster_than_duplicate_acks(fetch: Fetch, loss: float) -> None:
    with_sack, _ = fetch(Path(loss=loss, loss_back=loss))
    without, _ = fetch(Path(loss=loss, loss_back=loss), sack=False)
    assert with_sack < without


@pytest.mark.rfc("8985", "6.2", "SHOULD", "the reordering window grows with reordering seen")
@pytest.mark.rfc("2883", "5", "MAY", "a duplicate SACK tells of a needless repetition")
def test_reordering_is_not_taken_for_loss_for_ever(fetch: Fetch) -> None:
    _, host = fetch(Path(jitter_ms=4))
    assert host.count("retransmitted") < 20 and host.count("retransmission_timeouts") == 0


@pytest.mark.rfc("8985", "7.3", "SHOULD", "a tail loss probe goes before the timeout")
def test_a_lost_tail_is_found_by_a_probe_and_not_by_the_timeout(fetch: Fetch) -> None:
    """10 240 octets and a head are 8 segments, 0 to 7."""
    _, host = fetch(Path(drop_once={6, 7}), "b10k")
    assert host.count("tail_loss_probes") == 1
    assert host.count("retransmission_timeouts") == 0


@pytest.mark.rfc("4821", "7.7", "MUST", "a path that swallows large packets silently is found out")
def test_a_path_that_swallows_large_packets_is_found_out(fetch: Fetch) -> None:
    seconds, host = fetch(Path(largest=1200))
    assert host.count("black_holes") == 1
    assert seconds < 3


@pytest.mark.rfc("9438", "4.6", "SHOULD", "a mark reduces the window as a loss does")
@pytest.mark.rfc("9293", "SHLD-8")
@pytest.mark.rfc("3168", "6.1.2", "MUST", "a mark reduces the window once, and sends nothing again")
def test_a_mark_instead_of_a_loss_reduces_without_sending_again(fetch: Fetch) -> None:
    _, host = fetch(Path(mark={40, 300}), ecn=True)
    assert host.count("ecn_reductions") == 2
    assert host.count("retransmitted") == 0


def test_a_long_path_with_loss_is_survived(fetch: Fetch) -> None:
    seconds, host = fetch(Path(rtt_ms=300, loss=0.01))
    assert seconds < 8 and host.count("retransmission_timeouts") == 0


@pytest.mark.rfc("9438", "4.9.1", "SHOULD", "a reduction after a spurious timeout is undone")
@pytest.mark.rfc("3522", "3.2", "MAY", "an ACK that echoes an older timestamp undoes a spurious timeout")
def test_a_late_ack_undoes_the_timeout(fetch: Fetch) -> None:
    """The path falls silent for longer than the timeout, then delivers all of it (RFC 3522)."""
    _, host = fetch(Path(stall=(10, 60, 400.0)))
    assert host.count("spurious_timeouts") == 1


@pytest.mark.rfc("6675", "3", "MAY", "without a scoreboard the sender falls back to duplicate ACKs")
def test_without_a_block_duplicate_acks_still_recover(fetch: Fetch, make_host: MakeHost) -> None:
    host = make_host(tx_frames=4096, rx_frames=4096, flight_blocks=1)
    first = Download(host, Path(loss=0.01), seed=1)
    second = Download(host, Path(drop_once={20, 60}), seed=2, port=40001)
    first.start()
    for _ in range(45):
        first.step("/b1m")
    assert second.run("/b1m", SIZE, others=[(first, "/b1m")]) < 2
    assert host.count("no_flight_block") >= 1


@pytest.mark.rfc("8985", "6.2", "SHOULD", "the reordering window grows with reordering seen")
@pytest.mark.parametrize("key", range(6))
def test_reordering_is_learned_whatever_the_initial_sequence_number(
    make_host: MakeHost, files: dict[str, bytes], key: int
) -> None:
    host = make_host(tx_frames=4096, rx_frames=4096, secret=bytes([key]) * 32)
    download = Download(host, Path(jitter_ms=30))
    assert download.run("/b1m", SIZE) < 6
    assert host.count("retransmitted") < 60


def test_a_full_list_of_runs_does_not_make_one_segment_leave_for_ever(make_host: MakeHost) -> None:
    """A peer that SACKs every other octet needs a run for each: more than the list holds."""
    host = make_host(tx_frames=4096, rx_frames=4096)
    peer, flight = begun(host, sack=True, scale=7, window=65535)
    for _ in range(3):
        peer.send("A")
        flight = peer.get()
    una, end = flight[0].seq, flight[-1].seq + flight[-1].size
    host.now += 20 * MS
    octets = [end - 1, *(end - 2 * k - 1 for k in range(1, 61))]
    for first in range(0, len(octets), 4):
        blocks = tuple(
            ((peer.irs + at) % MODULUS, (peer.irs + at + 1) % MODULUS) for at in octets[first : first + 4]
        )
        peer.send("A", ack=una, options=Options(sack=blocks))
    sent = 0
    for _ in range(60):
        host.now += 5 * MS
        sent += len(host.turn())
    assert host.count("retransmitted") > 0
    assert sent < 3 * len(flight), "32 a turn while it was wrong"


@pytest.mark.rfc("9438", "4.9.2", "SHOULD", "a reduction after a spurious loss is undone")
@pytest.mark.rfc("2883", "5", "MAY", "DSACKs for all that was sent again undo the reduction")
def test_a_recovery_that_dsacks_show_to_be_in_vain_is_undone(make_host: MakeHost) -> None:
    """Segments come later than RACK waits for them; then each of them is reported to have come twice."""
    host = make_host(tx_frames=4096)
    peer, flight = begun(host, sack=True, scale=7)
    host.now += 20 * MS
    base, size = peer.irs or 0, flight[0].size
    peer.send("A", ack=1, options=Options(sack=((base + 1 + 2 * size, base + 1 + 10 * size),)))
    again = [one.seq for one in peer.get() if one.seq < 1 + 2 * size]
    assert again == [1, 1 + size] and host.count("fast_retransmits") == 1
    una = 1 + 10 * size
    peer.ask("A", ack=una)
    for seq in again:
        assert host.count("spurious_recoveries") == 0
        peer.ask("A", ack=una, options=Options(sack=((base + seq, base + seq + size),)))
    assert host.count("spurious_recoveries") == 1
    assert peer.stream.prefix + 1 - una >= 10 * size, "as much is in flight as before"


def test_what_the_network_doubled_undoes_no_recovery(make_host: MakeHost) -> None:
    """DSACKs of octets that were sent once, and before: the loss was real, whatever they say (RFC 3708 2)."""
    host = make_host(tx_frames=4096)
    peer, flight = begun(host, sack=True, scale=7)
    host.now += 20 * MS
    base, size = peer.irs or 0, flight[0].size
    una = 1 + 2 * size
    hole = ((base + una + 2 * size, base + 1 + 10 * size),)
    sent = peer.ask("A", ack=una, options=Options(sack=hole))
    again = [one.seq for one in sent if one.seq < una + 2 * size]
    assert again == [una, una + size] and host.count("fast_retransmits") == 1
    for seq in (1, 1 + size):
        peer.ask("A", ack=una, options=Options(sack=((base + seq, base + seq + size), *hole)))
    peer.ask("A", ack=1 + 10 * size)
    assert host.count("spurious_recoveries") == 0


def test_a_recovery_that_met_a_mark_too_is_not_undone(make_host: MakeHost) -> None:
    """RFC 3522 3.2 (5), RFC 4015: there was congestion after all."""
    host = make_host(tx_frames=4096)
    peer = Peer(host, sack=True, scale=7)
    assert set(peer.ask("SEC")[0].flags) == {"S", "A", "E"}
    peer.snd = 1
    peer.send("A")
    peer.request("/b1m")
    size = peer.get()[0].size
    host.now += 20 * MS
    base, una = peer.irs or 0, 1 + 10 * size
    peer.ask("A", ack=1, options=Options(sack=((base + 1 + size, base + una),)))
    assert host.count("fast_retransmits") == 1
    peer.ask("AE", ack=una)
    peer.ask("A", ack=una, options=Options(sack=((base + 1, base + 1 + size),)))
    assert host.count("spurious_recoveries") == 0


def test_what_left_before_the_block_was_taken_keeps_its_time_of_sending(make_host: MakeHost) -> None:
    """A second response joins one that is still on its way: the round trip is 100 ms, not the 1 ms between it
    and the ACK of the first, and RACK waits a quarter of it for what comes late (RFC 8985 6.2 step 4)."""
    host = make_host(tx_frames=4096)
    peer = Peer(host, sack=True, scale=7)
    peer.syn()
    host.now += 100 * MS
    peer.send("A")
    peer.request("/b64")
    first = peer.get()[0].size
    host.now += 99 * MS
    peer.send("A", get_request("/b10k"), ack=1)
    flight = peer.get()
    assert len(flight) > 5
    host.now += MS
    peer.ask("A", ack=1 + first)
    host.now += 99 * MS
    base = peer.irs or 0
    late, came = flight[0], flight[1]
    block = (base + came.seq, base + came.seq + came.size)
    assert peer.ask("A", ack=late.seq, options=Options(sack=(block,))) == []
    assert host.sleep(15, step_ms=1) == [], "it may still come"
