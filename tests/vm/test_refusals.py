"""Devices without zero-copy or native XDP: refused with the reason, or served otherwise, and that is said."""

from __future__ import annotations

import pytest

from tests.vm.netlab import GuestLab
from tests.vm.serving import fetch, load, refusal, serving

pytestmark = pytest.mark.parametrize("lab", ["refusing"], indirect=True)
NO_IOMMU, NO_QUEUE_RESET, FIXED_OFFLOADS, FOUR_PAIRS_NO_IOMMU = range(4)


@pytest.mark.parametrize(
    ("card", "name", "why"),
    [
        (NO_IOMMU, "EINVAL", "iommu_platform"),
        (FOUR_PAIRS_NO_IOMMU, "EINVAL", "iommu_platform"),
        (NO_QUEUE_RESET, "ENOENT", "cannot reset a single queue"),
    ],
)
def test_forced_zero_copy_is_refused_with_the_reason(lab: GuestLab, card: int, name: str, why: str) -> None:
    wire = lab.wires[card]
    status, said = refusal(lab, "--zero-copy", wire=wire)
    assert status == 69
    assert f"{wire.ifname} queue 0: binding failed ({name})" in said
    assert why in said
    assert "--copy" in said
    assert "xdp" not in lab.guest(f"/usr/sbin/ip link show {wire.ifname}").output


@pytest.mark.parametrize("card", [NO_IOMMU, NO_QUEUE_RESET])
def test_without_insistence_packets_are_copied_and_that_is_said(lab: GuestLab, card: int) -> None:
    wire = lab.wires[card]
    with serving(lab, wire=wire) as server:
        assert f"warning: {wire.ifname} queue 0: binding failed" in server.said
        assert "packets are copied" in server.said
        assert "native mode, copy, 1 queue" in server.said
        for version in (4, 6):
            assert fetch(lab, wire.url(version))
        assert server.stop().lost == 0


def test_packets_of_two_queues_are_copied_where_zero_copy_is_refused_to_each(lab: GuestLab) -> None:
    wire = lab.wires[FOUR_PAIRS_NO_IOMMU]
    with serving(lab, wire=wire) as server:
        assert "native mode, copy, 2 queues (0, 1)" in server.said
        assert load(lab, wire.url(), connections=64, seconds=1).errors == 0
        account = server.stop()
    assert account.lost == 0
    assert min(account.received[queue] for queue in (0, 1)) > 50, "the flow table holds after attaching"


def test_native_xdp_that_is_refused_is_explained(lab: GuestLab) -> None:
    wire = lab.wires[FIXED_OFFLOADS]
    status, said = refusal(lab, "--mode", "native", wire=wire)
    assert status == 69
    assert "EOPNOTSUPP" in said
    assert "receive offloads" in said


def test_without_native_xdp_the_generic_way_is_taken_and_that_is_said(lab: GuestLab) -> None:
    wire = lab.wires[FIXED_OFFLOADS]
    with serving(lab, wire=wire) as server:
        assert f"warning: {wire.ifname}: virtio_net refused native XDP (receive offloads" in server.said
        assert "generic mode, copy" in server.said
        for version in (4, 6):
            assert fetch(lab, wire.url(version))
        assert server.stop().lost == 0
