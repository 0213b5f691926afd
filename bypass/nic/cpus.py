"""Which CPUs interrupts go to: the words that administrators know from NIC vendors' affinity scripts."""

from __future__ import annotations

from bypass.errors import ConfigError, UnavailableError
from bypass.nic.settings import spans
from bypass.nic.snapshot import Snapshot
from bypass.nic.sysfiles import parse_list

WORDS = ("keep", "local", "remote", "one")


def choose_cpus(wish: str, seen: Snapshot) -> tuple[int, ...]:
    """CPUs in turn for our queues; none: leave them as they are.

    local: of the NIC's own NUMA node. remote: of the others. one: the first local one, for all. Else a list
    such as "2,4-6". Isolated CPUs are taken only when they are named.
    """
    if wish == "keep":
        return ()
    if wish not in WORDS:
        return _named(wish, seen)
    local = _local(seen)
    if wish == "one":
        return local[:1]
    if wish == "local":
        return local
    remote = tuple(cpu for cpu in _usable(seen) if cpu not in _node_cpus(seen))
    if not remote:
        raise UnavailableError(
            f"{seen.link.name}: no CPU is remote from it",
            why="this machine has one NUMA node, or the device belongs to none",
            remedy="Use --irq-affinity local",
        )
    return remote


def _usable(seen: Snapshot) -> tuple[int, ...]:
    isolated = set(seen.machine.isolated_cpus)
    return tuple(cpu for cpu in seen.machine.cpus if cpu not in isolated) or seen.machine.cpus


def _node_cpus(seen: Snapshot) -> tuple[int, ...]:
    """CPUs of the NIC's node; all of them where it belongs to none."""
    return seen.machine.nodes.get(seen.link.numa_node, seen.machine.cpus)


def _local(seen: Snapshot) -> tuple[int, ...]:
    node = set(_node_cpus(seen))
    return tuple(cpu for cpu in _usable(seen) if cpu in node) or _usable(seen)


def _named(wish: str, seen: Snapshot) -> tuple[int, ...]:
    try:
        cpus = parse_list(wish)
    except ValueError:
        cpus = ()
    if not cpus:
        raise ConfigError(
            f"--irq-affinity {wish}", why=f"it must be {', '.join(WORDS)}, or a list of CPUs such as 2,4-6"
        )
    absent = [cpu for cpu in cpus if cpu not in seen.machine.cpus]
    if absent:
        raise ConfigError(
            f"--irq-affinity {wish}",
            why=f"there is no CPU {absent[0]}, or it is off; there are {spans(seen.machine.cpus)}",
        )
    return cpus
