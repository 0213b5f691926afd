"""Bodies that are not in the image: what is asked of them, and the large files of a folder.

A large file is served from where it lies, and as it was when the site was compiled or not at all: each
window that is read is compared with the check that was taken of it then. Times are no judge of that. A file
whose name was given to another has a new ctime and is whole; one that is written through a mapping changes
before its time does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from bypass.errors import SiteError
from bypass.site.source import CHECK_BYTES, WINDOW_BYTES, check_of
from bypass.site.text import printable

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_OPEN = 16384
_LEAST_OPEN = 16
_OTHERS = 256  # descriptors for sockets, logs and the rest of the process
_GENERATIONS = 8  # images that are held at the same time
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


class Bodies(Protocol):
    """Large bodies by number, read by several threads at a time."""

    def read_into(self, number: int, offset: int, target: memoryview) -> int:
        """Reads from `offset` of a body until the target is full or the body ends; how many octets. OSError
        when that cannot be, or when they are not what they were."""
        ...

    def close(self) -> None:
        """When nobody reads any more."""
        ...


class LargeFile(msgspec.Struct, frozen=True, array_like=True):
    """What a file was when it was read. checks: of each of its windows, CHECK_BYTES each."""

    path: bytes
    device: int
    inode: int
    size: int
    mtime_ns: int
    checks: bytes


def descriptors_at_hand(wanted: int) -> int:
    """How many files of one image may be open, `wanted` at most. The soft limit is raised as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = min(wanted, _MOST_OPEN) * _GENERATIONS + _OTHERS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return min(wanted, _MOST_OPEN)
    return max((soft - _OTHERS) // _GENERATIONS, _LEAST_OPEN)


class _Open:
    """One open file. users: threads that read from it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0


class LargeFiles:
    """The files are opened now, so that one whose name is given to another file goes on being served; beyond
    `most_open` those that were not used longest are closed and opened again by name when they are asked for.

    most_open: 0: as many as the limit on descriptors lets a server have. changed: gets (device, inode) of
    files found changed, whose times may not show it (a write through a mapping, a failing disk).
    Raises SiteError for a file that is not what it was when the site was compiled.
    """

    def __init__(
        self, files: Sequence[LargeFile], most_open: int = 0, changed: set[tuple[int, int]] | None = None
    ) -> None:
        self._open: dict[int, _Open] = {}  # the one used last is last
        self._files = files
        self._changed = set() if changed is None else changed
        self._most = most_open or descriptors_at_hand(len(files))
        self._one = threading.Lock()
        for number in range(min(len(files), self._most)):
            try:
                self._open[number] = _Open(_opened(files[number], as_it_was=True))
            except OSError as error:
                if error.errno in _NONE_LEFT and number > _LEAST_OPEN:
                    self._most = number - _LEAST_OPEN // 2
                    while len(self._open) > self._most:
                        self._make_room()  # the process needs some for other things, too
                    break
                self.close()
                raise _unopened(files[number], error) from None

    @property
    def open_files(self) -> int:
        return len(self._open)

    def read_into(self, number: int, offset: int, target: memoryview) -> int:
        """As Bodies. `offset` is that of a window, and the target has room for all of it."""
        file = self._files[number]
        try:
            return self._read(file, number, offset, target)
        except OSError as error:
            if error.strerror is None:
                raise
            raise OSError(f"{printable(file.path)}: {error.strerror}") from None

    def _read(self, file: LargeFile, number: int, offset: int, target: memoryview) -> int:
        wanted = max(min(len(target), WINDOW_BYTES, file.size - offset), 0)
        with self._use(number) as fd, target[:wanted] as window:
            done = 0
            while done < wanted:
                count = os.preadv(fd, [window[done:]], offset + done)
                if count == 0:
                    self._changed.add((file.device, file.inode))
                    raise OSError(f"{printable(file.path)} was cut short")
                done += count
            at = offset // WINDOW_BYTES * CHECK_BYTES
            if wanted and check_of(window) != file.checks[at : at + CHECK_BYTES]:
                self._changed.add((file.device, file.inode))
                raise OSError(f"{printable(file.path)} was changed in place")
        return wanted

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1].fd)

    def __del__(self) -> None:
        """Of a site that came to nothing before anybody owned its files."""
        self.close()

    @contextmanager
    def _use(self, number: int) -> Iterator[int]:
        held = self._held(number)
        try:
            yield held.fd
        finally:
            with self._one:
                held.users -= 1

    def _held(self, number: int) -> _Open:
        with self._one:
            held = self._open.pop(number, None) or self._open_again(number)
            self._open[number] = held
            held.users += 1
            return held

    def _open_again(self, number: int) -> _Open:
        """Under the lock, so that two threads do not open the same one."""
        if len(self._open) >= self._most:
            self._make_room()
        try:
            return _Open(_opened(self._files[number]))
        except OSError as error:
            if error.errno not in _NONE_LEFT or not self._make_room():
                raise
        return _Open(_opened(self._files[number]))

    def _make_room(self) -> bool:
        idle = next((number for number, each in self._open.items() if not each.users), None)
        if idle is not None:
            os.close(self._open.pop(idle).fd)
        return idle is not None


def _opened(file: LargeFile, *, as_it_was: bool = False) -> int:
    """A descriptor of that very file. OSError, also when its name is another's now.

    as_it_was: size and time are compared too; else that is left to the checks."""
    fd = os.open(file.path, _OPEN_FLAGS)
    about = os.fstat(fd)
    same = (about.st_dev, about.st_ino) == (file.device, file.inode)
    if as_it_was:
        same = same and (about.st_size, about.st_mtime_ns) == (file.size, file.mtime_ns)
    if not same:
        os.close(fd)
        raise OSError(f"{printable(file.path)} is not the file that it was")
    return fd


def _unopened(file: LargeFile, error: OSError) -> SiteError:
    name = printable(file.path)
    if error.errno in _NONE_LEFT:
        return SiteError(
            f"{name}: cannot be opened",
            why="too many files are open",
            remedy="Allow more: ulimit -n, or LimitNOFILE= in a systemd unit.",
        )
    return SiteError(
        f"{name}: changed while the site was being compiled",
        why=error.strerror or str(error),
        remedy="Try again when the folder is at rest.",
    )
