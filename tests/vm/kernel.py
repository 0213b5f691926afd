"""The guest's kernel as the emulator starts it soonest: unpacked here, where that takes a moment, and entered
directly (PVH), without firmware and a boot loader's part of the way."""

from __future__ import annotations

import fcntl
import lzma
import os
import struct
import zlib
from pathlib import Path

import zstandard

_SETUP_SECTORS, _PAYLOAD = 0x1F1, 0x248
"""Where the header has setup_sects, payload_offset and payload_length (Documentation/arch/x86/boot.rst)."""


def unpacked_kernel(folder: Path) -> Path:
    """`folder`/vmlinux, made from `folder`/vmlinuz when it is older or missing."""
    packed, made = folder / "vmlinuz", folder / "vmlinux"
    with (folder / "unpack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        if not made.exists() or made.stat().st_mtime < packed.stat().st_mtime:
            draft = made.with_suffix(f".{os.getpid()}")
            draft.write_bytes(_unpacked(_payload(packed.read_bytes())))
            draft.rename(made)
    return made


def _payload(image: bytes) -> bytes:
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (image[_SETUP_SECTORS] + 1) * 512 + offset
    return image[start : start + length]


def _unpacked(payload: bytes) -> bytes:
    """Whatever follows the packed octets, such as their unpacked length, is left alone."""
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(payload)
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(payload)
    raise ValueError(f"a kernel packed in an unknown way: {payload[:6].hex()}")
