"""Looks at everything that can be known before anything is changed, cheapest first."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from bypass.config import ServeOptions
from bypass.errors import SiteError, UnavailableError
from bypass.serve.interface import read_interface, require_usable
from bypass.serve.plan import Plan, every_queue, make_plan
from bypass.serve.privileges import allow_locked_memory, effective_capabilities, require_capabilities
from bypass.text import plural
from bypass.xdp.features import read_device


def prepare(options: ServeOptions, command: str) -> Plan:
    """The plan for these options on this machine. BypassError when it cannot be carried out.

    `options` name a site and an interface. `command` is what messages tell people to run as root.
    """
    require_site(Path(options.site))
    interface = read_interface(options.interface)
    require_usable(interface)
    device = read_device(interface.name)
    require_cpu(options.cpu, os.sched_getaffinity(0))
    plan = make_plan(options, interface, device.driver, device.rx_queues, device.tx_queues, device.zero_copy)
    have = effective_capabilities()
    require_capabilities(have, command)
    allow_locked_memory(plan.locked_bytes, have)
    return plan


def require_site(path: Path) -> None:
    """SiteError unless there is something at `path`; what it holds is found out when it is opened."""
    if not os.path.exists(path):
        raise SiteError(
            f"{path}: no such folder or image",
            remedy="Name a folder of files, or an image made by 'bypass build'.",
        )


def require_cpu(cpu: int, allowed: Collection[int]) -> None:
    """UnavailableError unless the worker may run on `cpu`; -1 asks for none."""
    if cpu >= 0 and cpu not in allowed:
        raise UnavailableError(
            f"CPU {cpu}: this process may not run on it",
            why=f"it may run on {', '.join(map(str, sorted(allowed)))}",
        )


def warnings(plan: Plan) -> list[str]:
    """What will work less well than hoped, one sentence each."""
    found = []
    if plan.foreign_addresses:
        names = ", ".join(map(str, plan.foreign_addresses))
        found.append(
            f"{names} belongs to another interface: others reach it over {plan.interface.name} only where"
            " they have a route, or the kernel answers ARP for it there"
        )
    if plan.own_addresses and len(plan.queues) < plan.rx_queues:
        names = ", ".join(map(str, plan.own_addresses))
        found.append(
            f"{names} is answered for on {plural(len(plan.queues), 'queue')} of {plan.rx_queues}: ARP and"
            " neighbour discovery that arrive on another one are lost"
        )
    if left := sorted(set(every_queue(plan.rx_queues, plan.rx_queues)) - set(plan.queues)):
        found.append(
            f"{plan.interface.name}: nothing serves {'queue' if len(left) == 1 else 'queues'}"
            f" {', '.join(map(str, left))}: connections that arrive there go to the kernel"
        )
    if not plan.interface.carrier:
        found.append(f"{plan.interface.name} has no link: is the cable in?")
    return found
