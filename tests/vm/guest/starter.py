"""Runs in the guest: starts `bypass` commands as processes of their own, without the seconds that importing
Python modules takes when emulated.

Reads one JSON object a line from a FIFO: {"name": ..., "arguments": [...]}, the arguments being those of
`bypass`, or "chunks" and those of chunks.py. Each becomes a forked process: its words go to /run/NAME.log,
its number to /run/NAME.pid, its exit code to /run/NAME.status, and once it serves there is /run/NAME.serving.
Each of the last three comes with a line in the FIFO /run/NAME.events: nobody has to look again and again.

The process that `bypass serve` has images made by is forked, too, where people's is a new interpreter (which
tests/veth and tests/reload start).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import chunks  # beside this file

from bypass.cli.main import run
from bypass.reload import child, maker

PRELOADED = ("cli.serve", "cli.reloading", "cli.progress", "cli.nic_change", "cli.nic_show", "cli.nic_plan")
PRELOADED += ("serve.effects", "serve.lifecycle", "serve.preflight", "serve.server", "serve.parts")
PRELOADED += ("serve.sockets", "serve.tune", "xdp.program", "reload.watch", "reload.reloader")
FIFO = "/run/starter"
SERVING = b"of packets"


@dataclass
class Started:
    """A process: the pipe with its words, where they are kept, and the FIFO in which its events are told."""

    name: str
    pid: int
    words: int
    log: int
    events: int
    last: bytes = b""

    def put(self, kind: str, text: str = "") -> None:
        """A file, whole or not at all, and its event."""
        with open(f"/run/.{self.name}", "w") as out:
            out.write(text)
        os.rename(f"/run/.{self.name}", f"/run/{self.name}.{kind}")
        os.write(self.events, f"{kind}\n".encode())

    def listen(self) -> bool:
        """Takes what there is of its words. False: there will be no more."""
        try:
            while more := os.read(self.words, 65536):
                os.write(self.log, more)
                if SERVING in self.last + more:
                    self.put("serving")
                self.last = more[-len(SERVING) + 1 :]
        except BlockingIOError:
            return True
        return False

    def end(self, status: int) -> None:
        self.listen()
        self.put("status", str(os.waitstatus_to_exitcode(status)))
        for descriptor in (self.words, self.log):
            os.close(descriptor)


class ForkedMaker:
    """What maker.py needs of subprocess.Popen, to run child.py."""

    def __init__(self, command: Sequence[str], *, pass_fds: Sequence[int], **_: object) -> None:
        assert command[1:3] == ["-m", child.__name__]
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _make_images(pass_fds[0])

    def poll(self) -> int | None:
        return self.wait(options=os.WNOHANG)

    def wait(self, _: float = 0.0, *, options: int = 0) -> int | None:
        """As long as it takes: it ends when its socket does."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    terminate = kill


def _make_images(channel: int) -> None:
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(channel, 3)
        os.closerange(4, 1024)  # the server's end of the socket, too, or it would never see that closed
        child.main(3)
    finally:
        os._exit(0)


def _become(arguments: list[str], words: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(words, 1)
    os.dup2(words, 2)
    status = 70
    try:
        status = chunks.main(*arguments[1:]) if arguments[0] == "chunks" else run(arguments)
        sys.stdout.flush()
    finally:
        os._exit(status)


def _start(name: str, arguments: list[str]) -> Started:
    log = os.open(f"/run/{name}.log", os.O_WRONLY | os.O_CREAT)
    words, spoken = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(arguments, spoken)
    os.close(spoken)
    os.set_blocking(words, False)
    made = Started(name, pid, words, log, os.open(f"/run/{name}.events", os.O_RDWR))
    made.put("pid", str(pid))
    return made


class Starter:
    """Waits for requests, words and ends, whichever comes first."""

    def __init__(self) -> None:
        self._running: dict[int, Started] = {}
        self._poll = select.poll()
        self._woken, waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.mkfifo(FIFO)
        self._requests = os.open(FIFO, os.O_RDWR)
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(self._requests, select.POLLIN)

    def turn(self) -> None:
        for descriptor, _ in self._poll.poll():
            if descriptor == self._requests:
                self._start_all(os.read(descriptor, 65536))
            elif descriptor == self._woken:
                os.read(descriptor, 4096)
            elif not next(one for one in self._running.values() if one.words == descriptor).listen():
                self._poll.unregister(descriptor)
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            ended = self._running.pop(pid)
            with contextlib.suppress(KeyError):
                self._poll.unregister(ended.words)
            ended.end(status)

    def _start_all(self, lines: bytes) -> None:
        """Whole lines: they are shorter than what a pipe takes at once."""
        for line in lines.splitlines():
            request = json.loads(line)
            started = _start(request["name"], request["arguments"])
            self._running[started.pid] = started
            self._poll.register(started.words, select.POLLIN)


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(f"bypass.{module}")
    parts = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
    maker.subprocess = SimpleNamespace(Popen=ForkedMaker, **parts)  # type: ignore[assignment]
    gc.freeze()  # a collection in a forked process would copy every page that was filled before
    starter = Starter()
    with open("/run/ready", "w") as ready:
        ready.write("ready\n")
    while True:
        starter.turn()


if __name__ == "__main__":
    main()
