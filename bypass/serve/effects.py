"""What attaching an XDP program does to a NIC besides attaching, and how it is put right.

Drivers reset the link (igb), change the number of queues and forget how flows are spread (virtio_net).
Owns: looking before, waiting and repairing after. Until the program has targets it passes every packet,
so nothing is lost to the kernel meanwhile but what a reset of the link loses.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from pyroute2 import IPRoute

from bypass.nic.ethtool import Ethtool
from bypass.nic.quirks import quirks_of
from bypass.serve.plan import Plan, every_queue
from bypass.serve.privileges import allow_locked_memory, effective_capabilities
from bypass.xdp.features import read_device

LINK_TIMEOUT_S = 10.0
NO_LINK_TIMEOUT_S = 3.0
_LINK_LOOK_S = 0.02


class AttachEffects:
    """Made before attaching; then `settle`, and `undo` after detaching. Harmless where nothing changed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        with IPRoute() as route:
            self._had_carrier = _has_carrier(route, plan.interface.index)
        self._device = Ethtool(plan.interface.name)
        self._table = self._device.indirection() if quirks_of(plan.driver).rss_lost_at_attach else None

    def settle(self, notice: Callable[[str], None]) -> Plan:
        """Waits for the link, takes up new queues, spreads flows as before. Returns the plan to go on with.

        notice: is told what could not be put right.
        """
        name = self._plan.interface.name
        # Without a link before, it may be on its way up, as after the last server's end.
        timeout_s = LINK_TIMEOUT_S if self._had_carrier else NO_LINK_TIMEOUT_S
        if not self._wait_for_carrier(timeout_s):
            notice(f"{name}: no link {timeout_s:.0f} s after the XDP program was attached")
        plan = self._with_present_queues()
        if self._table is not None and not self._restore_table():
            notice(
                f"{name}: its flow table could not be restored after attaching;"
                f" 'ethtool -X {name} equal {len(plan.queues)}' does it by hand"
            )
        return plan

    def undo(self) -> None:
        if self._table is not None:
            self._restore_table()

    def _wait_for_carrier(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with IPRoute() as route:
            while not _has_carrier(route, self._plan.interface.index):
                if time.monotonic() > deadline:
                    return False
                time.sleep(_LINK_LOOK_S)
        return True

    def _with_present_queues(self) -> Plan:
        """The plan, over every queue there is now where no queue was named."""
        if not self._plan.takes_every_queue:
            return self._plan
        device = read_device(self._plan.interface.name)
        queues = every_queue(device.rx_queues, device.tx_queues)
        if queues == self._plan.queues:
            return self._plan
        plan = dataclasses.replace(self._plan, queues=queues)
        allow_locked_memory(plan.locked_bytes, effective_capabilities())
        return plan

    def _restore_table(self) -> bool:
        """Writes it even where it reads the same: virtio_net's device may hold another."""
        assert self._table is not None
        try:
            self._device.set_indirection(self._table)
        except OSError:
            return False
        return self._device.indirection() == self._table


def _has_carrier(route: IPRoute, ifindex: int) -> bool:
    """The driver's own word: the operational state that flags show follows later."""
    return any(link.get("carrier") for link in route.get_links(ifindex))
