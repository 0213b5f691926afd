"""Initial sequence numbers and timestamp origins: keyed, moving with the clock (RFC 6528, RFC 7323 7.1)."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from tests.engine.conftest import MakeHost
from tests.engine.frames import CLIENT, PORT
from tests.engine.host import MS, SECRET, Host
from tests.engine.peer import Peer
from tests.engine.siphash import siphash24


def isn(host: Host, **options: object) -> int:
    peer = Peer(host, **options)  # type: ignore[arg-type]
    peer.syn()
    peer.send("R")
    host.settle()
    assert peer.irs is not None
    return peer.irs


@pytest.mark.rfc("6528", "3", "MAY", "F is a keyed cryptographic hash")
def test_the_hash_is_siphash_as_published() -> None:
    """Vectors of the authors' own: key 00 to 0f, message 00 01 02 ..."""
    key = bytes(range(16))
    assert siphash24(key, bytes(range(8))) == 0x93F5F5799A932462
    assert siphash24(key, bytes(range(15))) == 0xA129CA6149BE45E5


@pytest.mark.rfc("9293", "SHLD-1")
@pytest.mark.rfc("9293", "MUST-8")
@pytest.mark.rfc("6528", "3", "SHOULD", "ISN = M + F(addresses, ports, secret)")
@pytest.mark.parametrize("version", [4, 6])
def test_numbers_are_the_clock_plus_a_keyed_hash_of_the_connection(host: Host, version: int) -> None:
    peer = Peer(host, version=version, port=4321, timestamps=True)
    stamp = peer.syn().options.timestamps
    address = CLIENT[version] if version == 6 else b"\0" * 10 + b"\xff\xff" + CLIENT[4]
    local = [4, 6].index(version)
    secret = siphash24(SECRET[16:], address + struct.pack("<HBBI", 4321, local, 0, PORT))
    assert peer.irs == (host.now // 4000 + secret) % (1 << 32)
    assert stamp is not None and stamp[0] == (host.now // MS + (secret >> 32)) % (1 << 32)


@pytest.mark.rfc("9293", "MUST-9")
def test_every_tuple_has_its_own_number(host: Host) -> None:
    addresses = [bytes([10, 0, 0, i]) for i in range(2, 6)]
    numbers = {isn(host, port=port, address=address) for port in range(1, 50) for address in addresses}
    assert len(numbers) == 49 * 4


@pytest.mark.rfc("9293", "MUST-8")
@pytest.mark.rfc("6528", "3", "SHOULD", "M ticks every four microseconds")
def test_numbers_of_one_tuple_grow_with_the_clock(host: Host) -> None:
    numbers = []
    for _ in range(50):
        numbers.append(isn(host))
        host.now += MS
    steps = {(later - before) % (1 << 32) for before, later in pairwise(numbers)}
    assert steps == {250}


@pytest.mark.rfc("9293", "MUST-9")
@pytest.mark.rfc("6528", "3", "MUST", "F cannot be computed from outside")
def test_another_secret_gives_other_numbers(make_host: MakeHost) -> None:
    numbers = {isn(make_host(secret=SECRET[:i] + b"\xaa" + SECRET[i + 1 :])) for i in range(16, 32)}
    assert len(numbers) == 16
    assert isn(make_host()) not in numbers
