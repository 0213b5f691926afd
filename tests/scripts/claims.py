"""Our start on a link where it asks for an address of its own (bypass.serve.claim), in real time over the
laboratory's pair: scripts play the other stations of the link."""

from __future__ import annotations

import threading
from ipaddress import ip_address
from typing import Self

from bypass.errors import UnavailableError
from bypass.serve.claim import claim
from bypass.serve.interface import Address, Interface
from tests.engine.frames import Link
from tests.scripts.linux import LinuxLab, LinuxWire


class ClaimWire(LinuxWire):
    """`them` is the address that is asked for, `us` the next one. state: asking, claimed or refused."""

    side = "ours"

    def __init__(self, lab: LinuxLab, version: int = 4) -> None:
        super().__init__(lab, version)
        wanted = self.link.source
        mine = (int.from_bytes(wanted, "big") + 1).to_bytes(len(wanted), "big")
        self.link = Link(self.link.source_mac, self.link.destination_mac, mine, wanted)
        self._state = "asking"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._claim, args=[ip_address(wanted)], daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def state(self, port: int) -> tuple[str, str] | None:
        return self._state, ""

    def _claim(self, address: Address) -> None:
        end = self.lab.pair.server
        interface = Interface(end.ifname, end.ifindex, True, True, True, self.link.destination_mac, 1500, ())
        try:
            with self.lab.pair.inside_server(), claim(interface, [address]) as claimed:
                self._state = "claimed"
                claimed.announce()
                self._end.wait()
        except UnavailableError:
            self._state = "refused"
