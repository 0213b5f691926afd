"""The pair that `bypass demo` serves over is whole while it is used, and gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from bypass.serve.vethpair import VethPair, inside, remove_stale
from bypass.xdp.features import read_device
from tests.veth.netlab import VethLab, connect_error, eventually

pytestmark = pytest.mark.root

NETNS = Path("/run/netns")
OTHERS: frozenset[str] = frozenset()
HOLDER = """
import time
from bypass.serve.vethpair import VethPair
VethPair().__enter__()
print(1, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of this process that live longer than a test here (session fixtures) are not looked at."""
    monkeypatch.setattr(sys.modules[__name__], "OTHERS", frozenset(_all_namespaces(os.getpid())))


def _all_namespaces(pid: int) -> list[str]:
    return sorted(path.name for path in NETNS.iterdir() if path.name.startswith(f"bypass-{pid}-"))


def _namespaces(pid: int) -> list[str]:
    """Those made by the test."""
    return [name for name in _all_namespaces(pid) if name not in OTHERS]


def _links(pid: int) -> list[str]:
    with IPRoute() as route:
        return [
            link.get("ifname") for link in route.get_links() if link.get("ifname").startswith(f"bp{pid}x")
        ]


def test_the_server_end_is_in_the_callers_namespace_unless_isolated() -> None:
    with VethPair() as pair:
        assert pair.server.ifname in _links(os.getpid())
        assert pair.server.namespace is None
    with VethPair(isolate_server=True) as pair:
        assert _links(os.getpid()) == []
        assert pair.server.namespace in _namespaces(os.getpid())


@pytest.mark.parametrize("isolate", [False, True])
def test_nothing_is_left_after_leaving(isolate: bool) -> None:
    with VethPair(isolate_server=isolate):
        assert len(_namespaces(os.getpid())) == 1 + isolate
    assert _namespaces(os.getpid()) == []
    assert _links(os.getpid()) == []


def test_nothing_is_left_after_an_exception_inside() -> None:
    with pytest.raises(ZeroDivisionError), VethPair():
        1 / 0  # noqa: B018
    assert _namespaces(os.getpid()) == []
    assert _links(os.getpid()) == []


def test_nothing_is_left_after_a_failure_while_making(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no address today")

    monkeypatch.setattr(VethPair, "_configure", fail)
    with pytest.raises(RuntimeError, match="no address today"), VethPair():
        pass
    assert _namespaces(os.getpid()) == []
    assert _links(os.getpid()) == []


@pytest.mark.parametrize("address", ["server4", "server6"])
def test_both_versions_connect_at_once(lab: VethLab, address: str) -> None:
    lab.listen(getattr(lab, address), 8080)
    assert connect_error(lab.start_connect(getattr(lab, address), 8080)) == 0


def test_two_pairs_live_side_by_side() -> None:
    with VethPair(isolate_server=True) as one, VethPair(isolate_server=True) as other:
        assert one.client.namespace != other.client.namespace
        assert len(_namespaces(os.getpid())) == 4


def test_commands_run_in_the_clients_namespace(lab: VethLab) -> None:
    script = "import os; print(os.readlink('/proc/self/ns/net'))"
    done = lab.run([sys.executable, "-c", script])
    with lab.pair.inside_client():
        assert done.stdout.strip() == os.readlink("/proc/thread-self/ns/net")
    assert done.stdout.strip() != os.readlink("/proc/thread-self/ns/net")


def test_the_thread_returns_to_its_namespace_after_a_failure(lab: VethLab) -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with pytest.raises(ZeroDivisionError), lab.pair.inside_server():
        1 / 0  # noqa: B018
    with pytest.raises(FileNotFoundError), inside("bypass-no-such-namespace"):
        pass
    assert os.readlink("/proc/thread-self/ns/net") == before


def test_what_a_killed_process_left_is_removed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "1\n"
        assert _namespaces(holder.pid) != []
        assert not set(remove_stale()) & set(_namespaces(holder.pid)), "its owner is alive"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
        removed = remove_stale()
    assert [name for name in removed if name.startswith(f"bypass-{holder.pid}-")]
    assert _namespaces(holder.pid) == []
    assert eventually(lambda: _links(holder.pid) == [])


def test_the_device_is_described_as_it_is(two_queue_lab: VethLab) -> None:
    with two_queue_lab.pair.inside_server():
        device = read_device(two_queue_lab.ifname)
    assert (device.driver, device.rx_queues, device.tx_queues) == ("veth", 2, 2)
    assert device.virtual
    assert device.native_xdp
    assert device.zero_copy is False
