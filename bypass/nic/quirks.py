"""What is known of network drivers and cannot be asked of them. The one place for it."""

from __future__ import annotations

# Devices whose other end may leave the checksum to a NIC that is not there: the TCP checksum field
# then holds the bare pseudo-header sum. No wire lies between, so nothing could have been damaged.
VIRTUAL_DRIVERS = frozenset({"veth", "tun", "virtio_net"})

# These program a receive buffer size in units of 1 KiB: a 2048-byte chunk, less headroom, becomes
# 1024 bytes and longer frames arrive cut in two (seen on igb in zero-copy mode; igc and ixgbe have
# a register of the same kind).
FULL_PAGE_DRIVERS = frozenset({"igb", "igc", "ixgbe"})


def leaves_partial_checksums(driver: str) -> bool:
    return driver in VIRTUAL_DRIVERS


def needs_full_page_frames(driver: str) -> bool:
    return driver in FULL_PAGE_DRIVERS
