"""A NIC of numbers: takes settings as a strict driver would, and can be made to fail at any write."""

from __future__ import annotations

import errno
from collections.abc import Callable

import msgspec

from bypass.nic.ntuple import FlowRule
from bypass.nic.settings import (
    Affinity,
    AnySetting,
    Channels,
    Coalesce,
    Feature,
    HashFields,
    HugePages,
    PortRule,
    QueueNapi,
    Rings,
    Table,
    Threaded,
    spread,
)
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
)

SLOTS = 128
replace = msgspec.structs.replace


def queue(number: int, *, cpus: tuple[int, ...] = (0, 1, 2, 3)) -> Queue:
    irq = Irq(number=40 + number, name=f"eth9-TxRx-{number}", cpus=cpus, effective_cpus=cpus[:1])
    napi = QueueNapiState(
        napi_id=500 + number,
        thread=None,
        defer_hard_irqs=0,
        gro_flush_timeout_ns=0,
        irq_suspend_timeout_ns=0,
    )
    return Queue(
        number=number, receives=True, sends=True, irqs={"rx": irq}, napi=napi, rps_cpus=(), xps_cpus=(number,)
    )


def hardware(
    *, driver: str = "mlx5_core", queues: int = 8, most: int = 16, rules: tuple[FlowRule, ...] | None = ()
) -> Snapshot:
    """A NIC with everything: four CPUs, two NUMA nodes, a table, rules, rings, coalescing."""
    return Snapshot(
        link=Link(
            name="eth9",
            index=9,
            mac="02:00:00:00:00:09",
            mtu_bytes=1500,
            up=True,
            carrier=True,
            speed_mbps=100_000,
            driver=driver,
            driver_version="6.18",
            firmware="22.1",
            bus="0000:41:00.0",
            numa_node=1,
        ),
        channels=Channels(combined=queues),
        most_channels=Channels(combined=most),
        rings=Rings(rx=512, tx=512),
        most_rings=Rings(rx=8192, tx=8192),
        rss=Rss(
            table=spread(SLOTS, range(queues)).queues,
            key="6d5a" * 20,
            function="toeplitz",
            fields={
                "tcp4": ("ip-source", "ip-destination", "port-source", "port-destination"),
                "tcp6": ("ip-source", "ip-destination"),
            },
        ),
        rules=rules,
        coalesce=Coalesce(rx_usecs=50, tx_usecs=50, adaptive_rx=True, adaptive_tx=True),
        offloads={
            "rx-lro": Offload(on=True, changeable=True),
            "rx-gro": Offload(on=True, changeable=True),
            "rx-checksum": Offload(on=True, changeable=False),
            "rx-vlan-hw-parse": Offload(on=True, changeable=True),
            "rx-ntuple-filter": Offload(on=False, changeable=rules is not None),
        },
        xdp=Xdp(features=("basic", "redirect"), zero_copy=True, zero_copy_segments=1, xsk_features=()),
        queues=tuple(map(queue, range(queues))),
        napi=DeviceNapiState(defer_hard_irqs=0, gro_flush_timeout_ns=0, threaded=False),
        machine=Machine(
            kernel="6.18",
            cpus=(0, 1, 2, 3),
            isolated_cpus=(),
            nodes={0: (0, 1), 1: (2, 3)},
            governors={},
            irqbalance=False,
            hugepages=0,
            hugepages_free=0,
            hugepage_bytes=2 << 20,
            memlock_bytes=None,
        ),
    )


