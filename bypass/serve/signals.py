"""SIGTERM, SIGINT and SIGHUP as a request that is looked at, so that no step is torn apart in its middle."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """Counts SIGTERM, SIGINT and SIGHUP while entered. Main thread only.

    The first one only asks: check() and wait() show it. A second one while nobody has come to look
    raises KeyboardInterrupt where it arrives; once attend() was called, it is `urgent` instead.
    """

    def __init__(self) -> None:
        self._count = 0
        self._first = 0
        self._attended = False
        self._arrived = threading.Event()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in _SIGNALS:
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
        """Returns at the first request, or after `timeout_s`; True when one has arrived."""
        return self._arrived.wait(timeout_s)

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._first = self._first or number
        self._count += 1
        self._arrived.set()
        if self._count > 1 and not self._attended:
            raise KeyboardInterrupt
