"""Has images made by a process of its own (child.py), and takes them over."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from bypass import errors
from bypass.errors import BypassError
from bypass.reload.child import MESSAGE_BYTES
from bypass.site.compile import Progress
from bypass.site.image import SiteImage, open_image
from bypass.site.large import LargeBodies
from bypass.site.outside import Bodies, LargeFile, LargeFiles

_END_S = 2.0
_CHANGED_MOST = 512  # named in one request, which is one message; the others the next time

Facts = dict[str, Any]


class ImageMaker:
    """Makes images of one folder, or copies of one image file. One at a time.

    large_bytes: bodies that are this large stay on disk (SiteImage.large), 0: none. path:
    None where the virtual hosts of `config`, a settings file that is read anew each time, are all.
    cpus: where the process may run, empty: anywhere. Started when first used; one that was lost is replaced.
    """

    def __init__(
        self,
        path: Path | None,
        max_bytes: int | None,
        cpus: Collection[int] = (),
        config: Path | None = None,
        large_bytes: int = 0,
    ) -> None:
        self.path = path
        self._config = config
        self._large_bytes = large_bytes
        self._max_bytes = max_bytes
        self._cpus = cpus
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._heard: float | None = None
        self._changed: set[tuple[int, int]] = set()

    def make(self, progress: Progress | None = None) -> SiteImage:
        """A checked, mapped image; the caller closes it. SiteError as the compiler's. What `progress` raises
        ends the making."""
        channel = self._started()
        paths = {"path": _absolute(self.path), "config": _absolute(self._config)}
        changed = list(self._changed)[:_CHANGED_MOST]
        request = {
            **paths,
            "max_bytes": self._max_bytes,
            "large_bytes": self._large_bytes,
            "changed": changed,
        }
        try:
            self._heard = time.monotonic()
            channel.send(json.dumps(request).encode())
            facts, descriptors = self._image(channel, progress)
        except BypassError:
            raise
        except OSError:
            raise self._lost() from None
        except BaseException:
            self.close()
            raise
        finally:
            self._heard = None
        try:
            # Made here, or checked, by the process.
            image = open_image(descriptors[0], str(self.path or "site"), made_here=True, huge=True)
            try:
                image.large = _large(facts, descriptors[1:], self._changed)
                self._changed.difference_update(changed)
            except BaseException:
                image.close()
                raise
            return image
        finally:
            os.close(descriptors[0])

    def silent_s(self) -> float:
        """For how long the process has said nothing, seconds; 0 when nothing is asked of it."""
        heard = self._heard
        return 0.0 if heard is None else time.monotonic() - heard

    def cancel(self) -> None:
        """From another thread: a making under way ends with an error now, also where the process hangs."""
        channel = self._channel
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._end()

    def _end(self) -> int | None:
        """The process's exit status. None: it cannot be ended, such as one that waits for a dead disk; it is
        left to the kernel."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        process, self._process = self._process, None
        if process is None:
            return 0
        for end in (None, process.terminate, process.kill):
            if end is not None:
                end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_END_S)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> socket.socket:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "bypass.reload.child", str(theirs.fileno())]
            # A session of its own: Ctrl-C is the server's affair.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )
        if self._cpus:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self._process.pid, self._cpus)
        self._channel = ours
        return ours

    def _image(self, channel: socket.socket, progress: Progress | None) -> tuple[Facts, list[int]]:
        while True:
            message, descriptors, whole = _receive(channel)
            self._heard = time.monotonic()
            if not message:
                raise self._lost()
            facts = json.loads(message)
            if not whole:
                for descriptor in descriptors:
                    os.close(descriptor)
                raise BypassError(
                    f"{self.path or 'site'}: it is compiled, and cannot be taken over",
                    why="too many files are open",
                    remedy="Allow more: ulimit -n, or LimitNOFILE= in a systemd unit.",
                )
            if descriptors:
                return facts, descriptors
            if "error" in facts:
                raise _error(facts["error"])
            if progress is not None:
                progress(facts["done"], facts["total"])

    def _lost(self) -> BypassError:
        status = self._end()
        ended = "hangs" if status is None else "ended unexpectedly"
        how = "" if status is None else f" (signal {-status})" if status < 0 else f" (exit code {status})"
        return BypassError(
            f"{self.path or 'site'}: the process that compiles it {ended}{how}",
            remedy="If memory was short, allow less with --max-memory.",
        )


def _absolute(path: Path | None) -> str:
    return "" if path is None else os.path.abspath(path)


def _receive(channel: socket.socket) -> tuple[bytes, list[int], bool]:
    """A message, its descriptors, and whether those are all that came with it."""
    descriptors = array.array("i")
    message, ancillary, flags, _ = channel.recvmsg(
        MESSAGE_BYTES, socket.CMSG_LEN(3 * descriptors.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors), not flags & socket.MSG_CTRUNC


def _large(facts: Facts, descriptors: list[int], changed: set[tuple[int, int]]) -> Bodies | None:
    """From what the process says, and the table, and for an image the file, that it hands over. changed:
    as of LargeFiles."""
    if not descriptors:
        return None
    table, *file = descriptors
    with os.fdopen(table, "rb") as opened:
        opened.seek(0)
        content = opened.read()
    if not file:
        return LargeFiles(msgspec.msgpack.decode(content, type=tuple[LargeFile, ...]), changed=changed)
    places = msgspec.msgpack.decode(content, type=tuple[tuple[int, int], ...])
    return LargeBodies(file[0], facts["size"], facts["mtime_ns"], places)


def _error(facts: dict[str, str]) -> BypassError:
    kind = getattr(errors, facts["kind"], BypassError)
    error = kind(facts["what"], why=facts["why"], remedy=facts["remedy"])
    assert isinstance(error, BypassError)
    return error
