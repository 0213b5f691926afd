"""A client whose every packet passes a link in user space that spoils some (impairing.py).

The client's end of a pair becomes the middle: without addresses, a process relays its frames to and from a
second pair, at whose far end a namespace has the client's addresses and its MAC.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bypass.serve.vethpair import VethPair
from tests.veth.impairing import Chances
from tests.veth.tuning import no_offloads

MIDDLE, FAR = "middle0", "far0"
OFFLOADS = [word for name in ("tso", "gso", "gro", "tx", "rx") for word in (name, "off")]
_numbers = itertools.count()


@dataclass
class Spoilt:
    """namespace: the client's. counts: of the link, when it is gone."""

    namespace: str
    counts: dict[str, int] = field(default_factory=dict)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """In the client's namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command], capture_output=True, text=True
        )


@contextmanager
def spoilt_client(pair: VethPair, chances: Chances, seed: int) -> Iterator[Spoilt]:
    far = f"bypass-{os.getpid()}-{next(_numbers)}-spoilt"
    with ExitStack() as undo:
        _ip("netns", "add", far)
        undo.callback(_ip, "netns", "del", far)
        _build(pair, far)
        client = Spoilt(far)
        with _relay(pair, chances, seed, client):
            yield client


def _build(pair: VethPair, far: str) -> None:
    middle = str(pair.client.namespace)
    near, server = pair.client, pair.server
    _ip("-n", middle, "addr", "flush", "dev", near.ifname)
    _ip("-n", middle, "link", "add", MIDDLE, "type", "veth", "peer", "name", FAR, "netns", far)
    _ip("-n", middle, "link", "set", MIDDLE, "addrgenmode", "none", "up")
    _ip("-n", far, "link", "set", FAR, "address", near.mac, "addrgenmode", "none")
    for address, bits, peer in ((near.v4, 24, server.v4), (near.v6, 64, server.v6)):
        extra = ["nodad"] if address.version == 6 else []
        _ip("-n", far, "addr", "add", f"{address}/{bits}", "dev", FAR, *extra)
        _ip("-n", far, "link", "set", FAR, "up")
        _ip("-n", far, "neigh", "replace", str(peer), "lladdr", server.mac, "dev", FAR)
    no_offloads(pair, "tx", "rx")
    for namespace, device in ((middle, MIDDLE), (far, FAR)):
        subprocess.run(
            ["ip", "netns", "exec", namespace, "ethtool", "-K", device, *OFFLOADS],
            check=True,
            capture_output=True,
        )


@contextmanager
def _relay(pair: VethPair, chances: Chances, seed: int, client: Spoilt) -> Iterator[None]:
    script = str(Path(__file__).with_name("impairing.py"))
    rates = [str(rate) for rate in (chances.lost, chances.late, chances.twice, chances.corrupted)]
    command = pair.command([sys.executable, script, pair.client.ifname, MIDDLE, str(seed), *rates])
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the link did not start"
        yield
        output, _ = process.communicate("", timeout=30)
        client.counts.update(json.loads(output))
    finally:
        process.kill()
        process.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
