"""The one door to a real NIC: reads a snapshot, writes a setting. Tests put others in its place."""

from __future__ import annotations

import errno
import socket
from typing import Protocol

from pyroute2.netlink.exceptions import NetlinkError

from bypass.nic import sysfiles
from bypass.nic.ethtool import Ethtool
from bypass.nic.ntuple import FlowRules, write_hash_fields
from bypass.nic.settings import (
    Affinity,
    AnySetting,
    Channels,
    Coalesce,
    DeviceNapi,
    Feature,
    HashFields,
    HugePages,
    PortRule,
    QueueNapi,
    Rings,
    Steering,
    Table,
    Threaded,
)
from bypass.nic.snapshot import Snapshot
from bypass.nic.sysfiles import SysfsDevice, sysfs_device
from bypass.xdp.netdev import NetdevFamily


class Nic(Protocol):
    """What plans are carried out on."""

    @property
    def ifname(self) -> str: ...

    def snapshot(self) -> Snapshot: ...

    def called(self, ifindex: int) -> str | None:
        """The name by now of the interface of that number; None when there is none."""

    def write(self, setting: AnySetting, seen: Snapshot) -> None:
        """`seen`: a snapshot of now. OSError when the driver refuses."""


class KernelNic:
    """The interface of that name in the network namespace of the calling thread."""

    def __init__(self, ifname: str) -> None:
        self.ifname = ifname

    def snapshot(self) -> Snapshot:
        from bypass.nic.inspect import take_snapshot

        return take_snapshot(self.ifname)

    def called(self, ifindex: int) -> str | None:
        try:
            return socket.if_indextoname(ifindex)
        except OSError:
            return None

    def write(self, setting: AnySetting, seen: Snapshot) -> None:
        tool = Ethtool(self.ifname)
        match setting:
            case Channels():
                tool.set_channels(setting.rx, setting.tx, setting.other, setting.combined)
            case Rings():
                tool.set_rings(setting.rx, setting.tx)
            case Table():
                _write_table(tool, setting, seen)
            case HashFields():
                write_hash_fields(tool, setting.flow, setting.fields)
            case Coalesce():
                _write_coalesce(tool, setting, seen)
            case Feature():
                tool.set_feature(setting.name, setting.on)
            case PortRule():
                FlowRules(tool).put(setting)
            case _:
                _write_file(setting, seen)


def _write_table(tool: Ethtool, setting: Table, seen: Snapshot) -> None:
    """As the default where it is the same table: the kernel then spreads again when channels change."""
    receive = seen.channels.receive if seen.channels else seen.receive_queues
    default = tuple(slot % max(receive, 1) for slot in range(len(setting.queues)))
    tool.set_indirection(() if setting.queues == default else setting.queues)


def _write_coalesce(tool: Ethtool, setting: Coalesce, seen: Snapshot) -> None:
    """Only what changes: a driver refuses values that it does not have, even when they are zero."""
    now = seen.coalesce
    values = {
        name: int(getattr(setting, name))
        for name in ("rx_usecs", "rx_frames", "tx_usecs", "tx_frames", "adaptive_rx", "adaptive_tx")
        if now is None or getattr(now, name) != getattr(setting, name)
    }
    tool.set_coalesce(values)


def _write_file(setting: AnySetting, seen: Snapshot) -> None:
    match setting:
        case Affinity():
            irq = seen.irq(setting.queue, setting.side)
            if irq is None:
                raise OSError(errno.ENOENT, f"queue {setting.queue} has no {setting.side} interrupt")
            sysfiles.set_affinity(irq.number, setting.cpus)
        case QueueNapi():
            _write_napi(setting, seen)
        case Steering():
            _sysfs(seen).set_steering(setting.side, setting.queue, setting.cpus)
        case DeviceNapi():
            _sysfs(seen).set_napi(setting.defer_hard_irqs, setting.gro_flush_timeout_ns)
        case Threaded():
            _sysfs(seen).set_threaded(setting.on)
        case HugePages():
            sysfiles.set_hugepages(setting.count)


def _write_napi(setting: QueueNapi, seen: Snapshot) -> None:
    napi = next((one.napi for one in seen.queues if one.number == setting.queue), None)
    if napi is None:
        raise OSError(errno.ENOENT, f"queue {setting.queue} has no NAPI context")
    try:
        with NetdevFamily() as family:
            family.set_napi(
                napi.napi_id,
                setting.defer_hard_irqs,
                setting.gro_flush_timeout_ns,
                setting.irq_suspend_timeout_ns,
            )
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error


def _sysfs(seen: Snapshot) -> SysfsDevice:
    device = sysfs_device(seen.link.name, seen.link.index, seen.link.mac)
    if device is None:
        raise OSError(errno.ENOENT, "/sys shows another network namespace")
    return device
