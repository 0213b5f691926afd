"""Undoes a change that nobody confirms: a process of its own, so that it outlives the tool and the terminal.

`python -m bypass.nic.watchdog FOLDER IF` waits for the time in the journal. When that is taken out
(confirmed) or the journal is gone (restored), it ends. Where the watchdog itself is killed, the next
`bypass nic apply`, `confirm` or `bypass serve` finds the time past and restores first (`settle_overdue`).
"""

from __future__ import annotations

import os
import sys
import syslog
import time
from collections.abc import Callable
from pathlib import Path

from bypass.errors import BypassError
from bypass.nic.journal import Store, now_s
from bypass.nic.kernel import KernelNic, Nic
from bypass.nic.tuner import Tuner

_LOOK_S = 0.25
_AGAIN_S, _ATTEMPTS = 2.0, 30
"""A NIC that does not answer or refuses may be in the middle of a reset."""


def start(store: Store, ifname: str) -> int:
    """Starts it in a session of its own, without a terminal. Returns its process id."""
    command = [sys.executable, "-m", "bypass.nic.watchdog", str(store.folder.resolve()), ifname]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    return os.posix_spawn(sys.executable, command, environment, file_actions=nowhere, setsid=True)


def watch(store: Store, nic: Nic, say: Callable[[str], None], again_s: float = _AGAIN_S) -> None:
    """Returns when there is nothing more to watch. again_s: between two attempts to undo."""
    while True:
        journal = store.load(nic.ifname)
        if journal is None or journal.rollback_at_s is None:
            return
        left_s = journal.rollback_at_s - now_s()
        if left_s <= 0:
            break
        time.sleep(min(left_s, _LOOK_S))
    for _ in range(_ATTEMPTS):
        try:
            with store.lock(nic.ifname, wait=True):
                settle_overdue(store, nic, say)
                journal = store.load(nic.ifname)
                if journal is None or not journal.overdue:
                    return
        except BypassError as error:
            say(str(error))
        time.sleep(again_s)


def settle_overdue(store: Store, nic: Nic, say: Callable[[str], None]) -> bool:
    """Undoes the last apply when the time to confirm is over; whether it did. Callers hold the lock."""
    journal = store.load(nic.ifname)
    if journal is None or not journal.overdue:
        return False
    restored = Tuner(nic, store, say).undo()
    if restored.remaining:
        say(f"{nic.ifname}: the change was not confirmed in time; not all of it could be undone")
    else:
        say(f"{nic.ifname}: the change was not confirmed in time and is undone")
    return True


def main() -> None:
    folder, ifname = sys.argv[1:]
    syslog.openlog("bypass-nic", syslog.LOG_PID)
    try:
        watch(Store(Path(folder)), KernelNic(ifname), lambda text: syslog.syslog(syslog.LOG_WARNING, text))
    except BypassError as error:
        syslog.syslog(syslog.LOG_ERR, str(error))


if __name__ == "__main__":
    main()
