"""Threads that read large bodies: they fill the windows that the worker asks for, and never hold it up."""

from __future__ import annotations

import os
import select
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from bypass.site.outside import Bodies

THREADS = 4
_LOOK_MS = 500


class Windows(Protocol):
    """What is asked of an engine."""

    @property
    def image_serial(self) -> int: ...

    def image_serials(self) -> set[int]: ...

    def wake_readers(self, fd: int) -> None: ...

    def next_window(self) -> tuple[int, int, int, int] | None: ...

    def window_memory(self, window: int) -> memoryview: ...

    def sum_window(self, window: int, octets: int) -> None: ...

    def finish_window(self, window: int, sound: bool) -> None: ...


class BodyReaders:
    """Made before the worker runs, closed after it has ended. Owns the bodies that it is given.

    A part that cannot be read ends the connections that need it, and is said once for each body.
    """

    def __init__(self, windows: Windows, warn: Callable[[str], object]) -> None:
        self._windows = windows
        self._warn = warn
        self._larges: dict[int, Bodies] = {}
        self._complained: set[tuple[int, int]] = set()
        self._reading: Counter[int] = Counter()
        self._one = threading.Lock()
        self._ended = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        windows.wake_readers(self._wake)
        self._threads = [
            threading.Thread(target=self._work, name=f"bypass-read-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def register(self, serial: int, large: Bodies | None) -> None:
        """Before the image of that serial is served. Lets go of images that are not any more."""
        with self._one:
            self._release()
            if large is not None:
                self._larges[serial] = large

    def release(self) -> None:
        """Lets go of the bodies of images that are not served any more."""
        with self._one:
            self._release()

    def _release(self) -> None:
        coming = self._windows.image_serial + 1  # perhaps registered, and not offered yet
        for old in set(self._larges) - self._windows.image_serials() - {coming}:
            if not self._reading[old]:  # else the next time
                self._larges.pop(old).close()
                self._complained = {each for each in self._complained if each[0] != old}

    def withdraw(self, serial: int) -> None:
        """It is not served after all; its bodies stay its owner's."""
        with self._one:
            self._larges.pop(serial, None)

    def close(self) -> None:
        self._ended = True
        for thread in self._threads:
            os.eventfd_write(self._wake, 1)
            thread.join()
        self._windows.wake_readers(-1)
        os.close(self._wake)
        for large in self._larges.values():
            large.close()

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self._ended:
            with self._one:
                wanted = self._windows.next_window()
                large = self._larges.get(wanted[1]) if wanted else None
                if wanted:
                    self._reading[wanted[1]] += 1
            if wanted is None:
                poll.poll(_LOOK_MS)
                try:
                    os.eventfd_read(self._wake)
                except BlockingIOError:
                    continue
            else:
                os.eventfd_write(self._wake, 1)  # perhaps there is work for another one, too
                self._fill(wanted, large)

    def _fill(self, wanted: tuple[int, int, int, int], large: Bodies | None) -> None:
        window, serial, body, offset = wanted
        sound = False
        try:
            if large is not None:
                with self._windows.window_memory(window) as memory:
                    octets = large.read_into(body, offset, memory)
                self._windows.sum_window(window, octets)
                sound = True
        except Exception as error:  # whatever it is, the worker must have its window back
            if (serial, body) not in self._complained:
                self._complained.add((serial, body))
                why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self._warn(
                    f"a large file cannot be read: {why}; its connections are given up until a reload"
                    " ('bypass reload')"
                )
        finally:
            with self._one:
                self._reading[serial] -= 1
                self._windows.finish_window(window, sound)
