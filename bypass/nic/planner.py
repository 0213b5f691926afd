"""What should change on a NIC, and why. Pure: a snapshot, a wish and a recipe make a plan.

Each wanted setting comes with its reason; bypass/nic/order.py puts them in order. Settings that are there
already are no steps, so that the plan of a tuned NIC is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from bypass.errors import ConfigError, UnavailableError
from bypass.nic.cpus import choose_cpus
from bypass.nic.order import Change, changes
from bypass.nic.recipes import Recipe
from bypass.nic.settings import (
    Affinity,
    AnySetting,
    Channels,
    DeviceNapi,
    Feature,
    HashFields,
    HugePages,
    PortRule,
    QueueNapi,
    Rings,
    State,
    Table,
    Threaded,
    queues_text,
    spread,
)
from bypass.nic.snapshot import Record, Snapshot, settings_in
from bypass.nic.warnings import cautions
from bypass.site.text import format_bytes
from bypass.text import plural

PORTS_AND_ADDRESSES = ("ip-source", "ip-destination", "port-source", "port-destination")
_RULE_FLOWS = ("tcp4", "tcp6")


class Wish(Record, frozen=True, kw_only=True):
    """What a person wants of the NIC.

    workers: as many queues as these, from 0 on; 0: as many as there are. queues: these, in place of a number.
    port: steer this TCP port to our queue, where the NIC can. irq_affinity: keep, local, remote, one, or a
    list of CPUs. rings: descriptors of each ring; 0: by the recipe. hugepages: to reserve; 0: leave.
    threaded: NAPI in kernel threads.
    """

    workers: int = 0
    queues: tuple[int, ...] = ()
    port: int = 0
    irq_affinity: str = "local"
    busy_poll: bool = False
    rings: int = 0
    hugepages: int = 0
    vlan: bool = False
    threaded: bool = False


class Step(Record, frozen=True, kw_only=True):
    """before None: the setting comes to be with the channels. warning: what it does besides, or empty."""

    before: AnySetting | None
    after: AnySetting
    reason: str
    warning: str = ""


class Plan(Record, frozen=True, kw_only=True):
    """queues: those that are ours when it is carried out. cautions: of the NIC as a whole, by kind."""

    steps: tuple[Step, ...]
    queues: tuple[int, ...]
    cautions: tuple[str, ...]


@dataclass(slots=True)
class _Wanted:
    """Settings with their reasons, collected one by one."""

    state: State = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, setting: AnySetting, reason: str) -> None:
        self.state[setting.key] = setting
        self.reasons[setting.key] = reason


def make_plan(seen: Snapshot, wish: Wish, recipe: Recipe) -> Plan:
    """ConfigError or UnavailableError when the wish does not fit the NIC."""
    wanted = _Wanted()
    wish = _with_queue_for_rule(seen, wish, recipe)
    channels = _channels(seen, wish, recipe, wanted)
    queues = _queues(seen, wish, channels)
    _flows(seen, wish, recipe, wanted, channels, queues)
    _offloads(seen, wish, recipe, wanted)
    _rings(seen, wish, recipe, wanted)
    _coalesce(seen, recipe, wanted)
    _affinity(seen, wish, wanted, queues)
    _napi(seen, wish, recipe, wanted, queues)
    if wish.threaded and seen.napi is not None and seen.napi.threaded is not None:
        wanted.add(Threaded(on=True), "the driver's polling runs in kernel threads, which can be pinned")
    _hugepages(seen, wish, wanted)
    current = settings_in(seen)
    steps = [_step(change, seen, wanted, recipe) for change in changes(current, wanted.state)]
    notes = cautions(seen, wish.busy_poll, recipe, queues)
    if wish.port and not any(isinstance(setting, PortRule) for setting in wanted.state.values()):
        notes += (_why_no_rule(seen, wish, recipe),)
    return Plan(steps=tuple(steps), queues=queues, cautions=notes)


def _hugepages(seen: Snapshot, wish: Wish, wanted: _Wanted) -> None:
    """UnavailableError rather than to have the kernel take all memory there is, and fail then."""
    machine = seen.machine
    if not wish.hugepages or machine.hugepages is None:
        return
    needed = (wish.hugepages - machine.hugepages) * (machine.hugepage_bytes or 0)
    if machine.available_bytes is not None and needed > machine.available_bytes:
        raise UnavailableError(
            f"{plural(wish.hugepages, 'huge page')} wanted: {format_bytes(needed)} more of memory",
            why=f"{format_bytes(machine.available_bytes)} could be had",
            remedy="Ask for fewer",
        )
    pages = max(wish.hugepages, machine.hugepages)
    wanted.add(HugePages(count=pages), "huge pages are reserved while memory is whole")


def _step(change: Change, seen: Snapshot, wanted: _Wanted, recipe: Recipe) -> Step:
    after = change.after
    reason = wanted.reasons.get(after.key, "")
    if isinstance(after, Table) and "channels" in wanted.state:
        if change.before == after:
            reason = "a driver makes a table of its own when channels change: written again"
        elif isinstance(change.before, Table) and seen.rss and change.before.queues == seen.rss.table:
            reason = "a queue that the table names cannot be taken away: the table shrinks first"
    warning = ""
    if type(after).__name__.lower() in recipe.resets_link:
        warning = "resets the link: packets are lost for up to a few seconds"
    return Step(before=change.before, after=after, reason=reason, warning=warning)


# -- which queues, and how flows come to them


def _channels(seen: Snapshot, wish: Wish, recipe: Recipe, wanted: _Wanted) -> Channels | None:
    """What there will be; planned where it differs from what there is."""
    now, most = seen.channels, seen.most_channels
    if not wish.workers or now is None or most is None:
        _require_enough(seen, wish.workers)
        return now
    count = wish.workers
    limit = most.combined or min(most.rx, most.tx)
    if recipe.xdp_halves_queues:
        limit = max(limit // 2, 1)
    if count > limit:
        half = " with XDP, half of its channels," if recipe.xdp_halves_queues else ""
        raise UnavailableError(
            f"{seen.link.name}: {plural(count, 'queue')} wanted, and it has at most{half} {limit}",
            remedy=f"Use --workers {limit}" if limit else "",
        )
    if most.combined:
        made = Channels(rx=0, tx=0, other=now.other, combined=count)
    else:
        made = Channels(rx=count, tx=count, other=now.other, combined=0)
    if (made.receive, made.send) == (now.receive, now.send):
        return now  # also where a driver has both kinds in use
    wanted.add(made, f"one queue for each of {plural(count, 'worker')}: none waits for another's lock")
    return made


def _require_enough(seen: Snapshot, workers: int) -> None:
    if workers > seen.receive_queues:
        raise UnavailableError(
            f"{seen.link.name}: {plural(workers, 'queue')} wanted, and it has {seen.receive_queues}",
            why="its driver cannot change their number",
            remedy=f"Use --workers {seen.receive_queues}" if seen.receive_queues else "",
        )


def _queues(seen: Snapshot, wish: Wish, channels: Channels | None) -> tuple[int, ...]:
    there = channels.receive if channels else seen.receive_queues
    queues = tuple(sorted(set(wish.queues))) or tuple(range(wish.workers or there))
    if queues and queues[-1] >= there:
        raise ConfigError(
            f"{seen.link.name} queue {queues[-1]}: no such queue",
            why=f"there will be {plural(there, 'receive queue')}, counted from 0",
        )
    return queues


def _flows(
    seen: Snapshot,
    wish: Wish,
    recipe: Recipe,
    wanted: _Wanted,
    channels: Channels | None,
    queues: tuple[int, ...],
) -> None:
    """How packets come to our queues: a rule for the port where one queue is enough and the NIC has rules,
    else the table."""
    there = channels.receive if channels else seen.receive_queues
    if wish.port and len(wish.queues) == 1 and there > 1 and _takes_rules(seen, recipe):
        _rules(seen, wish.port, queues[0], wanted)
        others = [queue for queue in range(there) if queue not in queues]
        _table(seen, others, wanted, f"our queue {queues[0]} gets what the rule sends, and nothing else")
    else:
        reason = f"flows come to what we serve ({queues_text(queues)}) and to no other queue"
        _table(seen, queues, wanted, reason)
    _hash_fields(seen, wanted, len(queues))


def _with_queue_for_rule(seen: Snapshot, wish: Wish, recipe: Recipe) -> Wish:
    """One worker on a NIC with rules gets the last queue of those there are; the kernel keeps the others."""
    there = seen.channels.receive if seen.channels else seen.receive_queues
    if wish.workers == 1 and wish.port and not wish.queues and there > 1 and _takes_rules(seen, recipe):
        return msgspec.structs.replace(wish, workers=0, queues=(there - 1,))
    return wish


def _takes_rules(seen: Snapshot, recipe: Recipe) -> bool:
    ntuple = seen.offloads.get("rx-ntuple-filter")
    has = seen.rules is not None and ntuple is not None and (ntuple.on or ntuple.changeable)
    return recipe.port_rules and has


def _why_no_rule(seen: Snapshot, wish: Wish, recipe: Recipe) -> str:
    what = f"{seen.link.name}: no rule for port {wish.port}"
    if not _takes_rules(seen, recipe):
        return f"{what}: {seen.link.driver} has none for ports here; the hash spreads its flows"
    return f"{what}: a rule leads to one queue, and several are served; the hash spreads its flows"


def _rules(seen: Snapshot, port: int, queue: int, wanted: _Wanted) -> None:
    if not seen.offloads["rx-ntuple-filter"].on:
        wanted.add(Feature(name="rx-ntuple-filter", on=True), "the NIC looks at rules only when this is on")
    for flow in _RULE_FLOWS:
        rule = PortRule(flow=flow, port=port, queue=queue)
        wanted.add(rule, f"TCP port {port} comes to queue {queue}, everything else stays with the kernel's")


def _table(seen: Snapshot, queues: tuple[int, ...] | list[int], wanted: _Wanted, reason: str) -> None:
    """Nothing where the table leads to exactly these queues already, in whatever order."""
    if seen.rss is None or not seen.rss.table or not queues:
        return
    if set(seen.rss.table) != set(queues) or "channels" in wanted.state:
        wanted.add(spread(len(seen.rss.table), queues), reason)


def _hash_fields(seen: Snapshot, wanted: _Wanted, queues: int) -> None:
    if seen.rss is None or queues < 2:
        return
    for flow, fields in seen.rss.fields.items():
        if fields and set(fields) < set(PORTS_AND_ADDRESSES):
            reason = "with ports in the hash, connections of one client spread over the queues, too"
            wanted.add(HashFields(flow=flow, fields=PORTS_AND_ADDRESSES), reason)


# -- what each queue is like


def _offloads(seen: Snapshot, wish: Wish, recipe: Recipe, wanted: _Wanted) -> None:
    unwanted = dict(recipe.offloads_off)
    if wish.vlan or seen.link.vlans:
        unwanted["rx-vlan-hw-parse"] = "a tag that the NIC takes off is gone before XDP sees the packet"
    for name, reason in unwanted.items():
        offload = seen.offloads.get(name)
        if offload is not None and offload.on and offload.changeable:
            wanted.add(Feature(name=name, on=False), reason)


def _rings(seen: Snapshot, wish: Wish, recipe: Recipe, wanted: _Wanted) -> None:
    now, most = seen.rings, seen.most_rings
    if now is None or most is None or not most.rx:
        return
    if wish.rings:
        made = Rings(rx=min(wish.rings, most.rx), tx=min(wish.rings, most.tx))
        reason = f"{wish.rings} were asked for"
    else:
        least = recipe.rings_at_least
        made = Rings(
            rx=max(now.rx, min(least.get("rx", 0), most.rx)), tx=max(now.tx, min(least.get("tx", 0), most.tx))
        )
        reason = "a burst of packets has room while the worker is busy"
    wanted.add(made, reason)


def _coalesce(seen: Snapshot, recipe: Recipe, wanted: _Wanted) -> None:
    """Only ever lowers what the driver shows as in use: what it does not have reads as 0."""
    now = seen.coalesce
    if now is None or not recipe.coalesce_at_most:
        return
    made = now
    for name, most in recipe.coalesce_at_most.items():
        if getattr(now, name) > most:
            made = msgspec.structs.replace(made, **{name: most})
    if not recipe.adaptive_coalescing:
        made = msgspec.structs.replace(made, adaptive_rx=False, adaptive_tx=False)
    wanted.add(made, "the NIC says at once that a packet is there; the worker makes bursts of its own")


def _affinity(seen: Snapshot, wish: Wish, wanted: _Wanted, queues: tuple[int, ...]) -> None:
    cpus = choose_cpus(wish.irq_affinity, seen)
    if not cpus:
        return
    places = {queue: place for place, queue in enumerate(queues)}
    for queue in seen.queues:
        if queue.number not in places:
            continue
        cpu = cpus[places[queue.number] % len(cpus)]
        reason = f"the interrupts of queue {queue.number} stay on one CPU ({wish.irq_affinity})"
        for side in queue.irqs:
            wanted.add(Affinity(queue=queue.number, side=side, cpus=(cpu,)), reason)


def _napi(seen: Snapshot, wish: Wish, recipe: Recipe, wanted: _Wanted, queues: tuple[int, ...]) -> None:
    """By queue where the kernel can: the kernel's own queues stay as they are."""
    if not wish.busy_poll:
        return
    reason = "while the worker polls, interrupts stay off"
    defer, flush_ns = recipe.busy_poll_defer, recipe.busy_poll_flush_ns
    by_queue = [queue for queue in seen.queues if queue.napi and queue.napi.defer_hard_irqs is not None]
    for queue in by_queue:
        if queue.number in queues and queue.napi is not None:
            wanted.add(
                QueueNapi(
                    queue=queue.number,
                    defer_hard_irqs=defer,
                    gro_flush_timeout_ns=flush_ns,
                    irq_suspend_timeout_ns=queue.napi.irq_suspend_timeout_ns,
                ),
                reason,
            )
    if not by_queue and seen.napi is not None:
        wanted.add(DeviceNapi(defer_hard_irqs=defer, gro_flush_timeout_ns=flush_ns), reason)
