"""What is known of network drivers and cannot be asked of them. The one table for it.

Each entry was seen on the driver, or read in its source, and has a test that fails when it no longer
holds or is no longer heeded (tests/vm, with QEMU's devices; tests/veth). docs/drivers.md tells people.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Quirks:
    """Of one driver.

    partial_checksums: the other end may leave the checksum to a NIC that is not there; the TCP
    checksum field then holds the bare pseudo-header sum. No wire lies between, so nothing could have
    been damaged.

    full_page_frames: the receive buffer size is programmed in units of 1 KiB. A 2048-byte chunk, less
    headroom, becomes 1024 bytes, and longer frames arrive cut in two.

    rss_lost_at_attach: attaching an XDP program changes the number of queues, and the device then
    spreads flows over all of them, whatever its table says when it is read.

    zero_copy_refusals: errno of bind() -> why. attach_refusal: why native XDP is refused (EOPNOTSUPP).
    """

    partial_checksums: bool = False
    full_page_frames: bool = False
    rss_lost_at_attach: bool = False
    zero_copy_refusals: Mapping[int, str] = field(default_factory=dict)
    attach_refusal: str = ""


_NONE = Quirks()

QUIRKS: dict[str, Quirks] = {
    # tests/veth: kernel clients send partial checksums through both.
    "veth": Quirks(partial_checksums=True),
    "tun": Quirks(partial_checksums=True),
    # drivers/net/virtio_net.c: virtnet_xdp_set (queues, EOPNOTSUPP), virtnet_xsk_pool_enable (EINVAL from
    # the DMA device, ENOENT from the queue reset). tests/vm/test_virtio_net.py, test_refusals.py.
    "virtio_net": Quirks(
        partial_checksums=True,
        rss_lost_at_attach=True,
        zero_copy_refusals={
            errno.EINVAL: "virtio_net needs a device with iommu_platform (feature ACCESS_PLATFORM) for it",
            errno.ENOENT: "the device cannot reset a single queue (queue_reset is off)",
        },
        attach_refusal="receive offloads are on that this device cannot switch off (guest_csum, guest_tso4)",
    ),
    # drivers/net/ethernet/intel/igb/igb_xsk.c; seen in zero-copy mode. tests/vm/test_igb.py.
    "igb": Quirks(full_page_frames=True),
    # A register of the same kind in igc_main.c and ixgbe_main.c: held to the same until it is tried.
    "igc": Quirks(full_page_frames=True),
    "ixgbe": Quirks(full_page_frames=True),
}


def quirks_of(driver: str) -> Quirks:
    return QUIRKS.get(driver, _NONE)


def leaves_partial_checksums(driver: str) -> bool:
    return quirks_of(driver).partial_checksums


def needs_full_page_frames(driver: str) -> bool:
    return quirks_of(driver).full_page_frames
