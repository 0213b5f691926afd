"""`bypass serve` in the guest, and what its last words say of frames."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bypass.bench import wrk
from tests.vm.netlab import GuestLab, Wire

START_S = 60.0
STOP_S = 40.0
SITE = "/srv/site.img"
PATIENT = Path(__file__).with_name("patient.py")
_TICKS_A_SECOND = 100  # of /proc/PID/stat, on every x86 kernel
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Account:
    """By queue: frames in, frames out, times without a buffer. And frames that were lost."""

    received: dict[int, int]
    sent: dict[int, int]
    starved: dict[int, int]
    lost: int


class GuestProcess:
    """One that starter.py starts. `said` is all of its words so far."""

    def __init__(self, lab: GuestLab, arguments: list[str]) -> None:
        self._lab = lab
        self._name = f"server-{next(_numbers)}"
        request = json.dumps({"name": self._name, "arguments": arguments})
        lab.guest(f"mkfifo /run/{self._name}.events && echo {shlex.quote(request)} >/run/starter")
        self.pid = int(self._wait_for("pid", START_S))

    @property
    def said(self) -> str:
        return self._lab.guest(f"cat /run/{self._name}.log", check=False).output

    @property
    def status(self) -> int | None:
        """The exit code, or None while it runs."""
        done = self._lab.guest(f"cat /run/{self._name}.status", check=False)
        return int(done.output) if done.status == 0 else None

    def wait_until_serving(self) -> str:
        """What it said up to then. It answers from here on."""
        self._wait_for("serving", START_S)
        return self.said

    def signal(self, name: str) -> None:
        self._lab.guest(f"kill -{name} {self.pid}")

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit code; killed by signal N: -N."""
        return int(self._wait_for("status", timeout_s))

    def _wait_for(self, what: str, timeout_s: float) -> str:
        """What is in the file of that event, as soon as it is there. An end is the end of all waiting."""
        path = f"/run/{self._name}"
        done = self._lab.guest(
            f"while [ ! -e {path}.{what} ] && [ ! -e {path}.status ] && read -r -t {timeout_s:.0f} _;"
            f" do :; done <>{path}.events; cat {path}.{what}",
            timeout_s=4 * timeout_s,
            check=False,
        )
        assert done.status == 0, f"no {what}, ended with {self.status}: {self.said}\n{self._whereabouts()}"
        return done.output

    def _whereabouts(self) -> str:
        """What each thread is at in the kernel, for whoever has to find out why it does not end."""
        threads = f"/proc/$(cat /run/{self._name}.pid)/task"
        command = f"for t in {threads}/*; do grep -H State $t/status; cat $t/stack; done; dmesg | tail -20"
        return self._lab.guest(command, check=False).output


class GuestServer(GuestProcess):
    """`bypass serve`."""

    def __init__(self, lab: GuestLab, *arguments: str, site: str = SITE, wire: Wire | None = None) -> None:
        super().__init__(lab, ["serve", "-v", site, "--interface", (wire or lab.wire).ifname, *arguments])

    def stop(self) -> Account:
        """As an administrator does; the exit code must be 0."""
        self.signal("TERM")
        status = self.wait()
        assert status == 0, f"ended with {status}: {self.said}"
        return account(self.said)

    def cpu_s(self) -> float:
        """Processor time used so far, in user space and in the kernel for it."""
        fields = self._lab.guest(f"cat /proc/{self.pid}/stat").output.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def account(said: str) -> Account:
    """From the words that `bypass serve -v` ends with."""
    queues = re.findall(r"queue (\d+): (\d+) frames in, (\d+) out, (\d+) times without", said)
    lost = re.search(r"(\d+) packet buffers? lost", said)
    assert lost is not None and queues, said
    received, sent, starved = ({int(line[0]): int(line[n]) for line in queues} for n in (1, 2, 3))
    return Account(received, sent, starved, int(lost[1]))


def received_by_driver(lab: GuestLab, wire: Wire | None = None) -> dict[int, int]:
    """Packets received so far by queue, as the driver counts them (virtio_net: those the XDP program saw)."""
    said = lab.guest(f"ethtool -S {(wire or lab.wire).ifname}").output
    counts = re.findall(r"^ *rx(?:_queue_)?(\d+)_(?:xdp_)?packets: (\d+)$", said, re.MULTILINE)
    assert counts, said
    return {int(queue): int(packets) for queue, packets in counts}


@contextmanager
def serving(
    lab: GuestLab, *arguments: str, site: str = SITE, wire: Wire | None = None
) -> Iterator[GuestServer]:
    """A server that answers; killed on the way out if it still runs."""
    server = GuestServer(lab, *arguments, site=site, wire=wire)
    try:
        server.wait_until_serving()
        yield server
    finally:
        if server.status is None:
            server.signal("KILL")
            server.wait()


def bypass(lab: GuestLab, *arguments: str, timeout_s: float = STOP_S) -> tuple[int, str]:
    """Exit code and words of a command that ends by itself."""
    command = GuestProcess(lab, list(arguments))
    status = command.wait(timeout_s)
    return status, command.said


def refusal(lab: GuestLab, *arguments: str, wire: Wire | None = None) -> tuple[int, str]:
    """Exit code and words of a start that must fail."""
    server = GuestServer(lab, *arguments, wire=wire)
    status = server.wait()
    return status, server.said


def load(lab: GuestLab, url: str, *, connections: int = 16, seconds: int = 2) -> wrk.Load:
    """wrk in the client's namespace; only when the server answers at all."""
    assert fetch(lab, url), f"{url} does not answer"
    command = [
        "timeout",
        str(seconds + 30),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        "--latency",
        url,
    ]
    done = lab.client(command)
    assert done.returncode == 0, done.stdout + done.stderr
    return wrk.parse(done.stdout)


@contextmanager
def in_background(lab: GuestLab, wire: Wire, path: str = "/", clients: int = 8) -> Iterator[None]:
    """Clients that do not give up while there is no server."""
    command = [sys.executable, str(PATIENT), wire.url(path=path), str(clients), "120"]
    client = subprocess.Popen(lab.client_command(command), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        client.terminate()
        client.wait()


def fetch(lab: GuestLab, url: str, *options: str) -> bytes:
    """The body, by curl; empty when there is no answer."""
    command = ["curl", "-sS", "-g", "--max-time", "20", *options, url]
    octets: bytes = lab.client(command, text=False).stdout  # type: ignore[assignment]
    return octets
