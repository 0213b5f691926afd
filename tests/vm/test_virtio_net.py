"""virtio_net: receive and transmit always apart, more queues once a program is attached, and a flow table
that the device forgets at that."""

from __future__ import annotations

import pytest

from tests.vm.netlab import GuestLab
from tests.vm.serving import fetch, load, serving


@pytest.mark.parametrize("lab", ["virtio"], indirect=True)
def test_busy_polling_is_not_preferred_as_transmit_is_apart(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy", "--busy-poll") as server:
        assert "warning: eth0 queue 0: frames do not leave with preferred busy polling" in server.said
        assert "plain busy polling" in server.said
        assert load(lab, lab.wire.url(), seconds=1).errors == 0
        assert server.stop().lost == 0


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_queues_that_attaching_brings_about_are_served_too(lab: GuestLab) -> None:
    assert "Combined:\t2" in lab.guest("ethtool -l eth0 | tail -2").output
    with serving(lab, "--zero-copy") as server:
        assert "zero-copy, 4 queues (0, 1, 2, 3)" in server.said
        assert load(lab, lab.wire.url(), connections=64, seconds=2).errors == 0
        account = server.stop()
    assert sum(count > 100 for count in account.received.values()) >= 2
    assert account.lost == 0
    assert "packets for us arrive" not in server.said


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_flows_are_spread_as_before_although_attaching_loses_the_table(lab: GuestLab) -> None:
    lab.guest("ethtool -X eth0 equal 1")
    try:
        with serving(lab, "--zero-copy", "--queue", "0") as server:
            for _ in range(24):
                assert fetch(lab, lab.wire.url(), "--max-time", "3")
            assert load(lab, lab.wire.url(), connections=32, seconds=1).errors == 0
            account = server.stop()
        assert list(account.received) == [0]
        assert account.received[0] > 100
        assert "packets for us arrive" not in server.said
    finally:
        lab.guest("ethtool -X eth0 equal 2")


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_the_table_decides_which_queues_the_load_arrives_on(lab: GuestLab) -> None:
    lab.guest("ethtool -X eth0 equal 2")
    with serving(lab, "--zero-copy") as server:
        assert load(lab, lab.wire.url(), connections=64, seconds=2).errors == 0
        account = server.stop()
    assert min(account.received[0], account.received[1]) > 100
    assert max(account.received[2], account.received[3]) == 0
