"""What a person should know before a NIC is changed, and what no setting of the NIC can mend. Pure."""

from __future__ import annotations

from bypass.nic.recipes import Recipe
from bypass.nic.snapshot import Snapshot
from bypass.site.text import format_bytes

QUEUE_LOCKED_BYTES = (4096 + 4096) * 4096
"""Most packet memory that a worker locks for one queue (bypass/serve/plan.py, with 4096-byte frames)."""


def cautions(seen: Snapshot, busy_poll: bool, recipe: Recipe, queues: tuple[int, ...]) -> tuple[str, ...]:
    """One sentence each."""
    found = list(recipe.caution)
    machine, name = seen.machine, seen.link.name
    if machine.irqbalance and any(queue.irqs for queue in seen.queues):
        found.append("irqbalance runs and undoes interrupt affinity: stop it, or ban these interrupts in it")
    needed = len(queues) * QUEUE_LOCKED_BYTES
    if not machine.may_lock and machine.memlock_bytes is not None and machine.memlock_bytes < needed:
        found.append(
            f"a worker locks up to {format_bytes(needed)} for packets and the limit here is"
            f" {format_bytes(machine.memlock_bytes)}: run it as root, or with LimitMEMLOCK=infinity"
        )
    slow = sorted(
        {word for word in machine.governors.values() if word in ("powersave", "ondemand", "conservative")}
    )
    if slow:
        found.append(
            f"the CPU frequency governor is {', '.join(slow)}: 'cpupower frequency-set -g performance' keeps"
            " response times even"
        )
    if busy_poll and not any(queue.napi for queue in seen.queues):
        found.append(
            f"{name}: its driver does not tie queues to NAPI contexts, so busy polling has no effect"
        )
    if seen.xdp.programs:
        who = ", ".join(_program(program.program_id, program.owners) for program in seen.xdp.programs)
        found.append(f"{name}: XDP {who} is attached; a change of channels or rings can make it stumble")
    if not seen.link.up:
        found.append(f"{name} is down: some drivers take settings only when it is up")
    return tuple(found)


def _program(number: int, owners: tuple[str, ...]) -> str:
    return f"program {number}" + (f" of {', '.join(owners)}" if owners else "")
