"""A snapshot as tables and a tree for people. Only arranges words."""

from __future__ import annotations

from rich.table import Table as Grid
from rich.tree import Tree

from bypass.nic.settings import Table, cpus_text, spans
from bypass.nic.snapshot import Queue, Snapshot, Xdp
from bypass.site.text import format_bytes

_OFFLOADS = (
    *("rx-checksum", "rx-gro", "rx-gro-hw", "rx-lro", "rx-vlan-hw-parse", "rx-hashing", "rx-ntuple-filter"),
    *("tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-generic-segmentation", "tx-vlan-hw-insert"),
)
"""Those that matter to AF_XDP, by the kernel's names; --json has all."""


def device_table(seen: Snapshot) -> Grid:
    """What holds for the device as a whole."""
    grid = Grid(show_header=False, box=None, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, text in _device_facts(seen):
        if text:
            grid.add_row(name, text)
    return grid


def _device_facts(seen: Snapshot) -> list[tuple[str, str]]:
    return [
        ("interface", _link_text(seen)),
        ("driver", _driver_text(seen)),
        ("channels", _of(seen.channels, seen.most_channels)),
        ("rings", _of(seen.rings, seen.most_rings)),
        *_rss_facts(seen),
        ("ntuple rules", _rules_text(seen)),
        ("coalescing", seen.coalesce.value if seen.coalesce else "driver has none"),
        ("offloads", _offloads_text(seen)),
        ("XDP", _xdp_text(seen.xdp)),
        *[("XDP program", _program_text(program)) for program in _programs(seen.xdp)],
        ("NAPI", _napi_text(seen)),
        *_machine_facts(seen),
    ]


def _link_text(seen: Snapshot) -> str:
    link = seen.link
    state = "up" if link.up else "down"
    carrier = "" if link.carrier else ", no link"
    speed = f", {link.speed_mbps} Mbit/s" if link.speed_mbps else ""
    serves = f", carries {' and '.join(link.serves)}" if link.serves else ""
    return f"{link.name}, {state}{carrier}{speed}, MTU {link.mtu_bytes}, {link.mac}{serves}"


def _driver_text(seen: Snapshot) -> str:
    link = seen.link
    parts = [f"{link.driver} {link.driver_version}".strip()]
    parts += [f"firmware {link.firmware}"] if link.firmware else []
    parts += [link.bus] if link.bus else []
    parts += [f"NUMA node {link.numa_node}"] if link.numa_node >= 0 else []
    return ", ".join(parts)


def _of(now: object, most: object) -> str:
    if now is None:
        return "fixed"
    value, limit = getattr(now, "value", ""), getattr(most, "value", "")
    return f"{value} (at most {limit})" if limit else str(value)


def _rss_facts(seen: Snapshot) -> list[tuple[str, str]]:
    rss = seen.rss
    if rss is None:
        return [("RSS", "none: the device chooses the queue itself")]
    facts = []
    if rss.table:
        shares = ", ".join(f"queue {queue}: {rss.table.count(queue)}" for queue in sorted(set(rss.table)))
        facts.append(("RSS table", f"{Table(queues=rss.table).value} ({shares})"))
    if rss.key:
        facts.append(("RSS key", f"{rss.key[:16]}… ({len(rss.key) // 2} bytes) {rss.function}".rstrip()))
    facts += [(f"hash {flow}", ", ".join(fields)) for flow, fields in rss.fields.items()]
    return facts


def _rules_text(seen: Snapshot) -> str:
    if seen.rules is None:
        return "driver has none"
    lines = []
    for rule in seen.rules:
        port = f" port {rule.destination_port}" if rule.destination_port is not None else ""
        target = "drop" if rule.queue is None else f"queue {rule.queue}"
        lines.append(f"{rule.location}: {rule.flow}{port} to {target}")
    return "\n".join(lines) or "none set"


def _offloads_text(seen: Snapshot) -> str:
    parts = []
    for name in _OFFLOADS:
        offload = seen.offloads.get(name)
        if offload is not None and (offload.on or offload.changeable):
            parts.append(f"{name} {'on' if offload.on else 'off'}{'' if offload.changeable else ' (fixed)'}")
    return ", ".join(parts)


def _xdp_text(xdp: Xdp) -> str:
    if xdp.features is None:
        return "kernel does not say"
    if not xdp.features:
        return "generic mode only"
    zero_copy = f"zero-copy, {xdp.zero_copy_segments} segments" if xdp.zero_copy else "no zero-copy"
    sends = f"; for sockets: {', '.join(xdp.xsk_features)}" if xdp.xsk_features else ""
    return f"native ({', '.join(xdp.features)}), {zero_copy}{sends}"


def _programs(xdp: Xdp) -> list[tuple[str, int, str | None, tuple[str, ...]]]:
    return [(one.mode, one.program_id, one.name, one.owners) for one in xdp.programs] or [
        ("none", 0, None, ())
    ]


def _program_text(program: tuple[str, int, str | None, tuple[str, ...]]) -> str:
    mode, number, name, owners = program
    if mode == "none":
        return "none attached"
    owner = f"held by {', '.join(owners)}" if owners else "no process holds it"
    return f"{name or '?'} (id {number}), {mode} mode, {owner}"


def _napi_text(seen: Snapshot) -> str:
    napi = seen.napi
    if napi is None:
        return "/sys does not show this interface"
    threaded = {True: "threaded", False: "in softirq", None: ""}[napi.threaded]
    return f"defer {napi.defer_hard_irqs}, flush {napi.gro_flush_timeout_ns} ns, {threaded}".rstrip(", ")


def _machine_facts(seen: Snapshot) -> list[tuple[str, str]]:
    machine = seen.machine
    governors = sorted(set(machine.governors.values()))
    pages = ""
    if machine.hugepages is not None and machine.hugepage_bytes is not None:
        size = format_bytes(machine.hugepage_bytes)
        pages = f"{machine.hugepages_free} of {machine.hugepages} free, {size} each"
    memlock = "no limit" if machine.memlock_bytes is None else format_bytes(machine.memlock_bytes)
    nodes = "; ".join(f"node {node}: {spans(cpus)}" for node, cpus in machine.nodes.items())
    return [
        ("CPUs", f"{spans(machine.cpus)} ({nodes})"),
        ("isolated", cpus_text(machine.isolated_cpus)),
        ("governor", ", ".join(governors) or "none"),
        ("irqbalance", "runs" if machine.irqbalance else "does not run"),
        ("hugepages", pages),
        ("memlock", memlock),
    ]


# -- queues


def queue_table(seen: Snapshot) -> Grid:
    """One row per queue, left to right in the order in which a packet meets things."""
    grid = Grid(header_style="bold", box=None, pad_edge=False)
    for title in ("queue", "RSS slots", "NAPI", "interrupt", "CPU", "node", "RPS", "XPS", "listens"):
        grid.add_column(title, overflow="fold")
    for queue in seen.queues:
        grid.add_row(
            _queue_name(queue),
            _slots(seen, queue),
            _queue_napi(queue),
            "\n".join(f"{irq.number} {irq.name}" for irq in queue.irqs.values()) or "-",
            "\n".join(_irq_cpus(irq.cpus, irq.effective_cpus) for irq in queue.irqs.values()) or "-",
            spans(queue.numa_nodes) or "-",
            _cpus(queue.rps_cpus),
            _cpus(queue.xps_cpus),
            queue.listener or "kernel",
        )
    return grid


def queue_tree(seen: Snapshot) -> Tree:
    """The same as a tree."""
    root = Tree(f"{seen.link.name} ({seen.link.driver})")
    for queue in seen.queues:
        branch = root.add(f"{_queue_name(queue)}: RSS slots {_slots(seen, queue)}")
        napi = branch.add(f"NAPI {_queue_napi(queue)}")
        for side, irq in queue.irqs.items():
            place = napi.add(f"interrupt {irq.number} {irq.name} ({side})")
            node = f", node {spans(queue.numa_nodes)}" if queue.numa_nodes else ""
            place.add(f"CPU {_irq_cpus(irq.cpus, irq.effective_cpus)}{node}")
        if queue.rps_cpus:
            napi.add(f"RPS to {cpus_text(queue.rps_cpus)}")
        branch.add(f"listens: {queue.listener or 'kernel'}")
    return root


def _queue_name(queue: Queue) -> str:
    if queue.receives and queue.sends:
        return f"queue {queue.number}"
    return f"queue {queue.number} ({'receives' if queue.receives else 'sends'} only)"


def _slots(seen: Snapshot, queue: Queue) -> str:
    if seen.rss is None or not seen.rss.table:
        return "-"
    return str(seen.rss.table.count(queue.number))


def _queue_napi(queue: Queue) -> str:
    napi = queue.napi
    if napi is None:
        return "-"
    parts = [str(napi.napi_id)]
    if napi.defer_hard_irqs:
        parts.append(f"defer {napi.defer_hard_irqs}")
    if napi.gro_flush_timeout_ns:
        parts.append(f"flush {napi.gro_flush_timeout_ns} ns")
    if napi.irq_suspend_timeout_ns:
        parts.append(f"suspend {napi.irq_suspend_timeout_ns} ns")
    if napi.thread:
        parts.append(f"thread {napi.thread}")
    return ", ".join(parts)


def _irq_cpus(cpus: tuple[int, ...], effective: tuple[int, ...]) -> str:
    return f"{spans(effective)} of {spans(cpus)}" if effective and effective != cpus else spans(cpus)


def _cpus(cpus: tuple[int, ...] | None) -> str:
    return "?" if cpus is None else spans(cpus) or "-"
