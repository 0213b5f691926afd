"""What a NIC has counted: packets by queue, drops by reason, interrupts by queue and CPU. Rates of two looks.

Owns: the names that drivers give to counters. Only reads.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bypass.errors import UnavailableError
from bypass.nic import sysfiles
from bypass.nic.ethtool import Ethtool
from bypass.nic.snapshot import Record
from bypass.nic.sysfiles import sysfs_device
from bypass.xdp.netdev import RECEIVE, NetdevFamily

_QUEUE_COUNTERS = (
    re.compile(r"(?P<side>rx|tx)_queue_(?P<queue>\d+)_(?:xdp_)?(?P<what>packets|bytes)"),  # igb, ice, veth
    re.compile(r"(?P<side>rx|tx)(?P<queue>\d+)_(?P<what>packets|bytes)"),  # mlx5, virtio_net
    re.compile(r"(?P<side>rx|tx)-(?P<queue>\d+)\.(?:[rt]x_)?(?P<what>packets|bytes)"),  # i40e
    re.compile(r"queue_(?P<queue>\d+)_(?P<side>rx|tx)_(?P<what>cnt|bytes)"),  # ena
    re.compile(r"(?P<side>rx|tx)_(?P<what>packets|bytes)\[(?P<queue>\d+)\]"),  # gve
)
_LOSS = re.compile(
    r"drop|discard|error|miss|no_?buf|overrun|over_?flow|alloc_fail|allowance_exceeded|nohandler|fifo", re.I
)
_SOFTNET = Path("/proc/net/softnet_stat")
PACKETS = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")


class Interrupts(Record, frozen=True, kw_only=True):
    """queue: -1 for those that are no queue's. by_cpu: how often it arrived."""

    name: str
    queue: int
    side: str
    by_cpu: dict[int, int]


class Counters(Record, frozen=True, kw_only=True):
    """Since the interface or the machine started. queues: by number, of PACKETS those that are counted.

    drops: by reason, of the kernel ("rx_missed_errors"), of the driver ("driver rx_no_buffer") and of the
    CPUs' backlog ("CPU 0 backlog"). interrupts: by number.
    """

    taken_at_s: float
    total: dict[str, int]
    queues: dict[int, dict[str, int]]
    drops: dict[str, int]
    interrupts: dict[int, Interrupts]


class Rates(Record, frozen=True, kw_only=True):
    """Per second between two looks; drops: how many were added. Interrupts by queue and CPU."""

    seconds: float
    total: dict[str, float]
    queues: dict[int, dict[str, float]]
    drops: dict[str, int]
    interrupts: dict[int, dict[int, float]]


def read_counters(ifname: str) -> Counters:
    """UnavailableError when there is no such interface."""
    link = _link(ifname)
    ifindex = int(link["index"])
    statistics = link.get("stats64") or link.get("stats") or {}
    driver = Ethtool(ifname).statistics()
    return Counters(
        taken_at_s=time.monotonic(),
        total={name: int(statistics[name]) for name in PACKETS if name in statistics},
        queues=_queues(ifindex, driver),
        drops=_drops(statistics, driver),
        interrupts=_interrupts(ifname, ifindex, str(link.get("address") or "")),
    )


def rates(before: Counters, after: Counters) -> Rates:
    """Queues and interrupts that came to be in between count from zero."""
    seconds = max(after.taken_at_s - before.taken_at_s, 1e-9)
    queues = {
        number: {
            name: _grown(value, before.queues.get(number, {}).get(name)) / seconds
            for name, value in counts.items()
        }
        for number, counts in after.queues.items()
    }
    grown_drops = {name: _grown(value, before.drops.get(name)) for name, value in after.drops.items()}
    return Rates(
        seconds=seconds,
        total={name: _grown(value, before.total.get(name)) / seconds for name, value in after.total.items()},
        queues=queues,
        drops={name: added for name, added in grown_drops.items() if added},
        interrupts=_interrupt_rates(before, after, seconds),
    )


def queue_counter(name: str) -> tuple[int, str] | None:
    """Queue and one of PACKETS, in a driver's name for a counter."""
    for pattern in _QUEUE_COUNTERS:
        match = pattern.fullmatch(name)
        if match:
            what = "packets" if match["what"] == "cnt" else match["what"]
            return int(match["queue"]), f"{match['side']}_{what}"
    return None


def _grown(value: int, before: int | None) -> int:
    """A counter that was reset has grown by what it shows."""
    return value - before if before is not None and value >= before else value


def _interrupt_rates(before: Counters, after: Counters, seconds: float) -> dict[int, dict[int, float]]:
    found: dict[int, dict[int, float]] = {}
    for number, one in after.interrupts.items():
        earlier = before.interrupts.get(number)
        cpus = found.setdefault(one.queue, {})
        for cpu, count in one.by_cpu.items():
            grown = _grown(count, earlier.by_cpu.get(cpu) if earlier else None)
            cpus[cpu] = cpus.get(cpu, 0.0) + grown / seconds
    return found


def _link(ifname: str) -> Any:
    with IPRoute() as route:
        for link in route.get_links():
            if link.get("ifname") == ifname:
                return link
    raise UnavailableError(f"{ifname}: no such interface", remedy="'ip -brief link' lists those there are")


def _queues(ifindex: int, driver: dict[str, int]) -> dict[int, dict[str, int]]:
    """By netlink where the driver counts there, else by the names of its own counters."""
    found: dict[int, dict[str, int]] = {}
    with suppress(NetlinkError), NetdevFamily() as family:
        for (kind, queue), counts in family.queue_statistics(ifindex).items():
            side = "rx" if kind == RECEIVE else "tx"
            for name, value in counts.items():
                if name in (f"{side}-packets", f"{side}-bytes"):
                    found.setdefault(queue, {})[name.replace("-", "_")] = value
    if not found:
        for name, value in driver.items():
            place = queue_counter(name)
            if place is not None:
                found.setdefault(place[0], {})[place[1]] = value
    return dict(sorted(found.items()))


def _drops(statistics: dict[str, int], driver: dict[str, int]) -> dict[str, int]:
    found = {name: int(value) for name, value in statistics.items() if _LOSS.search(name)}
    found |= {f"driver {name}": value for name, value in driver.items() if _LOSS.search(name)}
    for cpu, line in enumerate(_SOFTNET.read_text().splitlines()):
        words = line.split()
        found[f"CPU {int(words[12], 16) if len(words) > 12 else cpu} backlog"] = int(words[1], 16)
    return found


def _interrupts(ifname: str, ifindex: int, mac: str) -> dict[int, Interrupts]:
    device = sysfs_device(ifname, ifindex, mac)
    if device is None:
        return {}
    everything = sysfiles.interrupts()
    found = {}
    for number in device.interrupts():
        name, by_cpu = everything.get(number, ("", {}))
        side, queue = sysfiles.queue_of_interrupt(name) or ("", -1)
        found[number] = Interrupts(name=name, queue=queue, side=side, by_cpu=by_cpu)
    return found
