"""`serve --tune`: the NIC is tuned for the queues that are served, for as long as they are.

Owns: what a server wishes of a NIC, and putting back what a killed server left behind, at the next start.
The number of channels is not changed: a server takes the queues there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bypass.config import ServeOptions
from bypass.errors import BypassError, UnavailableError
from bypass.nic.journal import Journal, Store, this_owner
from bypass.nic.kernel import KernelNic, Nic
from bypass.nic.planner import Wish
from bypass.nic.recipes import recipe_for
from bypass.nic.settings import spans
from bypass.nic.tuner import Tuner
from bypass.nic.watchdog import settle_overdue
from bypass.serve.parts import Notice
from bypass.serve.plan import Plan
from bypass.text import plural


def put_back_leftovers(options: ServeOptions, notice: Notice) -> None:
    """Restores what a killed `serve --tune` changed, or `nic apply` and nobody confirmed in time.

    Before anything else, since queues may differ afterwards. Does nothing where nothing was left.
    """
    store, nic = Store(Path(options.state_dir)), KernelNic(options.interface)
    journal = store.load(nic.ifname)
    if journal is None or not (_is_of_dead_server(journal) or journal.overdue):
        return
    with store.lock(nic.ifname, wait=True):
        if settle_overdue(store, nic, notice):
            return
        journal = store.load(nic.ifname)
        if journal is not None and _is_of_dead_server(journal):
            notice(f"{nic.ifname}: a server that was killed (process {journal.owner.pid}) left it tuned")
            _restore(store, nic, notice)


@contextmanager
def tuned(options: ServeOptions, plan: Plan, notice: Notice) -> Iterator[None]:
    """The NIC is tuned from entry to exit, when options ask for it. BypassError when it cannot be.

    notice: is told what was changed, and what could not be put back.
    """
    if not options.tune:
        yield
        return
    store, nic = Store(Path(options.state_dir)), KernelNic(options.interface)
    with store.lock(nic.ifname):
        ours = _apply(store, nic, wish_of(options, plan), notice)
    try:
        yield
    finally:
        if ours:
            with store.lock(nic.ifname, wait=True):
                _restore(store, nic, notice)


def wish_of(options: ServeOptions, plan: Plan, cpus: tuple[int, ...] | None = None) -> Wish:
    """What suits this server. cpus: that this process may run on; None asks the kernel.

    A worker that polls the driver shares its CPU with the interrupts, which are off then; any other one
    has them beside itself.
    """
    allowed = tuple(sorted(os.sched_getaffinity(0))) if cpus is None else cpus
    where = "local"
    if options.cpu >= 0:
        others = tuple(cpu for cpu in allowed if cpu != options.cpu)
        where = str(options.cpu) if options.busy_poll or not others else spans(others)
    return Wish(
        queues=() if plan.takes_every_queue else plan.queues,
        port=options.port,
        irq_affinity=where,
        busy_poll=options.busy_poll,
    )


def _apply(store: Store, nic: Nic, wish: Wish, notice: Notice) -> bool:
    """Whether the change is ours to put back."""
    journal = store.load(nic.ifname)
    seen = nic.snapshot()
    if journal is not None and journal.of_this_boot and journal.ifindex == seen.link.index:
        if journal.owner.kind == "serve":
            raise UnavailableError(
                f"{nic.ifname}: another server (process {journal.owner.pid}) has tuned it",
                remedy="Leave out --tune",
            )
        whole = "" if journal.phase == "applied" else f"; it was cut short: bypass nic restore {nic.ifname}"
        notice(f"{nic.ifname}: tuned by 'bypass nic apply' already, and left as it is{whole}")
        return False
    if seen.link.serves:
        raise BypassError(
            f"{nic.ifname} carries {' and '.join(seen.link.serves)}: not tuned",
            why="a step can reset the link or leave it without packets",
            remedy=f"Leave out --tune, or insist first: bypass nic apply {nic.ifname} --force",
        )
    applied = Tuner(nic, store, notice).apply(wish, recipe_for(seen.link.driver), this_owner("serve"))
    for caution in applied.plan.cautions:
        notice(caution)
    if applied.steps:
        changed = ", ".join(f"{step.after.key} {step.after.value}" for step in applied.steps)
        notice(f"{nic.ifname}: tuned until the end: {changed}")
    return bool(applied.steps)


def _restore(store: Store, nic: Nic, notice: Notice) -> None:
    restored = Tuner(nic, store, notice).restore()
    for change in restored.remaining:
        notice(f"{nic.ifname}: {change.after.key} could not be put back to {change.after.value}")
    if restored.changed and not restored.remaining:
        notice(f"{nic.ifname}: {plural(len(restored.changed), 'setting')} put back, as it was before")


def _is_of_dead_server(journal: Journal) -> bool:
    return journal.owner.kind == "serve" and not journal.owner.alive
