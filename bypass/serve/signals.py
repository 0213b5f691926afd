"""Signals as requests that are looked at, so that no step is torn apart in its middle."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """Counts SIGTERM, SIGINT and SIGHUP while entered. Main thread only.

    The first one only asks: check() and wait() show it. A second one while nobody has come to look
    raises KeyboardInterrupt where it arrives; once attend() was called, it is `urgent` instead.

    others: what else signals ask for; done by wait(). SIGHUP among them still is a stop when it tells of the
    end of the terminal that we were started on.

    A signal may arrive at any point of the thread that looks, also inside another one's handler. So handlers
    take no lock (threading.Event has one, and would wait for itself); SimpleQueue.put() is made for that.
    """

    def __init__(self, others: Mapping[signal.Signals, Callable[[], object]] | None = None) -> None:
        self._others = others or {}
        self._on_terminal = _has_terminal()
        self._count = 0
        self._first = 0
        self._attended = False
        self._arrived: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in dict.fromkeys((*_SIGNALS, *self._others)):
            self._previous[number] = signal.signal(number, self._arrive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        return self._count > 0

    @property
    def interrupted(self) -> bool:
        """The request came from the keyboard."""
        return self._first == signal.SIGINT

    @property
    def urgent(self) -> bool:
        return self._count > 1

    def check(self) -> None:
        """KeyboardInterrupt when a stop was asked for. Called between the steps of a start."""
        if self._count:
            raise KeyboardInterrupt

    def attend(self) -> None:
        """From now on every request is waited for by somebody."""
        if not self._attended:
            self.check()
        self._attended = True

    def wait(self, timeout_s: float) -> bool:
        """Does what other signals ask for. Returns at the first request to stop, or after `timeout_s`; True
        when one has arrived."""
        deadline = time.monotonic() + timeout_s
        while not self._count:
            try:
                other = self._arrived.get(timeout=max(deadline - time.monotonic(), 0.0))
            except Empty:
                break
            if other is not None:
                other()
        return self._count > 0

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        del frame
        other = self._others.get(signal.Signals(number))
        if other is not None and not (number == signal.SIGHUP and self._on_terminal and not _has_terminal()):
            self._arrived.put(other)
            return
        self._first = self._first or number
        self._count += 1
        self._arrived.put(None)
        if self._count > 1 and not self._attended:
            raise KeyboardInterrupt


def _has_terminal() -> bool:
    """Whether stderr is a terminal that is still there."""
    try:
        return os.isatty(sys.__stderr__.fileno()) if sys.__stderr__ else False
    except (OSError, ValueError):
        return False
