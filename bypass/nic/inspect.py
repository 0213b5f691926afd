"""Takes a snapshot of a NIC: asks ethtool, netlink, /proc and /sys, and changes nothing."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from enum import IntFlag
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bypass.errors import UnavailableError, errno_name
from bypass.nic import sysfiles
from bypass.nic.ethtool import ChannelCounts, Ethtool
from bypass.nic.guard import reasons_to_keep
from bypass.nic.ntuple import FlowRules, read_hash_fields
from bypass.nic.settings import Channels, Coalesce, Rings
from bypass.nic.snapshot import (
    DeviceNapiState,
    Irq,
    Link,
    Machine,
    Offload,
    Queue,
    QueueNapiState,
    Rss,
    Snapshot,
    Xdp,
    XdpProgram,
)
from bypass.nic.sysfiles import SysfsDevice, sysfs_device
from bypass.serve.privileges import effective_capabilities
from bypass.text import did_you_mean
from bypass.xdp import libbpf
from bypass.xdp.features import Device, read_device
from bypass.xdp.libbpf import LibbpfError
from bypass.xdp.netdev import RECEIVE, Napi, NetdevFamily, NetdevQueue

ATTEMPTS = 10
_IFF_UP = 0x1
_HASHED_FLOWS = ("tcp4", "tcp6")


def take_snapshot(ifname: str) -> Snapshot:
    """UnavailableError, with the nearest name there is, when there is no such interface.

    Sizes can change between the question for them and for the content, and a NIC that is being reset
    answers EBUSY: asked again for a while.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _look(ifname)
        except (OSError, NetlinkError) as error:
            code = error.code if isinstance(error, NetlinkError) else error.errno
            why = os.strerror(code or 0)
        time.sleep(min(0.01 * 2**attempt, 0.2))
    raise UnavailableError(
        f"{ifname}: cannot be read ({errno_name(code)})",
        why=why,
        remedy="Is it being reset, or on its way away? Try again",
    )


def _look(ifname: str) -> Snapshot:
    links = _links()
    link = links.get(ifname)
    if link is None:
        others = sorted(other for other in links if other != "lo")
        hint = did_you_mean(ifname, others) or f"There are: {', '.join(others) or 'none'}"
        raise UnavailableError(f"{ifname}: no such interface", remedy=hint)
    ifindex, mac = int(link["index"]), str(link.get("address") or "")
    tool = Ethtool(ifname)
    device = read_device(ifname)
    sysfs = sysfs_device(ifname, ifindex, mac)
    queues, napis = _netdev_queues(ifindex)
    channels, most_channels = _channels(tool.channels())
    rings = tool.rings()
    coalesce = tool.coalesce()
    programs = _programs(ifindex)
    irqs = _queue_irqs(sysfs, queues, napis)
    count = max(device.rx_queues, device.tx_queues)
    return Snapshot(
        link=_link(link, links, tool, device, sysfs),
        channels=channels,
        most_channels=most_channels,
        rings=Rings(**rings[1]) if rings else None,
        most_rings=Rings(**rings[0]) if rings else None,
        rss=_rss(tool),
        rules=FlowRules(tool).read(),
        coalesce=_coalesce(coalesce) if coalesce else None,
        offloads={
            name: Offload(on=state.active, changeable=state.changeable)
            for name, state in tool.features().items()
        },
        xdp=_xdp(ifindex, device, programs),
        queues=_queues(device, sysfs, queues, napis, irqs, _listener(programs)),
        napi=_device_napi(sysfs),
        machine=_machine(),
        idle_irqs={number: sides for number, sides in irqs.items() if number >= count},
    )


def _links() -> dict[str, Any]:
    with IPRoute() as route:
        return {link.get("ifname"): link for link in route.get_links()}


