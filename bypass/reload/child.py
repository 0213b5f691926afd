"""The process in which images are made: asked over a socket, answers with words or with a descriptor.

It lives as long as its server, so that what it knows of a folder is still known the next time. It is another
process so that compiling takes neither the server's interpreter nor, where there are two, its CPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from bypass.config import resolve
from bypass.errors import BypassError
from bypass.site.builder import SiteBuilder
from bypass.site.image import is_image
from bypass.site.large import LargeBodies, copy_small
from bypass.site.output import compile_to_memfd
from bypass.site.outside import LargeFile

MESSAGE_BYTES = 1 << 16
PROGRESS_S = 0.1
NEVER = 1 << 63
NICENESS = 5
"""A quarter of a CPU that somebody else wants, too; SCHED_BATCH: and nobody is interrupted for it. SCHED_IDLE
would let a reload starve beside a worker that spins."""


class Speaker:
    """The socket's other end, in JSON."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._next = 0.0

    def say(self, message: dict[str, object], *descriptors: int) -> None:
        socket.send_fds(self._channel, [json.dumps(message).encode()], descriptors)

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_S
            self.say({"done": done_bytes, "total": total_bytes})


_builders: dict[tuple[Path | None, int | None, int], SiteBuilder] = {}
"""One for each site that was asked for: it knows what it made last."""


def make(
    path: Path | None,
    config: Path | None,
    max_bytes: int | None,
    large_bytes: int,
    speaker: Speaker,
    distrusted: Collection[tuple[int, int]] = (),
) -> tuple[int, LargeBodies | tuple[LargeFile, ...]]:
    """A descriptor of a sound image in memory that nobody can change, and what is not in it: bodies of
    `large_bytes` and more, 0: nothing, in an image file or in files of a folder. Raises SiteError and
    ConfigError.

    config: the settings file, read anew each time. distrusted: (device, inode) of files found not to be what
    was known of them."""
    if path is None or not is_image(path):
        settings = resolve({}, {}, config).site
        fresh = SiteBuilder(path, max_bytes=max_bytes, large_bytes=large_bytes)
        builder = _builders.setdefault((path, max_bytes, large_bytes), fresh)
        if distrusted:
            builder.distrust(distrusted)
        fd, summary = compile_to_memfd(path, config=settings, progress=speaker.progress, builder=builder)
        return fd, summary.large
    fd, large = copy_small(path, large_bytes=large_bytes or NEVER, max_bytes=max_bytes)
    return fd, large or ()


def say_made(speaker: Speaker, fd: int, large: LargeBodies | tuple[LargeFile, ...]) -> None:
    """Descriptors: the image; of large bodies a table, and the image file that they are in."""
    if not large:
        speaker.say({"made": True}, fd)
        return
    table = os.memfd_create("bypass-large", os.MFD_CLOEXEC)
    facts: dict[str, object] = {"made": True}
    try:
        with os.fdopen(os.dup(table), "wb") as file:
            file.write(msgspec.msgpack.encode(large.places if isinstance(large, LargeBodies) else large))
        if isinstance(large, LargeBodies):
            facts |= {"size": large.size_bytes, "mtime_ns": large.mtime_ns}
            speaker.say(facts, fd, table, large.fd)
        else:
            speaker.say(facts, fd, table)
    finally:
        os.close(table)
        if isinstance(large, LargeBodies):
            large.close()


def answer(request: dict[str, object], speaker: Speaker) -> None:
    limit, large_bytes = request["max_bytes"], request["large_bytes"]
    assert limit is None or isinstance(limit, int)
    assert isinstance(large_bytes, int)
    changed = request["changed"]
    assert isinstance(changed, list)
    distrusted = {(device, inode) for device, inode in changed}
    try:
        path, config = (Path(str(request[key])) if request[key] else None for key in ("path", "config"))
        fd, large = make(path, config, limit, large_bytes, speaker, distrusted)
    except BypassError as error:
        facts = {"kind": type(error).__name__, "what": error.what, "why": error.why, "remedy": error.remedy}
        speaker.say({"error": facts})
    except (OSError, MemoryError) as error:
        words = str(error) or type(error).__name__
        speaker.say(
            {"error": {"kind": "SiteError", "what": str(request["path"]), "why": words, "remedy": ""}}
        )
    else:
        say_made(speaker, fd, large)
        os.close(fd)


def main(channel_fd: int) -> None:
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with socket.socket(fileno=channel_fd) as channel:
        speaker = Speaker(channel)
        while request := channel.recv(MESSAGE_BYTES):  # nothing: the server is gone
            answer(json.loads(request), speaker)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        sys.exit(1)
