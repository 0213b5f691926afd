"""A NIC at one moment: the way NIC -> receive queue -> NAPI -> interrupt -> CPU -> who listens. Plain data.

What `bypass nic show --json` prints, and what the planner plans from: a recorded one stands in for a
machine. None means that the kernel or the driver does not say.
"""

from __future__ import annotations

import msgspec

from bypass.nic.ntuple import FlowRule
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
    State,
    Steering,
    Table,
    Threaded,
    state_of,
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Of plain values."""


class Link(Record, frozen=True, kw_only=True):
    """carrier: there is a link. serves: why the interface must not be cut off (default route, SSH), or empty.

    numa_node: -1 where the device belongs to none. vlans: VLAN interfaces above it.
    """

    name: str
    index: int
    mac: str
    mtu_bytes: int
    up: bool
    carrier: bool
    speed_mbps: int | None
    driver: str
    driver_version: str
    firmware: str
    bus: str
    numa_node: int
    serves: tuple[str, ...] = ()
    vlans: tuple[str, ...] = ()


class Rss(Record, frozen=True, kw_only=True):
    """key: hexadecimal, empty where it cannot be read. fields: by kind of flow."""

    table: tuple[int, ...] | None
    key: str
    function: str
    fields: dict[str, tuple[str, ...]]


class Offload(Record, frozen=True, kw_only=True):
    on: bool
    changeable: bool


class XdpProgram(Record, frozen=True, kw_only=True):
    """owners: processes that hold its bpf_link ("bypass (812)"); none where it was attached by netlink."""

    mode: str
    program_id: int
    name: str | None
    owners: tuple[str, ...]


class Xdp(Record, frozen=True, kw_only=True):
    """features: xdp-features of the driver as it is set up. zero_copy_segments: xdp-zc-max-segs."""

    features: tuple[str, ...] | None
    zero_copy: bool | None
    zero_copy_segments: int | None
    xsk_features: tuple[str, ...] | None
    programs: tuple[XdpProgram, ...] = ()


class Irq(Record, frozen=True, kw_only=True):
    """cpus: where it may arrive. effective_cpus: where the interrupt controller has it arrive."""

    number: int
    name: str
    cpus: tuple[int, ...]
    effective_cpus: tuple[int, ...]


class QueueNapiState(Record, frozen=True, kw_only=True):
    """thread: process id of threaded NAPI."""

    napi_id: int
    thread: int | None
    defer_hard_irqs: int | None
    gro_flush_timeout_ns: int
    irq_suspend_timeout_ns: int


class Queue(Record, frozen=True, kw_only=True):
    """One queue number. irqs: by side, rx (or both) and tx. listener: who takes packets by AF_XDP, or None.

    rps_cpus, xps_cpus: None where there is no such queue or /sys shows another network namespace.
    """

    number: int
    receives: bool
    sends: bool
    irqs: dict[str, Irq] = {}
    numa_nodes: tuple[int, ...] = ()
    napi: QueueNapiState | None = None
    rps_cpus: tuple[int, ...] | None = None
    xps_cpus: tuple[int, ...] | None = None
    xsk: bool | None = None
    listener: str | None = None


class DeviceNapiState(Record, frozen=True, kw_only=True):
    defer_hard_irqs: int
    gro_flush_timeout_ns: int
    threaded: bool | None


class Machine(Record, frozen=True, kw_only=True):
    """governors: by CPU. nodes: CPUs by NUMA node. memlock_bytes: this process's limit; None: no limit.

    may_lock: it may lock more than that (CAP_IPC_LOCK). available_bytes: memory that could be had.
    """

    kernel: str
    cpus: tuple[int, ...]
    isolated_cpus: tuple[int, ...]
    nodes: dict[int, tuple[int, ...]]
    governors: dict[int, str]
    irqbalance: bool
    hugepages: int | None
    hugepages_free: int | None
    hugepage_bytes: int | None
    available_bytes: int | None = None
    memlock_bytes: int | None
    may_lock: bool = False


class Snapshot(Record, frozen=True, kw_only=True):
    """rules: None where the driver has no ntuple rules.

    idle_irqs: by queue number and side, of queues that the device could have and that are not in use.
    """

    link: Link
    channels: Channels | None
    most_channels: Channels | None
    rings: Rings | None
    most_rings: Rings | None
    rss: Rss | None
    rules: tuple[FlowRule, ...] | None
    coalesce: Coalesce | None
    offloads: dict[str, Offload]
    xdp: Xdp
    queues: tuple[Queue, ...]
    napi: DeviceNapiState | None
    machine: Machine
    idle_irqs: dict[int, dict[str, Irq]] = {}

    def irq(self, queue: int, side: str) -> Irq | None:
        irqs = next((one.irqs for one in self.queues if one.number == queue), None)
        return (self.idle_irqs.get(queue, {}) if irqs is None else irqs).get(side)

    @property
    def receive_queues(self) -> int:
        return sum(queue.receives for queue in self.queues)


def settings_in(snapshot: Snapshot) -> State:
    """What of the snapshot can be set, by key."""
    found: list[AnySetting] = [
        *(one for one in (snapshot.channels, snapshot.rings, snapshot.coalesce) if one is not None),
        *(Feature(name=name, on=one.on) for name, one in snapshot.offloads.items() if one.changeable),
        *_napi_settings(snapshot),
    ]
    if snapshot.rss is not None:
        found += [HashFields(flow=flow, fields=fields) for flow, fields in snapshot.rss.fields.items()]
        if snapshot.rss.table:
            found.append(Table(queues=snapshot.rss.table))
    for queue in snapshot.queues:
        found += _queue_settings(queue)
    for number, irqs in snapshot.idle_irqs.items():
        found += [Affinity(queue=number, side=side, cpus=irq.cpus) for side, irq in irqs.items()]
    if snapshot.rules is not None:
        found += [
            PortRule(flow=rule.flow, port=rule.destination_port, queue=rule.queue)
            for rule in snapshot.rules
            if rule.destination_port is not None and rule.queue is not None
        ]
    if snapshot.machine.hugepages is not None:
        found.append(HugePages(count=snapshot.machine.hugepages))
    return state_of(found)


def _napi_settings(snapshot: Snapshot) -> list[AnySetting]:
    if snapshot.napi is None:
        return []
    found: list[AnySetting] = [
        DeviceNapi(
            defer_hard_irqs=snapshot.napi.defer_hard_irqs,
            gro_flush_timeout_ns=snapshot.napi.gro_flush_timeout_ns,
        )
    ]
    if snapshot.napi.threaded is not None:
        found.append(Threaded(on=snapshot.napi.threaded))
    return found


def _queue_settings(queue: Queue) -> list[AnySetting]:
    found: list[AnySetting] = [
        Affinity(queue=queue.number, side=side, cpus=irq.cpus) for side, irq in queue.irqs.items()
    ]
    if queue.rps_cpus is not None:
        found.append(Steering(queue=queue.number, side="rx", cpus=queue.rps_cpus))
    if queue.xps_cpus is not None:
        found.append(Steering(queue=queue.number, side="tx", cpus=queue.xps_cpus))
    napi = queue.napi
    if napi is not None and napi.defer_hard_irqs is not None:
        found.append(
            QueueNapi(
                queue=queue.number,
                defer_hard_irqs=napi.defer_hard_irqs,
                gro_flush_timeout_ns=napi.gro_flush_timeout_ns,
                irq_suspend_timeout_ns=napi.irq_suspend_timeout_ns,
            )
        )
    return found
