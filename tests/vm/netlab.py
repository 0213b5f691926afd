"""A guest whose network cards end in a network namespace of this machine: a client on one wire with it.

Owns: namespace, taps, addresses. Names are unique to this process; leaving the context removes everything,
and what a killed run left behind goes when the next one starts.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.vm.initramfs import base_archive, project_archive
from tests.vm.machine import Done, Machine

PREFIX = "bypass-vm"
STARTER_S = 120.0
GUEST_SCRIPTS = Path(__file__).with_name("guest")
_COUNT = itertools.count()
_STALE = re.compile(rf"^{PREFIX}-(\d+)-\d+$")


@dataclass(frozen=True, slots=True)
class Card:
    """One network card of the guest. `options` are those of QEMU's device; pairs: of queues of the tap."""

    device: str
    options: str = ""
    pairs: int = 1


IGB = Card("igb")
VIRTIO = Card("virtio-net-pci", "disable-legacy=on,rx_queue_size=1024,iommu_platform=on")
VIRTIO_SLOW = Card(VIRTIO.device, f"{VIRTIO.options},tx=timer,x-txtimer={4_000_000}")
"""Sends what it is given 4 ms (in ns) later."""
VIRTIO_MULTI = Card(
    "virtio-net-pci",
    "disable-legacy=on,rx_queue_size=1024,iommu_platform=on,mq=on,vectors=10,rss=on",
    pairs=4,
)


@dataclass(frozen=True, slots=True)
class Wire:
    """A card's name in the guest, its tap here, and the addresses of both ends."""

    ifname: str
    tap: str
    guest4: str
    guest6: str
    host4: str
    host6: str

    def url(self, version: int = 4, path: str = "/") -> str:
        return f"http://{self.guest4 if version == 4 else f'[{self.guest6}]'}{path}"


class GuestLab:
    """`files`: guest path -> file of this machine that is put there."""

    def __init__(self, cards: Sequence[Card], files: dict[str, Path] | None = None) -> None:
        self._cards = cards
        self._files = files or {}
        self._closing = contextlib.ExitStack()
        self.namespace = f"{PREFIX}-{os.getpid()}-{next(_COUNT)}"
        self.wires = [_wire(number) for number in range(len(cards))]

    @property
    def wire(self) -> Wire:
        return self.wires[0]

    def __enter__(self) -> Self:
        remove_stale()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
            self._make_network(stack)
            scripts = {f"srv/vm/{path.name}": path for path in GUEST_SCRIPTS.glob("*.py")}
            project = project_archive(folder / "project.cpio", self._files | scripts)
            devices = [word for number, card in enumerate(self._cards) for word in _device(number, card)]
            # The emulator dies with this process, however that ends.
            wrapper = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.namespace]
            self.machine = stack.enter_context(Machine(folder, [base_archive(), project], devices, wrapper))
            for wire in self.wires:
                self.guest(
                    f"/usr/sbin/ip address add {wire.guest4}/24 dev {wire.ifname}",
                    f"/usr/sbin/ip address add {wire.guest6}/64 dev {wire.ifname} nodad",
                    f"/usr/sbin/ip link set {wire.ifname} up",
                )
            self.guest(
                "mkfifo /run/ready",
                "{ python3 /srv/vm/starter.py >/run/starter.log 2>&1; echo ended >/run/ready; } &"
                f" read -r -t {STARTER_S:.0f} said <>/run/ready; [ $said = ready ] || ! cat /run/starter.log",
                timeout_s=2 * STARTER_S,
            )
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def guest(self, *commands: str, timeout_s: float = 30.0, check: bool = True) -> Done:
        """Runs shell commands in the guest, one after the other; each must succeed unless told otherwise."""
        done = Done(0, "")
        for command in commands:
            done = self.machine.run(command, timeout_s)
            assert done.status == 0 or not check, f"{command}: {done.status}: {done.output}"
        return done

    def client(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command of this machine in the client's namespace."""
        options = {"capture_output": True, "text": True, "timeout": 120, "check": False} | options
        return subprocess.run(self.client_command(command), **options)

    def client_command(self, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *command]

    def _make_network(self, stack: contextlib.ExitStack) -> None:
        _run(["ip", "netns", "add", self.namespace])
        stack.callback(_run, ["ip", "netns", "delete", self.namespace])
        for wire, card in zip(self.wires, self._cards, strict=True):
            queues = ["multi_queue"] if card.pairs > 1 else []
            for words in (
                ["tuntap", "add", "dev", wire.tap, "mode", "tap", *queues],
                ["address", "add", f"{wire.host4}/24", "dev", wire.tap],
                ["address", "add", f"{wire.host6}/64", "dev", wire.tap, "nodad"],
                ["link", "set", wire.tap, "up"],
            ):
                _run(["ip", "-n", self.namespace, *words])


def remove_stale() -> None:
    """Removes namespaces whose process is gone; their taps go with them."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        match = _STALE.match(line.split()[0])
        if match and not Path("/proc", match[1]).exists():
            _run(["ip", "netns", "delete", match[0]])


def _wire(number: int) -> Wire:
    v4, v6 = f"10.77.{number}", f"fd77:{number}::"
    return Wire(f"eth{number}", f"tap{number}", f"{v4}.2", f"{v6}2", f"{v4}.1", f"{v6}1")


def _device(number: int, card: Card) -> list[str]:
    tap = f"tap,id=n{number},ifname=tap{number},script=no,downscript=no"
    tap += f",queues={card.pairs}" if card.pairs > 1 else ""
    device = f"{card.device},netdev=n{number},romfile=,mac=52:54:00:12:34:{number + 2:02x}"
    return ["-netdev", tap, "-device", f"{device},{card.options}".rstrip(",")]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":
    remove_stale()