def _link(link: Any, links: dict[str, Any], tool: Ethtool, device: Device, sysfs: SysfsDevice | None) -> Link:
    info = tool.driver()
    name = str(link.get("ifname"))
    return Link(
        name=name,
        index=int(link["index"]),
        mac=str(link.get("address") or ""),
        mtu_bytes=int(link.get("mtu")),
        up=bool(int(link["flags"]) & _IFF_UP),
        carrier=bool(link.get("carrier")),
        speed_mbps=tool.speed_mbps(),
        driver=info.driver if info and info.driver else device.driver,
        driver_version=info.version if info else "",
        firmware=info.firmware if info else "",
        bus=info.bus if info else "",
        numa_node=sysfs.numa_node() if sysfs else -1,
        serves=reasons_to_keep(name),
        vlans=tuple(sorted(_vlans(link, links))),
    )


def _vlans(link: Any, links: dict[str, Any]) -> list[str]:
    """VLAN interfaces that stand on this one."""
    found = []
    for name, other in links.items():
        info = other.get("linkinfo")
        if info is not None and info.get("kind") == "vlan" and other.get("link") == link["index"]:
            found.append(name)
    return found


def _channels(counts: ChannelCounts | None) -> tuple[Channels | None, Channels | None]:
    if counts is None:
        return None, None
    return Channels(**counts.now), Channels(**counts.most)


def _coalesce(values: dict[str, int]) -> Coalesce:
    numbers = {name: value for name, value in values.items() if not name.startswith("adaptive")}
    return Coalesce(
        **numbers, adaptive_rx=bool(values["adaptive_rx"]), adaptive_tx=bool(values["adaptive_tx"])
    )


def _rss(tool: Ethtool) -> Rss | None:
    state = tool.rss()
    fields = {flow: read_hash_fields(tool, flow) for flow in _HASHED_FLOWS}
    known = {flow: names for flow, names in fields.items() if names is not None}
    if state is None and not known:
        return None
    return Rss(
        table=state.table if state else None,
        key=state.key.hex() if state else "",
        function=state.function if state else "",
        fields=known,
    )


# -- XDP


def _xdp(ifindex: int, device: Device, programs: tuple[XdpProgram, ...]) -> Xdp:
    features = xsk_features = None
    with suppress(NetlinkError), NetdevFamily() as family:
        xdp, xsk, _ = family.device(ifindex)
        features, xsk_features = _flag_names(xdp), _flag_names(xsk)
    return Xdp(
        features=features,
        zero_copy=device.zero_copy,
        zero_copy_segments=device.zero_copy_segments,
        xsk_features=xsk_features,
        programs=programs,
    )


def _flag_names(flags: IntFlag) -> tuple[str, ...]:
    """By their names in the netlink specification."""
    return tuple(str(flag.name).lower().replace("_", "-") for flag in flags)


def _programs(ifindex: int) -> tuple[XdpProgram, ...]:
    try:
        attached = libbpf.query_xdp(ifindex)
    except LibbpfError:
        attached = None
    if attached is None:
        return ()
    name = None
    with suppress(LibbpfError):
        name = libbpf.program_name(attached.program_id)
    return (
        XdpProgram(
            mode=attached.mode.name.lower(),
            program_id=attached.program_id,
            name=name,
            owners=tuple(sysfiles.xdp_links(ifindex).get(attached.program_id, ())),
        ),
    )


def _listener(programs: tuple[XdpProgram, ...]) -> str:
    """Who takes packets from the AF_XDP sockets there are: the holder of the program that feeds them."""
    owners = [owner for program in programs for owner in program.owners]
    taking = [owner for owner in owners if sysfiles.takes_xdp_frames(int(owner[:-1].rpartition("(")[2]))]
    return ", ".join(taking or owners)


# -- queues


def _netdev_queues(ifindex: int) -> tuple[list[NetdevQueue], dict[int, Napi]]:
    """Both empty on kernels before 6.8, and while the device is down."""
    try:
        with NetdevFamily() as family:
            return family.queues(ifindex), family.napis(ifindex)
    except NetlinkError:
        return [], {}


