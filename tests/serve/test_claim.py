"""How an address of our own is asked for and announced, on a link that a test plays (RFC 5227)."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from bypass.errors import UnavailableError
from bypass.serve import claim as module
from bypass.serve.claim import DEFAULT_TIMING, Claim, Timing
from bypass.serve.interface import Interface
from bypass.serve.linkframes import announcement

MAC = bytes.fromhex("020000000001")
OTHER_MAC = bytes.fromhex("020000000002")
ADDRESSES = (ip_address("192.0.2.7"), ip_address("2001:db8::7"))
INTERFACE = Interface("test0", 1, True, True, True, MAC, 1500, ())


class Wire:
    """Takes the frames that are sent."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> int:
        self.frames.append(frame)
        return len(frame)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    taken = Wire()

    @contextmanager
    def packet_socket(interface: Interface, ethertype: int) -> Iterator[Wire]:
        assert interface is INTERFACE and ethertype == 0, "nothing is received by who announces"
        yield taken

    monkeypatch.setattr(module, "packet_socket", packet_socket)
    return taken


@pytest.mark.rfc("5227", "2.3", "MUST", "ANNOUNCE_NUM announcements, ANNOUNCE_INTERVAL apart")
def test_each_address_is_announced_twice(wire: Wire) -> None:
    once = [announcement(address, MAC) for address in ADDRESSES]
    claimed = Claim(INTERFACE, ADDRESSES, Timing(announce_again_s=0.02))
    claimed.announce()
    assert wire.frames == once
    assert claimed._again is not None
    claimed._again.join(10)
    assert wire.frames == once * 2 and DEFAULT_TIMING.announce_again_s == 2
    claimed.close()


def test_after_the_end_nothing_is_announced(wire: Wire) -> None:
    claimed = Claim(INTERFACE, ADDRESSES, Timing(announce_again_s=3600))
    claimed.announce()
    claimed.close()
    assert len(wire.frames) == len(ADDRESSES)


class HeardOn:
    """A socket with a descriptor of a high number, to which the answer of another station has come."""

    def __init__(self, frame: bytes, lowest: int) -> None:
        read, self._write = os.pipe()
        self._fd = fcntl.fcntl(read, fcntl.F_DUPFD_CLOEXEC, lowest)
        os.close(read)
        os.write(self._write, frame)

    def fileno(self) -> int:
        return self._fd

    def recvfrom(self, octets: int) -> tuple[bytes, tuple[str, int, int, int, bytes]]:
        return os.read(self._fd, octets), ("test0", 0x0806, 0, 1, b"")

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._write)


def test_an_answer_is_heard_however_many_files_are_open() -> None:
    """The large files of a site are open before the link is asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    try:
        heard = HeardOn(announcement(ADDRESSES[0], OTHER_MAC), 2000)
        with pytest.raises(UnavailableError, match="belongs to another station"):
            module._listen(INTERFACE, ADDRESSES, [heard], 10.0)  # type: ignore[list-item]
        heard.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
