"""Signals while a NIC is changed: the first one ends the change and has it put back, none tears the way back.

Only in the main thread; elsewhere signals are somebody else's affair.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP (a terminal that is gone) are what Ctrl-C is: KeyboardInterrupt."""
    with _handled_by(_interrupt):
        yield


@contextmanager
def held_off() -> Iterator[None]:
    """Signals that ask for an end are as if they had not come: what is under way is putting back."""
    with _handled_by(lambda number, frame: None):
        yield


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Those that are ignored stay so (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
