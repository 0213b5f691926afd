"""SipHash against its authors' vectors and against a second implementation."""

from __future__ import annotations

import random

import pytest

from bypass._probe import siphash

KEY = bytes(range(16))
WORD = (1 << 64) - 1

# vectors_sip64 of the reference implementation, SipHash-2-4: message bytes(range(n)), whole words only
VECTORS_2_4 = {
    0: "310e0edd47db6f72",
    8: "6224939a79f5f593",
    16: "db9bc2577fcc2a3f",
    24: "94af49f6c650adb8",
    32: "ce7cf2722f512771",
    40: "d0a704536ba93e0e",
    48: "51a9cb9ecba312e6",
    56: "bd838d3aafbf8db7",
}


def rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & WORD


def slow(key: bytes, message: bytes, c_rounds: int, d_rounds: int) -> int:
    """SipHash-c-d as the paper writes it down."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for place in range(0, len(padded) + 1, 8):
        last = place == len(padded)
        word = 0 if last else int.from_bytes(padded[place : place + 8], "little")
        v3 ^= word
        v2 ^= 0xFF if last else 0
        for _ in range(d_rounds if last else c_rounds):
            v0, v2 = (v0 + v1) & WORD, (v2 + v3) & WORD
            v1, v3 = rotated(v1, 13) ^ v0, rotated(v3, 16) ^ v2
            v0 = rotated(v0, 32)
            v2, v0 = (v2 + v1) & WORD, (v0 + v3) & WORD
            v1, v3 = rotated(v1, 17) ^ v2, rotated(v3, 21) ^ v0
            v2 = rotated(v2, 32)
        v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3


@pytest.mark.parametrize(("octets", "digest"), VECTORS_2_4.items())
def test_the_authors_vectors(octets: int, digest: str) -> None:
    assert siphash(KEY, bytes(range(octets)), 2, 4).to_bytes(8, "little").hex() == digest
    assert slow(KEY, bytes(range(octets)), 2, 4).to_bytes(8, "little").hex() == digest


@pytest.mark.parametrize("rounds", [(1, 3), (2, 4)])
def test_random_keys_and_messages(rounds: tuple[int, int]) -> None:
    rng = random.Random(7)
    for _ in range(300):
        key, message = rng.randbytes(16), rng.randbytes(8 * rng.randrange(9))
        assert siphash(key, message, *rounds) == slow(key, message, *rounds)


def test_every_bit_of_key_and_message_matters() -> None:
    base = siphash(KEY, bytes(24), 1, 3)
    seen = {base}
    for bit in range(24 * 8):
        seen.add(siphash(KEY, (1 << bit).to_bytes(24, "little"), 1, 3))
    for bit in range(128):
        changed = int.from_bytes(KEY, "little") ^ 1 << bit
        seen.add(siphash(changed.to_bytes(16, "little"), bytes(24), 1, 3))
    assert len(seen) == 1 + 24 * 8 + 128
