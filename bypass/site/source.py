"""Reads the files that scan found, and notices when one is not what it was.

A file that is replaced, changes or vanishes meanwhile is a SiteError that names it: an image must
be the site at one moment.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bypass._engine import image_hash
from bypass.errors import SiteError
from bypass.site.scan import Asset
from bypass.site.text import printable

CHUNK_BYTES = 4 << 20
WINDOW_BYTES = 1 << 20
"""Large files are read and checked in windows, as the engine asks for them (content/window.pxd)."""
CHECK_BYTES = 8

# O_NONBLOCK: a pipe that took the file's place must not block; O_NOFOLLOW: nor a symlink be followed.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

Tick = Callable[[int], None]
"""Called with the number of octets read since the last call."""


def read_into(asset: Asset, target: memoryview, tick: Tick) -> None:
    """Reads the whole file into `target`, which has its size. Raises SiteError."""
    with _opened(asset) as fd:
        done = 0
        while done < asset.size:
            count = os.readv(fd, [target[done : done + CHUNK_BYTES]])
            if count == 0:
                raise changed(asset)
            done += count
            tick(count)


def digest(asset: Asset, tick: Tick) -> bytes:
    """SHA-256 of the file's content. Raises SiteError."""
    found = hashlib.sha256()
    with _opened(asset) as fd:
        buffer = memoryview(bytearray(min(CHUNK_BYTES, asset.size)))
        left = asset.size
        while left:
            count = os.readv(fd, [buffer[:left]])
            if count == 0:
                raise changed(asset)
            found.update(buffer[:count])
            left -= count
            tick(count)
    return found.digest()


def fingerprint(asset: Asset, tick: Tick) -> tuple[bytes, bytes]:
    """SHA-256 of the file's content, and a check of each of its windows. Raises SiteError."""
    found, checks = hashlib.sha256(), bytearray()
    with _opened(asset) as fd, memoryview(bytearray(min(CHUNK_BYTES, asset.size))) as buffer:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        left = asset.size
        while left:
            with buffer[: min(len(buffer), left)] as chunk:
                _fill(asset, fd, chunk)
                found.update(chunk)
                for start in range(0, len(chunk), WINDOW_BYTES):
                    checks += check_of(chunk[start : start + WINDOW_BYTES])
                left -= len(chunk)
                tick(len(chunk))
    return found.digest(), bytes(checks)


def check_of(window: memoryview) -> bytes:
    """Tells one window's content from another's, where nobody tries to deceive."""
    return image_hash(window).to_bytes(CHECK_BYTES, "little")


def _fill(asset: Asset, fd: int, target: memoryview) -> None:
    done = 0
    while done < len(target):
        count = os.readv(fd, [target[done:]])
        if count == 0:
            raise changed(asset)
        done += count


def read_small(asset: Asset, tick: Tick) -> bytes:
    """The content of a file that fits into memory, with as few calls as it takes. Raises SiteError.

    One look at what was opened, after reading: whatever changed before shows then."""
    try:
        fd = os.open(asset.path, _OPEN_FLAGS)
    except OSError as error:
        raise _unopened(asset, error) from None
    try:
        content = os.read(fd, asset.size) if asset.size else b""
        while 0 < len(content) < asset.size and (more := os.read(fd, asset.size - len(content))):
            content += more
        _check(asset, fd)
    except OSError as error:
        raise SiteError(
            f"{printable(asset.path)}: reading failed", why=error.strerror or "input/output error"
        ) from None
    finally:
        os.close(fd)
    if len(content) != asset.size:
        raise changed(asset)
    tick(asset.size)
    return content


def chunks_of(asset: Asset) -> Iterator[bytes]:
    """The file's content in pieces of at most CHUNK_BYTES. Raises SiteError."""
    with _opened(asset) as fd:
        left = asset.size
        while left:
            chunk = os.read(fd, min(left, CHUNK_BYTES))
            if not chunk:
                raise changed(asset)
            left -= len(chunk)
            yield chunk


@contextmanager
def _opened(asset: Asset) -> Iterator[int]:
    """A descriptor of the very file that scan saw, checked on entry and again on leaving."""
    try:
        fd = os.open(asset.path, _OPEN_FLAGS)
    except OSError as error:
        raise _unopened(asset, error) from None
    try:
        _check(asset, fd)
        yield fd
        _check(asset, fd)
    except OSError as error:
        raise SiteError(
            f"{printable(asset.path)}: reading failed", why=error.strerror or "input/output error"
        ) from None
    finally:
        os.close(fd)


def _check(asset: Asset, fd: int) -> None:
    about = os.fstat(fd)
    now = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
    if now != (asset.device, asset.inode, asset.size, asset.mtime_ns):
        raise changed(asset)


def _unopened(asset: Asset, error: OSError) -> SiteError:
    name = printable(asset.path)
    if isinstance(error, PermissionError):
        return SiteError(
            f"{name}: cannot be read",
            why=error.strerror or "permission denied",
            remedy="Make it readable (chmod a+r), or take it out of the site.",
        )
    if isinstance(error, FileNotFoundError):
        return SiteError(
            f"{name}: vanished while the site was being compiled",
            remedy="Try again when the folder is at rest.",
        )
    return SiteError(f"{name}: cannot be opened", why=error.strerror or "unknown error")


def changed(asset: Asset) -> SiteError:
    """The error for a file whose content is not what it was a moment ago."""
    return SiteError(
        f"{printable(asset.path)}: changed while the site was being compiled",
        remedy="Try again when the folder is at rest.",
    )
