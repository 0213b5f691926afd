"""`python -m tests.veth.nic_child HOW NUMBER IF FOLDER WORKERS`: applies a plan while a write goes wrong.

HOW is fail (the write of that NUMBER is refused) or stop (it says "stopped" and waits, to be killed).
"""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path

from bypass.errors import BypassError
from bypass.nic.journal import Store, this_owner
from bypass.nic.kernel import KernelNic
from bypass.nic.planner import Wish
from bypass.nic.recipes import recipe_for
from bypass.nic.settings import AnySetting
from bypass.nic.snapshot import Snapshot
from bypass.nic.tuner import Tuner


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


def main() -> None:
    how, number, ifname, folder, workers = sys.argv[1:]
    nic, store = FaultyNic(ifname, how, int(number)), Store(Path(folder))
    wish = Wish(workers=int(workers), busy_poll=True)
    with store.lock(ifname):
        try:
            Tuner(nic, store, print).apply(wish, recipe_for("veth"), this_owner("apply"))
        except BypassError as error:
            print(error)
            sys.exit(1)
    print("done")


if __name__ == "__main__":
    main()
