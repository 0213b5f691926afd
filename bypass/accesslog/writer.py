"""The thread that writes the access log: whole lines, in batches, to a file that can be rotated.

What cannot be written is lost and said, once a minute at most; where nothing may be lost it is tried again,
and the worker takes no requests meanwhile.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bypass.errors import UnavailableError

BATCH_BYTES = 1 << 18
LEAST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.02
COMPLAIN_S = 60.0
RETRY_S = 0.2
END_S = 5.0
_MODE = 0o640

Take = Callable[[memoryview], tuple[int, int]]
"""Fills a buffer with whole lines; how many octets, and how many lines."""
Lines = Callable[[bytes], object]
"""Is given whole lines, each with its LF."""


class Sink(Protocol):
    def write(self, lines: memoryview) -> int:
        """How many octets, whole lines, are written; OSError when none are."""

    def reopen(self) -> None: ...

    def close(self) -> None: ...


class FileSink:
    """A file that is appended to, made where it is missing; "-" is stdout. Else UnavailableError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._torn = False
        try:
            self._open()
        except OSError as error:
            unread = error.errno == errno.ENXIO
            raise UnavailableError(
                f"{path}: the access log cannot be written",
                why="it is a pipe that nobody reads" if unread else error.strerror or str(error),
                remedy="Start its reader first."
                if unread
                else "Name a file in a folder that you may write to, or - for stdout.",
            ) from None

    def write(self, lines: memoryview) -> int:
        """Where a line was torn by a full disk, the next one begins on a line of its own."""
        if self._torn:
            os.write(self._fd, b"\n")
            self._torn = False
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._fd, lines[done:])
        except OSError:
            whole = bytes(lines[:done]).rfind(b"\n") + 1
            self._torn = done > whole
            if whole == 0:
                raise
            return whole
        return done

    def reopen(self) -> None:
        """After a rotation. Whatever fails, the file that was open stays so."""
        if self.path != "-":
            old = self._fd
            self._open()
            # Only in the file that has it does a torn line have to be ended.
            self._torn = self._torn and os.path.sameopenfile(old, self._fd)
            os.close(old)

    def close(self) -> None:
        if self._fd >= 0 and self.path != "-":
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        if self.path == "-":
            self._fd = sys.__stdout__.fileno() if sys.__stdout__ else 1
        else:
            # O_NONBLOCK: a pipe that nobody reads is ENXIO at once, and nothing waits for a reader.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            self._fd = os.open(self.path, flags, _MODE)
            os.set_blocking(self._fd, True)


class CallbackSink:
    """A function of the program's own."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def write(self, lines: memoryview) -> int:
        self._lines(bytes(lines))
        return len(lines)

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def sink_for(target: str | os.PathLike[str] | Lines) -> Sink:
    return CallbackSink(target) if callable(target) else FileSink(os.fspath(target))


@dataclass(slots=True)
class Written:
    """lost: lines that could not be written."""

    lines: int = 0
    lost: int = 0


class AccessLog:
    """Writes from start to close(). reopen() may be called from a signal handler."""

    def __init__(
        self,
        take: Take,
        line_bytes_most: int,
        sink: Sink,
        warn: Callable[[str], object],
        *,
        lossless: bool = False,
        end_s: float = END_S,
    ) -> None:
        self._take = take
        self._end_s = end_s
        self._buffer = memoryview(bytearray(BATCH_BYTES + line_bytes_most))
        self._sink = sink
        self._warn = warn
        self._lossless = lossless
        self._ending = threading.Event()
        self._reopen = False
        self._complained = -COMPLAIN_S
        self.written = Written()
        self._thread = threading.Thread(target=self._work, name="bypass-log", daemon=True)
        self._thread.start()

    def reopen(self) -> None:
        """The file is opened anew before the next line is written."""
        self._reopen = True

    def close(self) -> None:
        """Writes what is there, and ends. Called when the worker has ended. Where nobody takes the lines (a
        pipe whose reader hangs), it is waited for `end_s`, not for ever."""
        self._ending.set()
        self._thread.join(self._end_s)
        if self._thread.is_alive():
            self._warn("access log: whatever reads it takes nothing; its last lines are lost")
        else:
            self._sink.close()

    def _work(self) -> None:
        pause_s = LEAST_PAUSE_S
        while True:
            ending = self._ending.is_set()
            if self._reopen:
                self._reopen = False
                self._guarded(self._sink.reopen)
            octets, _ = self._take(self._buffer)
            if octets:
                pause_s = LEAST_PAUSE_S
                self._write(self._buffer[:octets])
            elif ending:
                return
            else:
                self._ending.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _write(self, text: memoryview) -> None:
        while len(text):
            done = self._guarded(partial(self._sink.write, text))
            if done:
                self.written.lines += bytes(text[:done]).count(b"\n")
                text = text[done:]
            elif not self._lossless or self._ending.wait(RETRY_S):
                self.written.lost += bytes(text).count(b"\n")
                return

    def _guarded(self, action: Callable[[], int | None]) -> int:
        """What the action returns; 0, and said now and then, when it fails."""
        try:
            return action() or 0
        except Exception as error:  # of a callback it may be any
            if time.monotonic() - self._complained >= COMPLAIN_S:
                self._complained = time.monotonic()
                why = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
                self._warn(f"access log: {why}" + ("" if self._lossless else "; lines are lost"))
            return 0
