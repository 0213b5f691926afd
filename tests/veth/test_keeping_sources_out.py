"""`bypass serve --block` and `--syn-rate` before Linux clients: who is kept out gets silence."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.netlab import eventually
from tests.veth.serving import serving

pytestmark = pytest.mark.root

PAGE = os.urandom(3000)
BLOCKED = {4: "198.18.0.200", 6: "fd62:7970:6173:7300::200"}


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        for address, bits in ((BLOCKED[4], 24), (BLOCKED[6], 64)):
            made.run(["ip", "addr", "add", f"{address}/{bits}", "dev", made.client.ifname, "nodad"])
        yield made


def fetch(pair: VethPair, version: int, *options: str, port: int = 80) -> subprocess.CompletedProcess[bytes]:
    host = str(pair.server.v4) if version == 4 else f"[{pair.server.v6}]"
    command = ["curl", "-sS", "-g", *options, f"http://{host}:{port}/"]
    return pair.run(command, text=False)  # type: ignore[return-value]


@pytest.mark.parametrize("version", [4, 6])
def test_a_blocked_source_gets_silence_while_another_is_served(pair: VethPair, version: int) -> None:
    with serving(pair, {"index.html": PAGE}, block=(BLOCKED[version],)) as server:
        refused = fetch(pair, version, "--interface", BLOCKED[version], "--connect-timeout", "1.2")
        assert refused.returncode == 28, "a timeout, not a refusal"
        assert server.counters()["syn_received"] == 0
        own = str(pair.client.v4 if version == 4 else pair.client.v6)
        assert fetch(pair, version, "--interface", own, "--max-time", "5").stdout == PAGE
        elsewhere = fetch(pair, version, "--interface", BLOCKED[version], "--max-time", "5", port=81)
        assert elsewhere.returncode == 7, "the kernel's own refusal"


def test_a_source_beyond_its_rate_is_not_heard_and_others_are(pair: VethPair) -> None:
    with serving(pair, {"index.html": PAGE}, syn_rate=3) as server:
        with pair.inside_client():
            eager = [socket.socket() for _ in range(12)]
        for client in eager:
            client.bind((BLOCKED[4], 0))
            client.setblocking(False)
            client.connect_ex((str(pair.server.v4), 80))
        other = fetch(pair, 4, "--interface", str(pair.client.v4), "--max-time", "5")
        assert eventually(lambda: server.counters()["syn_received"] >= 4)
        heard = server.counters()["syn_received"]
        for client in eager:
            client.close()
        assert other.stdout == PAGE
        assert 4 <= heard <= 8, "three at once, one of the other, and what a second brings"
