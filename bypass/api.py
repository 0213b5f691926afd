"""The Python interface: a compiled site, and a server of it as a context manager.

Nothing here prints, takes over signals or ends the process. Every error of a user is a
bypass.errors.BypassError whose text says what failed, on what, why and what to do. What works less
well than hoped goes to the logger "bypass", as warnings.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bypass.accesslog.writer import Lines
from bypass.config import HINTS, ServeOptions, resolve
from bypass.errors import ConfigError
from bypass.reload.reloader import hand_over
from bypass.serve.content import load_site, open_site
from bypass.serve.parts import Parts, kernel_parts
from bypass.serve.plan import log_plan
from bypass.serve.preflight import prepare, warnings
from bypass.serve.server import Server as RunningServer
from bypass.serve.server import open_server
from bypass.serve.tune import put_back_leftovers, tuned
from bypass.site.compile import Progress
from bypass.site.describe import NOTHING_SET
from bypass.site.image import SiteImage, StoredResponse, is_image, open_image
from bypass.site.rules.settings import SiteConfig
from bypass.site.rules.tables import read_site_tables
from bypass.text import did_you_mean

LOGGER = logging.getLogger("bypass")
_LOOK_S = 0.05
_DRAIN_LOOK_S = 0.02


class Site(Mapping[str, StoredResponse]):
    """A compiled site in memory that nobody can change: URL path -> response.

    Paths are as in the image, percent-decoded, undecodable octets as surrogate escapes. A server
    that was given a site uses it until it stops; close() it after that.
    """

    def __init__(self, image: SiteImage) -> None:
        """Use Site.compile() or Site.open()."""
        self._image = image

    @classmethod
    def compile(
        cls,
        folder: str | os.PathLike[str] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        hosts: Sequence[Mapping[str, object]] = (),
        config: str | os.PathLike[str] | None = None,
        max_bytes: int | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Compiles a folder into memory. Raises SiteError and ConfigError.

        settings, hosts: the tables [site] and [[host]] of docs/site.md (`{"listing": True, "clean-urls":
        True}`); config: a settings file in their place. folder: may be left out where hosts have all
        there is. max_bytes: largest image allowed (default: half of the memory available). progress:
        called with (done_bytes, total_bytes).
        """
        root = None if folder is None else Path(folder)
        return cls(load_site(root, max_bytes, progress, _config(settings, hosts, config)))

    @classmethod
    def open(cls, image: str | os.PathLike[str], *, max_bytes: int | None = None) -> Self:
        """A checked copy of an image made by `bypass build`. Raises SiteError, also for anything else."""
        path = Path(image)
        if not is_image(path):
            open_image(path).close()  # raises, and says what is wrong
        return cls.compile(path, max_bytes=max_bytes)

    @property
    def image(self) -> SiteImage:
        return self._image

    @property
    def files(self) -> int:
        """Files of the folder that are served; paths, len(self), can be more."""
        return self._image.files

    @property
    def image_bytes(self) -> int:
        return self._image.image_bytes

    def __getitem__(self, path: str) -> StoredResponse:
        found = self._image.lookup(os.fsencode(path))
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return (os.fsdecode(path) for path, _ in self._image)

    def __len__(self) -> int:
        return len(self._image)

    def close(self) -> None:
        """Lets go of it; the memory is free with the last view of a body."""
        self._image.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Server:
    """Serves a site from entry to exit of the context.

    site: a Site, or a folder or image to open. options: those of `bypass serve`, with underscores
    (`port=8080`, `address=["192.0.2.1"]`, `poll="latency"`, `idle_timeout="30s"`). Wrong ones are a
    ConfigError now; what the machine refuses is a BypassError on entry, and then nothing is left
    attached. Environment and configuration files are not looked at.

    access_log: a file, "-" for stdout, or a function that is given whole lines as octets, each with its LF,
    in a thread of its own; what it raises is a warning, and its lines are lost (or with log_when_full="wait"
    given to it again).
    """

    def __init__(
        self,
        site: Site | str | os.PathLike[str],
        *,
        interface: str,
        access_log: str | os.PathLike[str] | Lines = "",
        parts: Parts | None = None,
        **options: Any,
    ) -> None:
        """parts: what the server is put together from, for tests; default: the kernel's."""
        self._site = site
        place = "." if isinstance(site, Site) else os.fspath(site)
        self._lines = access_log if callable(access_log) else None
        file = "" if callable(access_log) else os.fspath(access_log)
        flags = {"site": place, "interface": interface, "access_log": file, **_known(options)}
        self.options: ServeOptions = resolve(flags, {}).options
        self._parts = parts
        self._stack = ExitStack()
        self._running: RunningServer | None = None

    def __enter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("the server runs already")
        with ExitStack() as stack:
            put_back_leftovers(self.options, LOGGER.warning)
            plan = prepare(self.options, "this program")
            if self._lines is not None:
                plan = replace(plan, log=log_plan(self.options, self._lines))
            for warning in warnings(plan):
                LOGGER.warning(warning)
            if isinstance(self._site, Site):
                image, large = self._site.image, None
            else:
                image = stack.enter_context(open_site(Path(self._site), *self._limits()))
                large = image.large
            parts = self._parts or kernel_parts()
            stack.enter_context(tuned(self.options, plan, LOGGER.info))
            self._running = stack.enter_context(open_server(plan, image.buffer, parts, LOGGER.warning, large))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drains for `drain_timeout`, unless an exception is on its way, then takes everything down."""
        with self._stack:
            if kind is None and self._running is not None:
                self._drain(self._running)
        self._running = None

    def reload(self, site: Site | str | os.PathLike[str] | None = None) -> None:
        """Serves another site, or the same folder or image read anew, from the next request on; responses
        that have begun are finished from the old one. BypassError: the old one is served on."""
        wanted = self._site if site is None else site
        if isinstance(wanted, Site):
            hand_over(self._entered(), wanted.image)
        else:
            image = load_site(Path(wanted), *self._limits())
            try:
                hand_over(self._entered(), image)
            finally:
                image.close()
        self._entered().images_held()
        self._site = wanted

    @property
    def running(self) -> bool:
        return self._running is not None and self._running.running

    @property
    def urls(self) -> tuple[str, ...]:
        """One URL an address, such as http://192.0.2.1:8080/."""
        return self._entered().plan.urls

    @property
    def mode(self) -> str:
        """ "native" or "generic": where the XDP program was attached."""
        return self._entered().mode

    @property
    def zero_copy(self) -> bool:
        """Whether every queue has it, as read back from the kernel."""
        return self._entered().zero_copy

    @property
    def open_connections(self) -> int:
        return self._entered().open_connections

    def counters(self) -> dict[str, int]:
        """Every counter of the data plane by name, at most a millisecond old while it works."""
        return self._entered().counters()

    def wait(self, timeout_s: float | None = None) -> None:
        """Returns after `timeout_s`, or never. UnavailableError as soon as the server can serve no more. Lets
        go of sites served before, with their files, when nothing is sent of them any more."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while until is None or time.monotonic() < until:
            self._entered().require_alive()
            self._entered().images_held()
            time.sleep(_LOOK_S if until is None else min(_LOOK_S, max(until - time.monotonic(), 0.0)))
        self._entered().require_alive()

    def _entered(self) -> RunningServer:
        if self._running is None:
            raise RuntimeError("the server is not running: enter it with 'with' first")
        return self._running

    def _limits(self) -> tuple[int | None, None, SiteConfig, int]:
        """Of load_site(): most memory, no progress, no settings, and from which size on files stay out."""
        return self.options.max_memory or None, None, NOTHING_SET, self.options.large_file

    def _drain(self, server: RunningServer) -> None:
        server.drain()
        until = time.monotonic() + self.options.drain_timeout
        while server.open_connections and server.running and time.monotonic() < until:
            time.sleep(_DRAIN_LOOK_S)


def _config(
    settings: Mapping[str, object] | None,
    hosts: Sequence[Mapping[str, object]],
    file: str | os.PathLike[str] | None,
) -> SiteConfig:
    """From a file or from tables. ConfigError for the first mistake."""
    if file is not None:
        if settings or hosts:
            raise ConfigError("config and settings", why="both are given", remedy="Give one of them")
        return resolve({}, {}, Path(file)).site
    document = {"site": dict(settings or {}), "host": [dict(host) for host in hosts]}
    site, flaws = read_site_tables(document, Path())
    for flaw in flaws:
        shown = "" if flaw.value is None else f" = {flaw.value!r}"
        raise ConfigError(f"{flaw.key}{shown}", why=flaw.why, remedy=flaw.remedy)
    return site


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, lists as they may be written in Python. TypeError for one that does not exist."""
    for name in options:
        if name not in HINTS or name in ("site", "interface"):
            hint = did_you_mean(name, list(HINTS))
            raise TypeError(f"Server() has no option {name!r}" + (f". {hint}" if hint else ""))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
