"""What Linux's own tools say on the client about a connection to us: options in use, no checksum wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.serving import serving
from tests.veth.tuning import must, no_offloads

PART_BYTES = 50_000_000
PARTS = 20
DEADLINE_S = 240
LIMIT = "40M"
"""What curl takes in a second: slow enough for tcpdump to look at every packet on a busy machine."""
SHARE_SEEN = 0.9
CURL = ("timeout", str(DEADLINE_S), "curl", "-sS", "--fail", "--limit-rate", LIMIT)
CURL += ("-w", "%{size_download} %{num_connects}\n")
JUDGE = """
/cksum 0x[0-9a-f]+ .correct./ { right++ }
/incorrect|bad cksum/ { wrong++ }
END { print right + 0, wrong + 0 }
"""
"""awk: what tcpdump says of sums, of TCP and of the IPv4 header."""


@dataclass
class Dump:
    """found: how many sums were right and wrong. words: tcpdump's last."""

    found: str = ""
    words: str = ""


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@contextmanager
def started(pair: VethPair, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in the client's namespace, ended at the latest with the block."""
    with subprocess.Popen(pair.command(command), stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def connection(pair: VethPair) -> str:
    """What ss says of the client's connection, once it has data; -o has it name the options."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        seen = must(pair, "ss", "-Htino", "state", "established", "dst", str(pair.server.v4))
        if "data_segs_in" in seen:
            return seen
        time.sleep(0.05)
    raise AssertionError("ss shows no connection")


def test_ss_shows_timestamps_sack_window_scaling_and_ecn(pair: VethPair) -> None:
    must(pair, "sysctl", "-qw", "net.ipv4.tcp_ecn=1")
    with serving(pair, {"large.bin": os.urandom(4_000_000)}):
        url = f"http://{pair.server.v4}/large.bin"
        with started(pair, "curl", "-s", "--limit-rate", "500K", "-o", "/dev/null", url):
            words = connection(pair).split()
    assert {"ts", "sack", "ecn"} <= set(words), words
    assert [word for word in words if re.fullmatch(r"wscale:\d+,\d+", word)], words
    assert "ecnseen" in words, "no data bore ECT"


@contextmanager
def looking(pair: VethPair) -> Iterator[Dump]:
    """tcpdump -v on the client, whole packets, until the block ends; then `found` and `words` are known."""
    dump = Dump()
    command = ["tcpdump", "-i", pair.client.ifname, "-p", "-nn", "-v", "-s", "0", "-B", "131072"]
    pipe = {"stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen(
            pair.command([*command, "tcp and src port 80"]), stderr=subprocess.PIPE, **pipe
        ) as tcpdump,
        subprocess.Popen(["awk", JUDGE], stdin=tcpdump.stdout, **pipe) as awk,
    ):
        try:
            assert tcpdump.stderr is not None and awk.stdout is not None
            assert "listening" in tcpdump.stderr.readline()
            yield dump
            time.sleep(1)
            tcpdump.send_signal(signal.SIGINT)
            dump.words = " ".join(tcpdump.stderr.read().split())
            dump.found = awk.stdout.read()
        finally:
            tcpdump.kill()
            awk.kill()


@pytest.mark.slow
def test_tcpdump_finds_no_bad_checksum_in_a_gigabyte(pair: VethPair) -> None:
    no_offloads(pair)
    urls = [f"http://{pair.server.v4}/large.bin"] * PARTS
    with serving(pair, {"large.bin": os.urandom(PART_BYTES)}) as server:
        before = server.counters()["tx_frames"]
        with looking(pair) as dump:
            words = must(pair, *CURL, *(word for url in urls for word in ("-o", "/dev/null", url))).split()
            sent = server.counters()["tx_frames"] - before
        correct, incorrect = map(int, dump.found.split())
    assert words[::2] == [str(PART_BYTES)] * PARTS and words[1::2] == ["1"] + ["0"] * (PARTS - 1)
    print(f"{sent} frames sent, {correct} sums right, {incorrect} wrong; {dump.words}")
    assert incorrect == 0
    assert correct >= SHARE_SEEN * sent
