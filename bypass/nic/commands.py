"""The command line that does the same as writing a setting, for people and for scripts."""

from __future__ import annotations

from shlex import quote

from bypass.nic.ntuple import HASH_FIELDS
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
    spans,
    spread,
)
from bypass.nic.snapshot import Snapshot
from bypass.nic.sysfiles import format_mask

_HASH_LETTERS = dict(zip(HASH_FIELDS, "mvtsdfn", strict=True))


def command_for(setting: AnySetting, seen: Snapshot) -> str:
    """One line of shell; where there is no tool for it, a comment that says so."""
    name = quote(seen.link.name)
    match setting:
        case Channels():
            counts = {"rx": setting.rx, "tx": setting.tx, "combined": setting.combined}
            return f"ethtool -L {name} " + " ".join(
                f"{kind} {count}" for kind, count in counts.items() if count
            )
        case Rings():
            return f"ethtool -G {name} rx {setting.rx} tx {setting.tx}"
        case Table():
            return f"ethtool -X {name} {_table_arguments(setting.queues)}"
        case HashFields():
            letters = "".join(_HASH_LETTERS[field] for field in setting.fields) or "r"
            return f"ethtool -N {name} rx-flow-hash {setting.flow} {letters}"
        case Coalesce():
            return f"ethtool -C {name} {setting.value}"
        case Feature():
            return f"ethtool -K {name} {setting.name} {setting.value}"
        case PortRule():
            return _rule_command(setting, seen)
        case _:
            return _file_command(setting, seen)


def _file_command(setting: AnySetting, seen: Snapshot) -> str:
    name = quote(seen.link.name)
    folder = f"/sys/class/net/{name}"
    match setting:
        case Affinity():
            irq = _irq_number(setting, seen)
            return f"echo {spans(setting.cpus)} > /proc/irq/{irq}/smp_affinity_list"
        case Steering():
            file = f"rx-{setting.queue}/rps_cpus" if setting.side == "rx" else f"tx-{setting.queue}/xps_cpus"
            return f"echo {format_mask(setting.cpus)} > {folder}/queues/{file}"
        case DeviceNapi():
            return (
                f"echo {setting.defer_hard_irqs} > {folder}/napi_defer_hard_irqs;"
                f" echo {setting.gro_flush_timeout_ns} > {folder}/gro_flush_timeout"
            )
        case Threaded():
            return f"echo {int(setting.on)} > {folder}/threaded"
        case QueueNapi():
            values = (
                f'{{"id": {_napi_id(setting, seen)}, "defer-hard-irqs": {setting.defer_hard_irqs},'
                f' "gro-flush-timeout": {setting.gro_flush_timeout_ns},'
                f' "irq-suspend-timeout": {setting.irq_suspend_timeout_ns}}}'
            )
            return f"ynl --family netdev --do napi-set --json '{values}'"
        case HugePages():
            return f"echo {setting.count} > /proc/sys/vm/nr_hugepages"
    raise AssertionError(f"no command for {setting!r}")


def _table_arguments(table: tuple[int, ...]) -> str:
    """As `ethtool -X` takes it: equal shares, or weights; it has no way to name each slot."""
    used = sorted(set(table))
    first, last = used[0], used[-1]
    if table == spread(len(table), range(first, last + 1)).queues:
        return f"equal {last - first + 1}" + (f" start {first}" if first else "")
    return "weight " + " ".join(str(table.count(queue)) for queue in range(last + 1))


def _rule_command(rule: PortRule, seen: Snapshot) -> str:
    name = quote(seen.link.name)
    if rule.queue is not None:
        return f"ethtool -N {name} flow-type {rule.flow} dst-port {rule.port} action {rule.queue}"
    places = [
        str(one.location)
        for one in seen.rules or ()
        if (one.flow, one.destination_port) == (rule.flow, rule.port) and one.queue is not None
    ]
    if not places:
        return f"ethtool -N {name} delete NUMBER  # of {rule.flow} {rule.port} in 'ethtool -n {name}'"
    return "; ".join(f"ethtool -N {name} delete {place}" for place in places)


def _irq_number(setting: Affinity, seen: Snapshot) -> str:
    irq = seen.irq(setting.queue, setting.side)
    return "NUMBER" if irq is None else str(irq.number)


def _napi_id(setting: QueueNapi, seen: Snapshot) -> str:
    for queue in seen.queues:
        if queue.number == setting.queue and queue.napi is not None:
            return str(queue.napi.napi_id)
    return "NUMBER"