def _queues(
    device: Device,
    sysfs: SysfsDevice | None,
    known: list[NetdevQueue],
    napis: dict[int, Napi],
    irqs: dict[int, dict[str, Irq]],
    listener: str,
) -> tuple[Queue, ...]:
    nodes = sysfiles.numa_nodes()
    by_queue = {queue.queue: queue for queue in known if queue.kind == RECEIVE}
    made = []
    for number in range(max(device.rx_queues, device.tx_queues)):
        mine = irqs.get(number, {})
        queue = by_queue.get(number)
        napi = napis.get(queue.napi_id) if queue and queue.napi_id is not None else None
        cpus = mine["rx"].effective_cpus or mine["rx"].cpus if "rx" in mine else ()
        receives, sends = number < device.rx_queues, number < device.tx_queues
        made.append(
            Queue(
                number=number,
                receives=receives,
                sends=sends,
                irqs=mine,
                numa_nodes=tuple(node for node, members in nodes.items() if set(members) & set(cpus)),
                napi=_napi(napi) if napi else None,
                rps_cpus=sysfs.steering("rx", number) if sysfs and receives else None,
                xps_cpus=sysfs.steering("tx", number) if sysfs and sends else None,
                xsk=queue.xsk if queue else None,
                listener=(listener or "an AF_XDP socket") if queue and queue.xsk else None,
            )
        )
    return tuple(made)


def _queue_irqs(
    sysfs: SysfsDevice | None, known: list[NetdevQueue], napis: dict[int, Napi]
) -> dict[int, dict[str, Irq]]:
    """Queue -> side -> interrupt: by netlink where the driver tells it, else by the interrupt's name."""
    names = {number: name for number, (name, _) in sysfiles.interrupts().items()}
    found: dict[int, dict[str, Irq]] = {}
    for number in sysfs.interrupts() if sysfs else ():
        place = sysfiles.queue_of_interrupt(names.get(number, ""))
        if place is not None:
            found.setdefault(place[1], {})[place[0]] = _irq(number, names)
    for queue in known:
        napi = napis.get(queue.napi_id) if queue.napi_id is not None else None
        if napi is None or not napi.irq:
            continue
        sides = found.setdefault(queue.queue, {})
        shared = sides.get("rx")
        if queue.kind == RECEIVE:
            sides["rx"] = _irq(napi.irq, names)
        elif shared is None or shared.number != napi.irq:
            sides["tx"] = _irq(napi.irq, names)
    return found


def _irq(number: int, names: dict[int, str]) -> Irq:
    cpus, effective = sysfiles.affinity(number)
    return Irq(number=number, name=names.get(number, ""), cpus=cpus, effective_cpus=effective)


def _napi(napi: Napi) -> QueueNapiState:
    return QueueNapiState(
        napi_id=napi.napi_id,
        thread=napi.thread,
        defer_hard_irqs=napi.defer_hard_irqs,
        gro_flush_timeout_ns=napi.gro_flush_timeout_ns,
        irq_suspend_timeout_ns=napi.irq_suspend_timeout_ns,
    )


def _device_napi(sysfs: SysfsDevice | None) -> DeviceNapiState | None:
    values = sysfs.napi() if sysfs else None
    if values is None:
        return None
    return DeviceNapiState(defer_hard_irqs=values[0], gro_flush_timeout_ns=values[1], threaded=values[2])


def _machine() -> Machine:
    pages = sysfiles.hugepages()
    return Machine(
        kernel=os.uname().release,
        cpus=sysfiles.online_cpus(),
        isolated_cpus=sysfiles.isolated_cpus(),
        nodes=sysfiles.numa_nodes(),
        governors=sysfiles.governors(),
        irqbalance=sysfiles.process_named("irqbalance"),
        hugepages=pages[0] if pages else None,
        hugepages_free=pages[1] if pages else None,
        hugepage_bytes=pages[2] if pages else None,
        available_bytes=sysfiles.available_bytes(),
        memlock_bytes=sysfiles.memlock_bytes(),
        may_lock="CAP_IPC_LOCK" in effective_capabilities(),
    )
