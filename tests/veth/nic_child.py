"""`python -m tests.veth.nic_child HOW NUMBER IF FOLDER SECONDS`: applies a plan while a write goes wrong.

HOW is fail (the write of that NUMBER is refused) or stop (it says "stopped" and waits, to be killed).
SECONDS: undone then unless confirmed; 0: it stays.
"""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path

from bypass.errors import BypassError
from bypass.nic.interrupts import as_interrupts
from bypass.nic.journal import Store, this_owner
from bypass.nic.kernel import KernelNic
from bypass.nic.planner import Wish
from bypass.nic.recipes import recipe_for
from bypass.nic.settings import AnySetting
from bypass.nic.snapshot import Snapshot
from bypass.nic.tuner import Tuner
from bypass.nic.watchdog import start


class FaultyNic(KernelNic):
    """Counts writes from 1 on."""

    def __init__(self, ifname: str, how: str, number: int) -> None:
        super().__init__(ifname)
        self.how, self.number, self.count = how, number, 0

    def write(self, setting: AnySetting, seen: Snapshot) -> None:
        self.count += 1
        if self.count == self.number:
            if self.how == "fail":
                raise OSError(errno.EIO, "made to fail")
            print("stopped", flush=True)
            time.sleep(600)
        super().write(setting, seen)


def watchdog(store: Store, ifname: str) -> None:
    start(store, ifname)


def main() -> None:
    how, number, ifname, folder, seconds = sys.argv[1:]
    nic, store = FaultyNic(ifname, how, int(number)), Store(Path(folder))
    wish, rollback_after_s = Wish(workers=2, busy_poll=True), float(seconds) or None
    with store.lock(ifname), as_interrupts():
        try:
            Tuner(nic, store, print).apply(
                wish,
                recipe_for("veth"),
                this_owner("apply"),
                rollback_after_s=rollback_after_s,
                on_journal=(lambda: watchdog(store, ifname)) if rollback_after_s else None,
            )
        except BypassError as error:
            print(error)
            sys.exit(1)
    print("done")


if __name__ == "__main__":
    main()
