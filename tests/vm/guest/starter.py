"""Runs in the guest: starts `bypass` commands as processes of their own, without the seconds that importing
Python modules takes when emulated.

Reads one JSON object a line from a FIFO: {"name": ..., "arguments": [...]}, the arguments being those of
`bypass`, or "chunks" and those of chunks.py. Each becomes a forked process
whose words go to /run/NAME.log, its number to /run/NAME.pid, its exit code to /run/NAME.status.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys

import chunks  # beside this file

from bypass.cli.main import run

PRELOADED = ("bypass.cli.serve", "bypass.serve.effects", "bypass.serve.lifecycle", "bypass.serve.preflight")
PRELOADED += ("bypass.serve.sockets", "bypass.xdp.program", "bypass.cli.nic_change", "bypass.cli.nic_show")
FIFO = "/run/starter"
_names: dict[int, str] = {}


def _put(name: str, text: str) -> None:
    """Whole or not at all: the reader looks whether it is there."""
    with open(f"/run/.{name}", "w") as out:
        out.write(text)
    os.rename(f"/run/.{name}", f"/run/{name}")


def _reap(*_: object) -> None:
    while _names:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _put(f"{_names.pop(pid)}.status", str(os.waitstatus_to_exitcode(status)))


def _become(name: str, arguments: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    log = os.open(f"/run/{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 70
    try:
        status = chunks.main(*arguments[1:]) if arguments[0] == "chunks" else run(arguments)
        sys.stdout.flush()
    finally:
        os._exit(status)


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, _reap)
    os.mkfifo(FIFO)
    with os.fdopen(os.open(FIFO, os.O_RDWR), "r") as requests:
        print("starter is ready", flush=True)
        for line in requests:
            request = json.loads(line)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            pid = os.fork()
            if pid == 0:
                _become(request["name"], request["arguments"])
            _names[pid] = request["name"]
            _put(f"{request['name']}.pid", str(pid))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


if __name__ == "__main__":
    main()
