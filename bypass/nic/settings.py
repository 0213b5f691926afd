"""Settings of a NIC that can be read, written and put back: one small value each.

A setting is identified by its `key` and carries its value; two settings of one key that differ are a
change. They are plain data: what the planner plans with, what a journal keeps, what the kernel is told.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Setting(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Subclasses are the kinds."""

    @property
    def key(self) -> str:
        raise NotImplementedError

    @property
    def value(self) -> str:
        """For people."""
        raise NotImplementedError


class Channels(Setting, frozen=True, kw_only=True):
    """Queues in use. Drivers have either `combined`, or `rx` and `tx`."""

    rx: int = 0
    tx: int = 0
    other: int = 0
    combined: int = 0

    @property
    def receive(self) -> int:
        """Receive queues there are."""
        return self.rx + self.combined

    @property
    def send(self) -> int:
        return self.tx + self.combined

    @property
    def key(self) -> str:
        return "channels"

    @property
    def value(self) -> str:
        parts = {"combined": self.combined, "rx": self.rx, "tx": self.tx}
        return " ".join(f"{name} {count}" for name, count in parts.items() if count) or "none"


class Rings(Setting, frozen=True, kw_only=True):
    """Descriptors of one queue's receive and transmit ring."""

    rx: int
    tx: int

    @property
    def key(self) -> str:
        return "rings"

    @property
    def value(self) -> str:
        return f"rx {self.rx} tx {self.tx}"


class Table(Setting, frozen=True, kw_only=True):
    """The receive indirection table: queue by slot of the flow hash."""

    queues: tuple[int, ...]

    @property
    def key(self) -> str:
        return "indirection"

    @property
    def value(self) -> str:
        return f"{len(self.queues)} slots over {queues_text(set(self.queues))}"


class HashFields(Setting, frozen=True, kw_only=True):
    """What of a packet the flow hash is taken of, by kind of flow (tcp4, tcp6)."""

    flow: str
    fields: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"hash/{self.flow}"

    @property
    def value(self) -> str:
        return ", ".join(self.fields) or "nothing"


class Coalesce(Setting, frozen=True, kw_only=True):
    """When the NIC interrupts: so many microseconds or frames after a packet; adaptive: as it thinks fit."""

    rx_usecs: int = 0
    rx_frames: int = 0
    tx_usecs: int = 0
    tx_frames: int = 0
    adaptive_rx: bool = False
    adaptive_tx: bool = False

    @property
    def key(self) -> str:
        return "coalesce"

    @property
    def value(self) -> str:
        adaptive = {True: "on", False: "off"}
        return (
            f"rx-usecs {self.rx_usecs} rx-frames {self.rx_frames} adaptive-rx {adaptive[self.adaptive_rx]}"
            f" tx-usecs {self.tx_usecs} tx-frames {self.tx_frames} adaptive-tx {adaptive[self.adaptive_tx]}"
        )


class Feature(Setting, frozen=True, kw_only=True):
    """An offload, by the kernel's name of it (rx-lro)."""

    name: str
    on: bool

    @property
    def key(self) -> str:
        return f"feature/{self.name}"

    @property
    def value(self) -> str:
        return "on" if self.on else "off"


class Affinity(Setting, frozen=True, kw_only=True):
    """CPUs that an interrupt may arrive on. side: "rx" (a vector that serves both counts as rx) or "tx"."""

    queue: int
    side: str
    cpus: tuple[int, ...]

    @property
    def key(self) -> str:
        return f"irq/{self.side}-{self.queue}"

    @property
    def value(self) -> str:
        return cpus_text(self.cpus)


class QueueNapi(Setting, frozen=True, kw_only=True):
    """The NAPI context of one receive queue: how long interrupts stay off while somebody polls."""

    queue: int
    defer_hard_irqs: int
    gro_flush_timeout_ns: int
    irq_suspend_timeout_ns: int = 0

    @property
    def key(self) -> str:
        return f"napi/{self.queue}"

    @property
    def value(self) -> str:
        suspend = f" suspend {self.irq_suspend_timeout_ns} ns" if self.irq_suspend_timeout_ns else ""
        return f"defer {self.defer_hard_irqs} flush {self.gro_flush_timeout_ns} ns{suspend}"


class DeviceNapi(Setting, frozen=True, kw_only=True):
    """The same for all NAPI contexts of the device, where the kernel does not know them by queue."""

    defer_hard_irqs: int
    gro_flush_timeout_ns: int

    @property
    def key(self) -> str:
        return "napi"

    @property
    def value(self) -> str:
        return f"defer {self.defer_hard_irqs} flush {self.gro_flush_timeout_ns} ns"


class Threaded(Setting, frozen=True, kw_only=True):
    """Whether NAPI runs in kernel threads, which can be pinned, and not in softirq."""

    on: bool

    @property
    def key(self) -> str:
        return "threaded"

    @property
    def value(self) -> str:
        return "on" if self.on else "off"


class Steering(Setting, frozen=True, kw_only=True):
    """RPS (side "rx"): CPUs that a receive queue's packets go to. XPS ("tx"): CPUs that send on it."""

    queue: int
    side: str
    cpus: tuple[int, ...]

    @property
    def key(self) -> str:
        return f"{'rps' if self.side == 'rx' else 'xps'}/{self.queue}"

    @property
    def value(self) -> str:
        return cpus_text(self.cpus)


class PortRule(Setting, frozen=True, kw_only=True):
    """An ntuple rule that sends what comes to one TCP port to one queue; queue None: there is none."""

    flow: str
    port: int
    queue: int | None

    @property
    def key(self) -> str:
        return f"rule/{self.flow}-{self.port}"

    @property
    def value(self) -> str:
        return "none" if self.queue is None else f"queue {self.queue}"


class HugePages(Setting, frozen=True, kw_only=True):
    """Huge pages of the default size that the machine reserves."""

    count: int

    @property
    def key(self) -> str:
        return "hugepages"

    @property
    def value(self) -> str:
        return str(self.count)


AnySetting = (
    Channels
    | Rings
    | Table
    | HashFields
    | Coalesce
    | Feature
    | Affinity
    | QueueNapi
    | DeviceNapi
    | Threaded
    | Steering
    | PortRule
    | HugePages
)
State = dict[str, AnySetting]
"""Settings by key."""

GLOBAL_KINDS = (HugePages,)
"""Of the machine, not of one interface: they outlive the interface."""


def state_of(settings: Iterable[AnySetting]) -> State:
    return {setting.key: setting for setting in settings}


def spread(slots: int, queues: Iterable[int]) -> Table:
    """The table that leads to these queues in turn, as `ethtool -X IF equal N start M` makes it."""
    among = tuple(queues)
    return Table(queues=tuple(among[slot % len(among)] for slot in range(slots)))


def queues_text(queues: Iterable[int]) -> str:
    """ "queue 3", "queues 0-3"."""
    listed = sorted(queues)
    return f"{'queue' if len(listed) == 1 else 'queues'} {spans(listed)}"


def spans(numbers: Iterable[int]) -> str:
    """ "0-2,5": ascending numbers as the kernel writes lists of CPUs."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def cpus_text(cpus: Iterable[int]) -> str:
    listed = spans(sorted(cpus))
    return f"CPU {listed}" if listed else "none"
