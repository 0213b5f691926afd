"""virtio_net: receive and transmit always apart, more queues once a program is attached, and a flow table
that the device forgets at that."""

from __future__ import annotations

import pytest

from tests.vm.netlab import GuestLab
from tests.vm.serving import fetch, load, received_by_driver, serving


@pytest.mark.parametrize("lab", ["virtio"], indirect=True)
def test_busy_polling_is_not_preferred_as_transmit_is_apart(lab: GuestLab) -> None:
    with serving(lab, "--zero-copy", "--busy-poll") as server:
        assert "warning: eth0 queue 0: frames do not leave with preferred busy polling" in server.said
        assert "plain busy polling" in server.said
        assert load(lab, lab.wire.url(), seconds=1).errors == 0
        assert server.stop().lost == 0


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_two_queues_share_the_load_and_those_that_attaching_brings_about_get_none(lab: GuestLab) -> None:
    """The new ones receive and do not send, so nothing serves them: the flow table keeps flows off them."""
    assert "Combined:\t2" in lab.guest("ethtool -l eth0 | grep Combined | tail -1").output
    with serving(lab, "--zero-copy") as server:
        assert "Combined:\t4" in lab.guest("ethtool -l eth0 | grep Combined | tail -1").output
        assert "zero-copy, 2 queues (0, 1)" in server.said
        assert load(lab, lab.wire.url(), connections=64, seconds=2).errors == 0
        account = server.stop()
    assert min(account.received[queue] for queue in (0, 1)) > 100
    assert account.lost == 0
    assert "packets for us arrive" not in server.said
    assert "Combined:\t2" in lab.guest("ethtool -l eth0 | grep Combined | tail -1").output


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_four_pairs_in_use_leave_none_for_attaching_and_all_are_served(lab: GuestLab) -> None:
    lab.guest("ethtool -L eth0 combined 4", "ethtool -X eth0 equal 4")
    try:
        with serving(lab, "--zero-copy") as server:
            assert "zero-copy, 4 queues (0, 1, 2, 3)" in server.said
            before = received_by_driver(lab)
            assert load(lab, lab.wire.url(), connections=64, seconds=2).errors == 0
            after = received_by_driver(lab)
            account = server.stop()
        assert account.lost == 0
        assert min(account.received[queue] for queue in range(4)) > 100
        assert min(account.sent[queue] for queue in range(4)) > 100
        assert min(after[queue] - before[queue] for queue in range(4)) > 100, "by the driver's own count"
    finally:
        lab.guest("ethtool -X eth0 equal 2", "ethtool -L eth0 combined 2")


@pytest.mark.parametrize("lab", ["virtio-4"], indirect=True)
def test_flows_go_where_they_went_although_attaching_loses_the_table(lab: GuestLab) -> None:
    lab.guest("ethtool -X eth0 equal 1", "ethtool -L eth0 combined 1")
    try:
        with serving(lab, "--zero-copy", "--queue", "0") as server:
            assert "Combined:\t3" in lab.guest("ethtool -l eth0 | grep Combined | tail -1").output
            before = received_by_driver(lab)
            for _ in range(24):
                assert fetch(lab, lab.wire.url(), "--max-time", "10")
            assert load(lab, lab.wire.url(), connections=32, seconds=1).errors == 0
            after = received_by_driver(lab)
            account = server.stop()
        assert account.received[0] > 100
        grown = {queue: after[queue] - before[queue] for queue in after}
        assert grown.pop(0) > 100, "by the driver's own count"
        assert sum(grown.values()) < 10, "strays of the link, no flows"
        assert "packets for us arrive" not in server.said
    finally:
        lab.guest("ethtool -L eth0 combined 2", "ethtool -X eth0 equal 2")
