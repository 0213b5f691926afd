"""The memory of a build beside its image, for the next build: site.img.cache.

Only ever a help: one that is damaged, of another version or of another image is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import brotli
import msgspec
import zstandard

from bypass import __version__
from bypass._engine import image_checksum
from bypass.site.files.recall import Memory
from bypass.site.layout import MAGIC, VERSION
from bypass.site.sections import HEADER, header_from

SUFFIX = ".cache"
MOST_BYTES = 1 << 30
_MAGIC = b"BYPASSCA"
_FORMAT = 2


class _Content(msgspec.Struct):
    """made_by: versions of all that has a say in what an image holds. checksum: of the image."""

    made_by: str
    checksum: int
    memory: Memory


def made_by() -> str:
    """Other versions may pack the same content otherwise."""
    packers = zlib.ZLIB_RUNTIME_VERSION, brotli.__version__, zstandard.ZSTD_VERSION
    return " ".join(map(str, (_FORMAT, __version__, VERSION, *packers)))


def save_memory(path: Path, memory: Memory, image: memoryview) -> None:
    """Writes it by way of a temporary name. Raises OSError."""
    _, *fields = HEADER.unpack_from(image)
    payload = msgspec.msgpack.encode(_Content(made_by(), header_from(fields).checksum, memory))
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def load_memory(path: Path, image: Path) -> tuple[Memory, memoryview] | None:
    """The memory and the image that it speaks of; None where there is none that can be trusted."""
    content = _read(path)
    if content is None or content.made_by != made_by():
        return None
    try:
        with image.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    if not _is_that_image(mapped, content.checksum):
        return None
    places = content.memory.bodies.values()
    inside = all(offset >= 0 and size >= 0 and offset + size <= len(mapped) for offset, size in places)
    return (content.memory, mapped) if inside else None


def _read(path: Path) -> _Content | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        raw = path.read_bytes()
        start = len(_MAGIC) + hashlib.sha256().digest_size
        if raw[: len(_MAGIC)] != _MAGIC or hashlib.sha256(raw[start:]).digest() != raw[len(_MAGIC) : start]:
            return None
        return msgspec.msgpack.decode(raw[start:], type=_Content)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_that_image(image: memoryview, checksum: int) -> bool:
    """Whether it has this checksum, by its own word and in truth."""
    if len(image) < HEADER.size or bytes(image[: len(MAGIC)]) != MAGIC:
        return False
    try:
        _, *fields = HEADER.unpack_from(image)
        header = header_from(fields)
        return (
            header.checksum == checksum
            and image_checksum(replace(header, checksum=0).pack(), image[HEADER.size :]) == checksum
        )
    except (struct.error, ValueError):
        return False
