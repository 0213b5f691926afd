"""Every counter: its name is its own, its meaning is written down, and something makes it move."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bypass._engine import COUNTERS
from tests.engine.conftest import MakeHost
from tests.engine.frames import Options
from tests.engine.host import SECOND, Host
from tests.engine.peer import Peer, get_request
from tests.engine.test_net_drops import FRAMES

NOT_REACHED = {
    "tx_refused": "the TX ring of the memory driver holds every frame there is",
    "worker_sleeps": "only run() sleeps, on the real clock",
    "arp_replies": "tests/engine/test_own_address_arp.py",
    "nd_replies": "tests/engine/test_own_address_ndp.py",
    "echo_replies": "tests/engine/test_own_address_echo.py",
    "replies_limited": "tests/engine/test_own_address_echo.py",
    "address_conflicts": "tests/engine/test_own_address_arp.py",
    "address_defended": "tests/engine/test_own_address_arp.py",
    "path_mtu_lowered": "tests/engine/test_path_mtu.py",
    "path_mtu_ignored": "tests/engine/test_path_mtu.py",
    "path_mtu_raised": "tests/engine/test_path_mtu.py",
    "spurious_recoveries": "tests/engine/test_tcp_sack.py",
    "no_note": "tests/engine_http/test_several_ranges.py",
    "body_waits": "tests/engine_http/test_large_bodies.py",
    "body_failed": "tests/engine_http/test_large_bodies.py",
    "log_dropped": "tests/engine_http/test_access_log.py",
}
"""Counter -> why no test on the memory driver can move it."""


def test_names_are_unique_and_every_counter_says_what_it_counts(root_folder: Path) -> None:
    names = [name for name, _ in COUNTERS]
    meanings = [meaning for _, meaning in COUNTERS]
    assert len(set(names)) == len(names) == len(set(meanings))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]+", name) for name in names)
    assert all(len(meaning) > 8 and not meaning.endswith(".") for meaning in meanings)
    declared = re.findall(r"\bC_\w+", (root_folder / "cython_ext/base/counters.pxd").read_text())
    assert len(declared) == len(COUNTERS), "base/counters.pxd lists what abi/counters.h defines"


def test_every_counter_is_counted_somewhere(root_folder: Path) -> None:
    text = "\n".join(path.read_text() for path in (root_folder / "cython_ext").rglob("*.pxd"))
    header = (root_folder / "cython_ext/abi/counters.h").read_text()
    symbols = re.findall(r"X\((\w+), ", header)
    assert len(symbols) == len(COUNTERS)
    uses = {symbol: len(re.findall(rf"\bC_{symbol}\b", text)) for symbol in symbols}
    assert [symbol for symbol, count in uses.items() if count < 3] == [], "declared, imported, counted"


@pytest.fixture(scope="module")
def root_folder() -> Path:
    return Path(__file__).resolve().parents[2]


def test_every_counter_moves_or_says_why_not(make_host: MakeHost) -> None:
    moved: Counter[str] = Counter()
    for tour in (
        _drops,
        _handshakes,
        _strange_segments,
        _losses,
        _out_of_order,
        _responses,
        _timeouts,
        _sack_and_ecn,
        _closings,
    ):
        for host in tour(make_host):
            host.settle()
            moved.update(host.engine.counters())
    still = {name for name, _ in COUNTERS if not moved[name]}
    assert still == set(NOT_REACHED)


def _drops(make_host: MakeHost) -> list[Host]:
    host = make_host()
    for frames in FRAMES.values():
        host.inject(frames[0])
    return [host]


def _handshakes(make_host: MakeHost) -> list[Host]:
    host = make_host(connections=2, tx_frames=1)
    peers = [Peer(host, port=1 + i) for i in range(6)]
    peers[0].connect().request("/b1m")
    peers[1].connect()
    peers[2].send("S")
    host.settle()
    other = make_host(connections=4)
    for i in range(4):
        Peer(other, port=1 + i).send("S")
    other.settle()
    other.engine.drain()
    Peer(other, port=10).send("S")
    tight = make_host(connections=4, connections_per_source=3)
    for i in range(3):
        Peer(tight, port=1 + i).send("S")
    for i in range(2):
        Peer(tight, port=11 + i).connect()
    tight.sleep(1500, 100)
    Peer(tight, port=13).connect()
    Peer(tight, port=14).send("A")
    for i in range(2):
        Peer(tight, port=15 + i).send("S")
        tight.settle()
    Peer(tight, port=15).connect()
    Peer(tight, port=16).send("S")
    idle = make_host(connections=1)
    Peer(idle, port=1).connect()
    idle.sleep(1500, 100)
    Peer(idle, port=2).connect()
    return [host, other, tight, idle]


def _strange_segments(make_host: MakeHost) -> list[Host]:
    host = make_host()
    peer = Peer(host, timestamps=True).connect()
    peer.send("R", seq=50)
    peer.send("A", seq=-50)
    peer.send("A", ack=1000)
    peer.send("A", b"x", seq=50)
    peer.send("P", b"x")
    peer.send("A", options=Options())
    Peer(host, port=2).send("A")
    Peer(host, port=3).connect().send("R")
    return [host]


def _out_of_order(make_host: MakeHost) -> list[Host]:
    host = make_host(reassembly_blocks=1)
    for i in range(2):
        Peer(host, port=1 + i).connect().ask("A", b"x", seq=9)
    host.sleep(2000)
    Peer(host, port=3).connect().ask("A", b"x", seq=9)
    return [host]


def _losses(make_host: MakeHost) -> list[Host]:
    host = make_host(idle_timeout_ns=10 * SECOND)
    peer = Peer(host).connect()
    peer.request("/b1m")
    peer.get()
    for _ in range(3):
        peer.ask("A", ack=1)
    host.sleep(500)
    Peer(host, port=2, window=0).connect().request("/b1")
    host.sleep(10_000, 50)
    return [host]


def _responses(make_host: MakeHost) -> list[Host]:
    host = make_host(request_buffers=1)
    for i in range(2):
        Peer(host, port=1 + i).connect().send("A", b"GET /b1")
    for i in range(2):
        Peer(host, port=5 + i, window=0).connect().send("A", get_request("/b1") * 5)
    Peer(host, port=10).connect().request("/missing")
    Peer(host, port=11).connect().request("/sub")
    Peer(host, port=12).connect().send("A", get_request("/b1", method="BREW"))
    return [host]


def _timeouts(make_host: MakeHost) -> list[Host]:
    host = make_host(idle_timeout_ns=5 * SECOND, header_timeout_ns=SECOND)
    Peer(host, port=1).connect()
    Peer(host, port=2).connect().send("A", b"GET")
    host.sleep(20_000, 50)
    return [host]


def _sack_and_ecn(make_host: MakeHost) -> list[Host]:
    host = make_host(flight_blocks=1)
    tail, other, marked = (Peer(host, port=1 + i, sack=True, timestamps=i == 0) for i in range(3))
    tail.connect().request("/b10k")
    tail.get()
    other.connect().request("/b10k")
    tail.send("A", ack=1 + 4 * tail.payload_most)
    host.sleep(30)
    tail.send("A")
    marked.ask("SEC")
    marked.send("A")
    marked.request("/b1k")
    marked.ask("EA", ack=2)
    tail.request("/b1m")
    early = tail.get()[0].options.timestamps
    assert early is not None
    host.sleep(2000)
    tail.send("A", ack=tail.rcv, options=Options(timestamps=(tail.clock, early[0])))
    host.settle()
    return [host]


def _closings(make_host: MakeHost) -> list[Host]:
    host = make_host(connections=1, time_wait_ns=60 * SECOND)
    peer = Peer(host).connect()
    peer.fetch("/b1", close=True)
    peer.send("FA")
    peer.get()
    again = Peer(host, iss=peer.iss + 10_000).connect()
    again.fetch("/b1", close=True)
    again.send("FA")
    again.get()
    Peer(host, port=2).syn()
    return [host]
