"""One worker: a thread around Engine.run(), which holds no GIL.

Owns the thread. Does not know what the engine serves, nor on what.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Runnable(Protocol):
    """What a worker needs of an Engine."""

    def run(self, *, spin_ns: int, sleep_ms: int, cpu: int = -1) -> int: ...

    def stop(self) -> None: ...


class Worker:
    """`failure` is None while running and after an ordinary end, else the errno or the exception."""

    def __init__(self, engine: Runnable, *, spin_ns: int, sleep_ms: int, cpu: int = -1) -> None:
        self._engine = engine
        self._arguments = {"spin_ns": spin_ns, "sleep_ms": sleep_ms, "cpu": cpu}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bypass-worker", daemon=True)
        self.failure: int | BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive() and not self._ended.is_set()

    def stop(self) -> None:
        """Ends the loop and waits for it. Safe to call again, and before start()."""
        self._engine.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            status = self._engine.run(**self._arguments)
            self.failure = -status if status < 0 else None
        except BaseException as error:  # handed to the thread that watches
            self.failure = error
        finally:
            self._ended.set()
