"""From options and facts to numbers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from bypass.config import ServeOptions
from bypass.errors import ConfigError, UnavailableError
from bypass.serve.plan import RX_FRAMES, TX_FRAMES, make_plan
from bypass.serve.preflight import warnings
from tests.serve.conftest import make_interface, plan_for


def test_without_addresses_every_own_address_is_served() -> None:
    plan = plan_for()
    assert plan.urls == ("http://10.0.0.1/", "http://[fe80::1]/")
    assert plan.foreign_addresses == ()


def test_urls_name_a_port_that_is_not_80() -> None:
    assert plan_for(port=8080).urls == ("http://10.0.0.1:8080/", "http://[fe80::1]:8080/")


def test_an_address_that_the_kernel_lacks_is_our_own() -> None:
    plan = plan_for(address=("10.0.0.1", "10.9.9.9", "fd00::9"))
    assert [str(address) for address in plan.own_addresses] == ["10.9.9.9", "fd00::9"]
    assert plan.foreign_addresses == ()


def test_an_address_of_another_interface_stays_the_kernels() -> None:
    interface = replace(make_interface(), kernel_addresses=frozenset({ip_address("10.9.9.9")}))
    plan = plan_for(interface=interface, address=("10.0.0.1", "10.9.9.9"))
    assert [str(address) for address in plan.foreign_addresses] == ["10.9.9.9"]
    assert plan.own_addresses == ()
    assert ["10.9.9.9 belongs to another interface" in text for text in warnings(plan)] == [True]


def test_an_own_address_on_some_of_the_queues_is_warned_about() -> None:
    warning, _ = warnings(plan_for(queues=4, queue=(0, 1), address=("10.9.9.9",)))
    assert "10.9.9.9 is answered for on 2 queues of 4" in warning
    assert warnings(plan_for(queues=4, address=("10.9.9.9",))) == []


def test_an_interface_without_address_needs_one_named() -> None:
    with pytest.raises(UnavailableError, match="--address"):
        plan_for(interface=make_interface(addresses=()))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "ff02::1", "::"])
def test_an_address_that_is_no_single_host_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=address):
        plan_for(address=(address,))


def test_every_queue_is_taken_by_default_and_locks_its_memory() -> None:
    plan = plan_for(queues=4)
    assert plan.queues == (0, 1, 2, 3)
    assert plan.locked_bytes == 4 * (RX_FRAMES + TX_FRAMES) * 2048


def test_named_queues_are_taken_once_each() -> None:
    assert plan_for(queues=4, queue=(2, 0, 2)).queues == (2, 0)


def test_a_queue_that_is_not_there_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"eth7 queue 4: no such queue: .* 4 receive queues"):
        plan_for(queues=4, queue=(4,))


def test_a_queue_that_cannot_send_is_refused() -> None:
    with pytest.raises(UnavailableError, match="eth7 queue 3: the queue cannot send"):
        make_plan(ServeOptions(), make_interface(), "veth", rx_queues=4, tx_queues=2)
    assert make_plan(ServeOptions(queue=(1,)), make_interface(), "veth", 4, 2).queues == (1,)


@pytest.mark.parametrize(
    ("mtu_bytes", "driver", "frame_bytes"),
    [
        (1500, "veth", 2048),
        (1770, "veth", 2048),
        (1771, "veth", 4096),
        (3818, "veth", 4096),
        (1500, "igb", 4096),
    ],
)
def test_a_frame_holds_the_longest_packet(mtu_bytes: int, driver: str, frame_bytes: int) -> None:
    plan = plan_for(driver=driver, interface=make_interface(mtu_bytes=mtu_bytes))
    assert plan.frame_bytes == frame_bytes


def test_a_jumbo_mtu_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnavailableError, match="ip link set eth7 mtu 1500"):
        plan_for(interface=make_interface(mtu_bytes=9000))


def test_bare_pseudo_header_sums_are_accepted_on_virtual_devices_only() -> None:
    assert plan_for(driver="veth").accept_partial_checksums
    assert not plan_for(driver="ixgbe").accept_partial_checksums


def test_copy_and_polling_become_what_the_engine_takes() -> None:
    assert plan_for().zero_copy is None
    assert plan_for(memory="copy").zero_copy is False
    assert plan_for(memory="zero-copy").zero_copy is True
    assert plan_for(poll="latency").poll.spin_ns == -1
    assert plan_for(poll="efficient").poll.spin_ns == 0
    assert plan_for(idle_timeout=1.5).idle_timeout_ns == 1_500_000_000


def test_zero_copy_in_generic_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="only native XDP has it"):
        plan_for(memory="zero-copy", mode="generic")


def test_drivers_that_cut_frames_get_whole_pages() -> None:
    assert {driver: plan_for(driver=driver).frame_bytes for driver in ("igb", "igc", "ixgbe", "veth")} == {
        "igb": 4096,
        "igc": 4096,
        "ixgbe": 4096,
        "veth": 2048,
    }
