"""Hands new images to a running server, one after another, and says how it went.

A failure of any kind leaves the image that is served where it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from bypass.errors import BypassError, UnavailableError
from bypass.reload.outcome import Reloaded
from bypass.serve.notify import notify
from bypass.site.image import SiteImage
from bypass.site.outside import Bodies

_TAKEN_S = 10.0
_LOOK_S = 0.002
_WATCH_S = 1.0
HUNG_S = 60.0


class Serving(Protocol):
    """What is asked of a server (bypass/serve/server.py)."""

    def offer_image(self, image: memoryview, large: Bodies | None = None) -> bool: ...

    @property
    def image_taken(self) -> bool: ...

    def images_held(self) -> int: ...


Report = Callable[[Reloaded | BypassError], None]


class Reloader:
    """reload() from any thread; one that `wanted` asks for is answered to `report`.

    image: the one that is served now; it belongs to the reloader from here on. wanted: set by a signal
    handler or a watcher; however often before somebody comes to it, it is one request. cancel: called
    by another thread, has `make` fail soon. silent_s: for how long `make` has said nothing; when that is
    more than hung_s and a newer reload waits, it is cancelled.
    """

    def __init__(
        self,
        server: Serving,
        image: SiteImage,
        make: Callable[[], SiteImage],
        report: Report,
        wanted: threading.Event,
        *,
        cancel: Callable[[], object] = lambda: None,
        silent_s: Callable[[], float] = lambda: 0.0,
        hung_s: float = HUNG_S,
        taken_s: float = _TAKEN_S,
    ) -> None:
        self._server = server
        self._image = image
        self._make = make
        self._report = report
        self._cancel = cancel
        self._taken_s = taken_s
        self._one = threading.Lock()
        self._wanted = wanted
        self._ended = False
        self._waiting: set[int] = set()
        self._silent_s = silent_s
        self._hung_s = hung_s
        self._end = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="bypass-reload-watch", daemon=True)
        self._watcher.start()
        self._thread = threading.Thread(target=self._work, name="bypass-reload", daemon=True)
        self._thread.start()

    def reload(self) -> Reloaded:
        """Returns when the new image is served. BypassError says why it is not, and the old one is."""
        self._waiting.add(threading.get_ident())
        with self._one:
            self._waiting.discard(threading.get_ident())
            if self._ended:
                raise UnavailableError("the server is stopping")
            notify(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))
            try:
                return self._reload()
            finally:
                notify(READY="1")

    def request(self) -> None:
        """Has a reload done soon."""
        self._wanted.set()

    def close(self) -> None:
        """Cuts a reload under way short."""
        self._ended = True
        self._wanted.set()
        self._cancel()
        self._end.set()
        self._thread.join()
        self._watcher.join()
        with self._one:
            self._image.close()

    def _reload(self) -> Reloaded:
        started = time.monotonic()
        made = self._make()
        made_at = time.monotonic()
        try:
            hand_over(self._server, made, self._taken_s)
        except BaseException:
            made.close()
            raise
        old, self._image = self._image, made
        old.close()  # what the engine still sends of it stays mapped
        return Reloaded(made.files, made.image_bytes, made_at - started, time.monotonic() - started)

    def _watch(self) -> None:
        """A making that hangs, such as on a disk that is gone, does not keep those that come after it."""
        while not self._end.wait(min(_WATCH_S, self._hung_s)):
            if (self._waiting or self._wanted.is_set()) and self._silent_s() > self._hung_s:
                self._cancel()

    def _work(self) -> None:
        while self._wanted.wait() and not self._ended:
            self._wanted.clear()
            try:
                self._report(self.reload())
            except BypassError as error:
                self._report(error)
            except Exception as error:  # a bug of ours must not end reloading
                self._report(BypassError("reload failed", why=f"{type(error).__name__}: {error}"))


def hand_over(server: Serving, made: SiteImage, taken_s: float = _TAKEN_S) -> None:
    """Returns when the image is the one served; UnavailableError, and the old one is, when it cannot be."""
    until = time.monotonic() + taken_s
    while not server.offer_image(made.buffer, made.large):
        if time.monotonic() > until:
            if made.large is not None:
                made.large.close()
            raise UnavailableError(
                "the new site is not served",
                why=f"{server.images_held()} earlier ones are still being sent to slow clients",
                remedy="Try again when they are done; --idle-timeout ends those that take nothing",
            )
        time.sleep(_LOOK_S)
    while not server.image_taken:
        if time.monotonic() > until + taken_s:
            raise UnavailableError("the new site is not served", why="the worker does not take it up")
        time.sleep(_LOOK_S)
