"""What people see of a snapshot and of counters: every part of the way, and words for what is not there."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console, RenderableType

from bypass.cli.nic_picture import device_table, queue_table, queue_tree
from bypass.cli.nic_top import picture
from bypass.nic.counters import Rates
from bypass.nic.ntuple import FlowRule
from bypass.nic.snapshot import XdpProgram
from tests.nic.fakenic import hardware

replace = msgspec.structs.replace
ROOT = Path(__file__).resolve().parents[2]


def text(*parts: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=250)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_device_is_told_in_full() -> None:
    seen = hardware(rules=(FlowRule(location=9, flow="tcp4", queue=3, destination_port=80),))
    program = XdpProgram(mode="native", program_id=7, name="bypass_redirect", owners=("bypass (812)",))
    shown = text(device_table(replace(seen, xdp=replace(seen.xdp, programs=(program,)))))
    for words in (
        "eth9, up, 100000 Mbit/s, MTU 1500, 02:00:00:00:00:09",
        "mlx5_core 6.18, firmware 22.1, 0000:41:00.0, NUMA node 1",
        "combined 8 (at most combined 16)",
        "rx 512 tx 512 (at most rx 8192 tx 8192)",
        "128 slots over queues 0-7 (queue 0: 16,",
        "(40 bytes) toeplitz",
        "9: tcp4 port 80 to queue 3",
        "rx-usecs 50",
        "rx-lro on, ",
        "rx-checksum on (fixed)",
        "native (basic, redirect), zero-copy, 1 segments",
        "bypass_redirect (id 7), native mode, held by bypass (812)",
        "0-3 (node 0: 0-1; node 1: 2-3)",
        "no limit",
    ):
        assert words in shown, words


def test_what_is_not_there_says_so() -> None:
    seen = replace(
        hardware(rules=None), channels=None, rings=None, rss=None, coalesce=None, napi=None, queues=()
    )
    bare = replace(seen, xdp=replace(seen.xdp, features=(), zero_copy=False))
    shown = text(device_table(bare))
    for words in ("fixed", "driver has none", "the device chooses the queue itself", "generic mode only"):
        assert words in shown, words
    assert "/sys does not show this interface" in shown and "none attached" in shown
    assert "kernel does not say" in text(device_table(replace(bare, xdp=replace(bare.xdp, features=None))))


def test_the_way_of_a_queue_is_a_row_and_a_branch() -> None:
    seen = hardware(queues=2)
    served = replace(seen.queues[1], xsk=True, listener="bypass (812)", numa_nodes=(1,))
    seen = replace(seen, queues=(seen.queues[0], served))
    rows = text(queue_table(seen)).splitlines()
    assert rows[1].split() == [
        "queue",
        "0",
        "64",
        "500",
        "40",
        "eth9-TxRx-0",
        "0",
        "of",
        "0-3",
        "-",
        "-",
        "0",
        "kernel",
    ]
    assert rows[2].split() == [
        "queue",
        "1",
        "64",
        "501",
        "41",
        "eth9-TxRx-1",
        "0",
        "of",
        "0-3",
        "1",
        "-",
        "1",
        "bypass",
        "(812)",
    ]
    tree = text(queue_tree(seen))
    for words in (
        "queue 1: RSS slots 64",
        "interrupt 41 eth9-TxRx-1 (rx)",
        "CPU 0 of 0-3, node 1",
        "listens: bypass",
    ):
        assert words in tree, words


def test_rates_are_a_table_and_losses_are_lines() -> None:
    look = Rates(
        seconds=1.0,
        total={"rx_packets": 12_345.0},
        queues={0: {"rx_packets": 12_300.0}},
        drops={"rx_missed_errors": 3, "CPU 1 backlog": 9},
        interrupts={0: {0: 900.0, 1: 0.0}, -1: {0: 0.0}},
    )
    lines = text(picture("eth9", look)).splitlines()
    assert lines[1].split() == ["queue", "0", "12.3k", "-", "-", "-", "0:900"]
    assert lines[3:] == ["lost: 9 CPU 1 backlog", "lost: 3 rx_missed_errors"]
    assert "nothing lost" in text(picture("eth9", replace(look, drops={})))


def test_on_a_terminal_the_view_is_live_until_ctrl_c() -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "bypass", "nic", "top", "lo", "--interval", "100ms"]
    with subprocess.Popen(command, cwd=ROOT, stdout=follower, stderr=follower, stdin=follower) as process:
        os.close(follower)
        seen, until = b"", time.monotonic() + 60
        while seen.count(b"rx packets/s") < 3 and time.monotonic() < until:
            seen += os.read(leader, 65536)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            try:
                seen += os.read(leader, 65536)
            except OSError:  # the other end is closed
                process.wait(60)
        assert process.returncode == 130
    os.close(leader)
    assert seen.count(b"rx packets/s") >= 3
    assert b"Traceback" not in seen
    assert b"\x1b[2K" in seen, "each look overwrites the last"
