"""Compressed forms of one body, and the check of those that somebody else made. Pure: octets in, octets out.

The same octets and settings give the same result with the same libraries: no time and no name goes in. zlib,
brotli and zstd release the interpreter while they work, so threads do.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache

import brotli
import zstandard

from bypass.site.resource import Coding
from bypass.site.rules.settings import Compression

SUFFIXES: dict[bytes, Coding] = {b".br": "br", b".zst": "zstd", b".gz": "gzip"}
"""File name suffix of a form that lies beside the plain file -> its coding."""
CODINGS: tuple[Coding, ...] = ("br", "zstd", "gzip")

_MEDIUM_BYTES = 1 << 20
_LARGE_BYTES = 16 << 20
_LEVELS: dict[str, tuple[int, int]] = {"br": (9, 5), "zstd": (15, 9), "gzip": (6, 6)}
_WINDOW_LOG = 23  # RFC 9659: a browser need not accept more than 8 MiB
_CHUNK = 1 << 20


def level(coding: str, size: int, settings: Compression) -> int:
    """The level for a body of `size` octets: the setting up to 1 MiB, less above 1 and 16 MiB."""
    wanted = {"br": settings.brotli_level, "zstd": settings.zstd_level, "gzip": settings.gzip_level}[coding]
    if size <= _MEDIUM_BYTES:
        return wanted
    return min(wanted, _LEVELS[coding][size > _LARGE_BYTES])


def compress(coding: str, content: bytes, settings: Compression) -> bytes | None:
    """`content` under `coding`, None when too little is saved."""
    done = _COMPRESS[coding](content, level(coding, len(content), settings))
    return (
        done if len(done) <= len(content) * (1 - settings.minimum_gain) and len(done) < len(content) else None
    )


def is_worth_trying(media_type: str, size: int, settings: Compression) -> bool:
    return settings.minimum_bytes <= size <= settings.largest_bytes and is_compressible(media_type, settings)


def is_compressible(media_type: str, settings: Compression) -> bool:
    return _matches(media_type.partition(";")[0].strip().lower(), settings.types)


@lru_cache(maxsize=4096)
def _matches(media_type: str, types: tuple[str, ...]) -> bool:
    return any(fnmatchcase(media_type, pattern) for pattern in types)


def decoded_digest(coding: str, chunks: Iterator[bytes], most_bytes: int) -> tuple[bytes, int]:
    """SHA-256 and size of what compressed octets stand for. ValueError for octets that are not of that
    coding, end early, have something behind their end, or stand for more than `most_bytes`."""
    digest, size = hashlib.sha256(), 0
    for piece in _DECODE[coding](chunks):
        size += len(piece)
        if size > most_bytes:
            raise ValueError(f"stands for more than {most_bytes} bytes")
        digest.update(piece)
    return digest.digest(), size


def _gzip(content: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31, 9)
    return packer.compress(content) + packer.flush()


def _brotli(content: bytes, level: int) -> bytes:
    return bytes(brotli.compress(content, quality=level))


def _zstd(content: bytes, level: int) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content))
    if settings.window_log > _WINDOW_LOG:
        settings = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=len(content), window_log=_WINDOW_LOG
        )
    return zstandard.ZstdCompressor(compression_params=settings).compress(content)


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Members one after another are one body (RFC 1952 2.2)."""
    unpacker, ended = zlib.decompressobj(31), True
    for chunk in chunks:
        rest = chunk
        while rest:
            ended = False
            try:
                yield unpacker.decompress(rest, _CHUNK)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                rest, unpacker, ended = unpacker.unused_data, zlib.decompressobj(31), True
    while not ended:
        piece = unpacker.decompress(b"", _CHUNK)
        if not piece:
            raise ValueError("it ends early")
        yield piece


def _unbrotli(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = brotli.Decompressor()
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), 4096):  # bounds what one step can unfold to
                if unpacker.is_finished():
                    raise ValueError("something follows its end")
                yield unpacker.process(chunk[start : start + 4096])
    except brotli.error:
        raise ValueError("not brotli, or damaged") from None
    if not unpacker.is_finished():
        raise ValueError("it ends early")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker: zstandard.ZstdDecompressionObj | None = None
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                unpacker = unpacker or zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
                yield unpacker.decompress(rest)
                rest = b""
                if unpacker.eof:
                    rest, unpacker = unpacker.unused_data, None
    except zstandard.ZstdError:
        raise ValueError("not zstd, or damaged") from None
    if unpacker is not None:
        raise ValueError("it ends early")


_COMPRESS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gzip, "br": _brotli, "zstd": _zstd}
_DECODE: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "br": _unbrotli,
    "zstd": _unzstd,
}
