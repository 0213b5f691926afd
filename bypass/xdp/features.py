"""What an interface offers to AF_XDP: driver, queues, native XDP, zero-copy, offloads.

Owns: gathering it from netlink and sysfs, with every field unknown (None) where the kernel is too
old to tell. Does not judge it, and changes nothing. Answers are about the network namespace of the
calling thread; sysfs is asked only where it shows the same interface.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bypass.errors import UnavailableError
from bypass.xdp.netdev import RECEIVE, NetdevFamily, XdpFeature, XskFeature

_SYSFS = Path("/sys/class/net")
_LOOPBACK_FLAG = 0x8
_VIRTUAL = frozenset(
    {"loopback", "veth", "tun", "bridge", "macvlan", "ipvlan", "vxlan", "bond", "dummy", "ifb"}
)


@dataclass(frozen=True, slots=True)
class Device:
    """One interface as AF_XDP sees it. None: the kernel does not say."""

    ifname: str
    ifindex: int
    driver: str
    """Of the hardware ("igb", "virtio_net"), or the kind of a virtual device ("veth"), or "unknown"."""
    rx_queues: int
    tx_queues: int
    native_xdp: bool | None
    zero_copy: bool | None
    zero_copy_segments: int | None
    """Most segments of one frame in zero-copy mode; above 1: multi-buffer works there."""
    tx_checksum: bool | None
    """The device completes TCP checksums of AF_XDP frames."""
    napi_ids: dict[int, int] | None
    """RX queue -> NAPI id; a queue that is missing cannot be busy-polled."""

    @property
    def virtual(self) -> bool:
        """Whether frames never touch a wire, so that peers may leave checksums to hardware."""
        return self.driver in _VIRTUAL


def read_device(ifname: str) -> Device:
    """Reads one interface. UnavailableError when there is none of that name."""
    link = _link(ifname)
    ifindex = link["index"]
    features, xsk_features, segments = _features(ifindex)
    rx_queues, tx_queues, napi_ids = _queues(link)
    return Device(
        ifname=ifname,
        ifindex=ifindex,
        driver=_driver(link),
        rx_queues=rx_queues,
        tx_queues=tx_queues,
        native_xdp=_has(features, XdpFeature.REDIRECT),
        zero_copy=_has(features, XdpFeature.XSK_ZEROCOPY),
        zero_copy_segments=segments,
        tx_checksum=_has(xsk_features, XskFeature.TX_CHECKSUM),
        napi_ids=napi_ids,
    )


def _has(flags: XdpFeature | XskFeature | None, bit: int) -> bool | None:
    return None if flags is None else bool(flags & bit)


def _link(ifname: str) -> Any:
    with IPRoute() as route:
        try:
            found = [link for link in route.get_links(ifname=ifname) if link.get("ifname") == ifname]
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise
            found = []
    if not found:
        raise UnavailableError(
            f"{ifname}: no such interface", remedy="'ip -brief link' lists the interfaces of this machine"
        )
    return found[0]


def _features(ifindex: int) -> tuple[XdpFeature | None, XskFeature | None, int | None]:
    try:
        with NetdevFamily() as family:
            return family.device(ifindex)
    except NetlinkError:
        return None, None, None


def _queues(link: Any) -> tuple[int, int, dict[int, int] | None]:
    """Receive and transmit queues in use, and the NAPI id of each receive queue that has one."""
    try:
        with NetdevFamily() as family:
            queues = family.queues(link["index"])
    except NetlinkError:
        queues = []
    if queues:
        received = [queue for queue in queues if queue.kind == RECEIVE]
        napi_ids = {queue.queue: queue.napi_id for queue in received if queue.napi_id is not None}
        return len(received), len(queues) - len(received), napi_ids
    folder = _sysfs(link)
    if folder is not None:
        names = [entry.name for entry in (folder / "queues").iterdir()]
        return (
            sum(name.startswith("rx-") for name in names),
            sum(name.startswith("tx-") for name in names),
            None,
        )
    return link.get("num_rx_queues") or 1, link.get("num_tx_queues") or 1, None


def _driver(link: Any) -> str:
    if link["flags"] & _LOOPBACK_FLAG:
        return "loopback"
    info = link.get("linkinfo")
    if info is not None and info.get("kind"):
        return str(info.get("kind"))
    folder = _sysfs(link)
    if folder is not None and (folder / "device" / "driver").exists():
        return os.path.basename(os.path.realpath(folder / "device" / "driver"))
    return "unknown"


def _sysfs(link: Any) -> Path | None:
    """The interface's folder, unless /sys shows another network namespace."""
    folder = _SYSFS / link.get("ifname")
    try:
        same = int((folder / "ifindex").read_text()) == link["index"]
        address = (folder / "address").read_text().strip()
    except (OSError, ValueError):
        return None
    return folder if same and address == link.get("address") else None
