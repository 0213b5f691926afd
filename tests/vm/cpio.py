"""Writes cpio archives of the kind that a kernel unpacks as its first root file system.

Format: Documentation/driver-api/early-userspace/buffer-format.rst ("newc"). Does not know what is
put in.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO


class CpioArchive:
    """Entries in the order in which they are added; folders on the way to one are made."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._inode = 0
        self._made: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path.lstrip("/") in self._made

    def folder(self, path: str) -> None:
        path = path.strip("/")
        if path and path not in self._made:
            self.folder(str(Path(path).parent) if "/" in path else "")
            self._entry(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, data: bytes, *, executable: bool = False) -> None:
        self._below(path)
        self._entry(path.lstrip("/"), stat.S_IFREG | (0o755 if executable else 0o644), data)

    def copy(self, path: str, source: Path) -> None:
        self.file(path, source.read_bytes(), executable=bool(source.stat().st_mode & stat.S_IXUSR))

    def link(self, path: str, target: str) -> None:
        self._below(path)
        self._entry(path.lstrip("/"), stat.S_IFLNK | 0o777, target.encode())

    def close(self) -> None:
        self._entry("TRAILER!!!", 0, b"")

    def _below(self, path: str) -> None:
        self.folder(str(Path(path.lstrip("/")).parent).removeprefix("."))

    def _entry(self, name: str, mode: int, data: bytes) -> None:
        if name in self._made:
            return
        self._made.add(name)
        self._inode += 1
        octets = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(octets), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._out.write(_padded(header + octets))
        self._out.write(_padded(data))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