class FakeNic:
    """before_write: called with the number of each write, from 1 on, and the setting; may raise."""

    def __init__(self, seen: Snapshot, before_write: Callable[[int, AnySetting], None] | None = None) -> None:
        self.ifname = seen.link.name
        self.seen = seen
        self.writes: list[AnySetting] = []
        self.before_write = before_write
        self.respreads = True
        """Makes a table of its own at a change of channels, as igb does."""
        self.names = {seen.link.index: seen.link.name}

    def snapshot(self) -> Snapshot:
        return self.seen

    def called(self, ifindex: int) -> str | None:
        return self.names.get(ifindex)

    def write(self, setting: AnySetting, seen: Snapshot) -> None:
        assert seen == self.seen, "the snapshot is older than the NIC"
        if self.before_write is not None:
            self.before_write(len(self.writes) + 1, setting)
        self.writes.append(setting)
        self.seen = self._with(setting)

    def _with(self, setting: AnySetting) -> Snapshot:
        seen = self.seen
        match setting:
            case Channels():
                return self._with_channels(setting)
            case Rings():
                most = seen.most_rings
                assert most is not None and setting.rx <= most.rx
                power = 1 << (setting.rx - 1).bit_length()
                return replace(seen, rings=Rings(rx=power, tx=1 << (setting.tx - 1).bit_length()))
            case Table():
                assert seen.rss is not None and seen.channels is not None
                if max(setting.queues) >= seen.channels.receive or len(setting.queues) != SLOTS:
                    raise OSError(errno.EINVAL, "a queue that is not there")
                return replace(seen, rss=replace(seen.rss, table=setting.queues))
            case HashFields():
                assert seen.rss is not None
                fields = {**seen.rss.fields, setting.flow: setting.fields}
                return replace(seen, rss=replace(seen.rss, fields=fields))
            case Coalesce():
                return replace(seen, coalesce=setting)
            case Feature():
                changed = replace(seen.offloads[setting.name], on=setting.on)
                return replace(seen, offloads={**seen.offloads, setting.name: changed})
            case HugePages():
                return replace(seen, machine=replace(seen.machine, hugepages=setting.count))
            case Threaded():
                assert seen.napi is not None
                return replace(seen, napi=replace(seen.napi, threaded=setting.on))
            case PortRule():
                return self._with_rule(setting)
            case Affinity() | QueueNapi():
                return self._with_queue(setting)
        raise AssertionError(f"not a setting of this NIC: {setting}")

    def _with_channels(self, setting: Channels) -> Snapshot:
        seen = self.seen
        assert seen.rss is not None and seen.rss.table is not None and seen.most_channels is not None
        if max(seen.rss.table) >= setting.combined:
            raise OSError(errno.EINVAL, "the table names a queue beyond")
        if any(rule.queue is not None and rule.queue >= setting.combined for rule in seen.rules or ()):
            raise OSError(errno.EINVAL, "a rule names a queue beyond")
        there = seen.queues[: setting.combined]
        new = tuple(map(queue, range(len(there), setting.combined)))
        blocks = tuple(slot * setting.combined // SLOTS for slot in range(SLOTS))
        table = blocks if self.respreads else seen.rss.table
        return replace(seen, channels=setting, queues=there + new, rss=replace(seen.rss, table=table))

    def _with_rule(self, rule: PortRule) -> Snapshot:
        seen = self.seen
        assert seen.rules is not None and seen.channels is not None
        if rule.queue is not None and rule.queue >= seen.channels.receive:
            raise OSError(errno.EINVAL, "no such queue")
        if rule.queue is not None and not seen.offloads["rx-ntuple-filter"].on:
            raise OSError(errno.EOPNOTSUPP, "ntuple filters are off")
        kept = [one for one in seen.rules if (one.flow, one.destination_port) != (rule.flow, rule.port)]
        if rule.queue is not None:
            place = max({*range(1024)} - {one.location for one in kept})
            kept.append(
                FlowRule(location=place, flow=rule.flow, queue=rule.queue, destination_port=rule.port)
            )
        return replace(seen, rules=tuple(kept))

    def _with_queue(self, setting: Affinity | QueueNapi) -> Snapshot:
        queues = list(self.seen.queues)
        if setting.queue >= len(queues):
            raise OSError(errno.ENOENT, "no such queue")
        old = queues[setting.queue]
        if isinstance(setting, Affinity):
            irq = replace(old.irqs[setting.side], cpus=setting.cpus, effective_cpus=setting.cpus[:1])
            queues[setting.queue] = replace(old, irqs={**old.irqs, setting.side: irq})
        else:
            assert old.napi is not None
            napi = replace(
                old.napi,
                defer_hard_irqs=setting.defer_hard_irqs,
                gro_flush_timeout_ns=setting.gro_flush_timeout_ns,
            )
            queues[setting.queue] = replace(old, napi=napi)
        return replace(self.seen, queues=tuple(queues))
