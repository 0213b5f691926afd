"""Asks for a reload when files of the site change: not at once, and not all the time.

A burst of changes is one; between two reloads there is at least the time that the last one took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import watch

SETTLE_MS = 300  # without further changes, until a burst is over
LONGEST_BURST_MS = 2000
LEAST_PAUSE_S = 0.5


class Watcher:
    """changed: called from a thread of its own when something in the folder, or the image file, differs."""

    def __init__(self, path: Path, changed: Callable[[], object]) -> None:
        self._file = None if path.is_dir() else path.name
        self._folder = path if path.is_dir() else path.parent
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bypass-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        for _ in watch(
            self._folder,
            watch_filter=None if self._file is None else lambda _, path: Path(path).name == self._file,
            debounce=LONGEST_BURST_MS,
            step=SETTLE_MS,
            stop_event=self._stop,
            recursive=self._file is None,
            raise_interrupt=False,
        ):
            started = time.monotonic()
            self._changed()
            self._stop.wait(max(LEAST_PAUSE_S, time.monotonic() - started))
