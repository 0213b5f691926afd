"""A path that takes smaller packets than both ends' links: Linux routes, and says so by ICMP."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from bypass.serve.vethpair import VethPair
from tests.veth.router import far_client
from tests.veth.serving import serving

pytestmark = pytest.mark.root

LARGE = os.urandom(1 << 20)
OWN = {4: "198.18.0.77", 6: "fd62:7970:6173:7300::77"}


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@pytest.mark.parametrize("own", [False, True], ids=["the-kernels-address", "an-own-address"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_megabyte_arrives_quickly_in_smaller_segments(pair: VethPair, version: int, own: bool) -> None:
    address = OWN[version] if own else str(pair.server.v4 if version == 4 else pair.server.v6)
    url = f"http://[{address}]/large" if version == 6 else f"http://{address}/large"
    with (
        far_client(pair, 1300) as far,
        serving(pair, {"large": LARGE}, address=(address,)) as server,
    ):
        began = time.monotonic()
        done = subprocess.run(
            ["ip", "netns", "exec", far, "curl", "-sS", "-g", "--max-time", "20", url], capture_output=True
        )
        seconds = time.monotonic() - began
        counters = server.counters()
    assert done.stdout == LARGE, done.stderr
    assert counters["path_mtu_lowered"] == 1
    print(f"IPv{version}: {seconds:.2f} s, {counters['path_mtu_ignored']} further errors")
    assert seconds < 5
    segments = counters["tx_frames"]
    assert segments > len(LARGE) / (1300 - (20 if version == 4 else 40) - 32)
