"""Fixtures of the tests that run over a veth pair. They need root and a kernel with AF_XDP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bypass.xdp.program import RedirectProgram
from tests.veth.netlab import PORT, VethLab


@pytest.fixture
def lab() -> Iterator[VethLab]:
    """Two namespaces and a pair with one queue."""
    with VethLab() as made:
        yield made


@pytest.fixture
def two_queue_lab() -> Iterator[VethLab]:
    with VethLab(queues=2) as made:
        yield made


@pytest.fixture
def program(lab: VethLab) -> Iterator[RedirectProgram]:
    """The redirect program, attached for PORT of both server addresses; no socket registered yet."""
    with RedirectProgram() as made, lab.pair.inside_server():
        made.load(4)
        made.set_targets(lab.server_addresses, PORT)
        assert made.attach(lab.ifindex, lab.ifname, "auto") == "native"
        yield made
