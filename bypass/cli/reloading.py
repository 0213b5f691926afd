"""Everything of `bypass serve` that has to do with reloading, put together for one run."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from bypass.cli.console import Messages
from bypass.config import ServeOptions
from bypass.errors import BypassError, UnavailableError
from bypass.reload.control import ControlSocket, Facts, runtime_folder
from bypass.reload.maker import ImageMaker
from bypass.reload.outcome import Reloaded
from bypass.reload.reloader import Reloader
from bypass.reload.watch import Watcher
from bypass.serve.server import Server
from bypass.site.image import SiteImage


def maker_for(options: ServeOptions, config: Path | None) -> ImageMaker:
    """Away from the worker's CPU, where there is another. config: the settings file."""
    others = os.sched_getaffinity(0) - {options.cpu} if options.cpu >= 0 else set()
    site = Path(options.site) if options.site else None
    return ImageMaker(site, options.max_memory or None, others, config, options.large_file)


@contextmanager
def reloading(
    server: Server,
    image: SiteImage,
    maker: ImageMaker,
    options: ServeOptions,
    watched: Collection[Path],
    wanted: threading.Event,
    messages: Messages,
) -> Iterator[None]:
    """Reloads when `wanted` is set, when asked over the control socket and, with --watch, at changes.

    watched: folders and files in which they happen."""
    with ExitStack() as stack:
        reloader = Reloader(
            server,
            image,
            maker.make,
            partial(report, messages),
            wanted,
            cancel=maker.cancel,
            silent_s=maker.silent_s,
        )
        stack.callback(reloader.close)
        folder = runtime_folder(options.runtime_folder)
        handlers = {"about": partial(about, server, options), "reload": partial(_reload, reloader, messages)}
        try:
            control = ControlSocket(folder, f"{options.interface}.{options.port}", handlers)
            stack.callback(control.close)
        except UnavailableError as error:
            messages.warn(f"{error}; 'bypass reload' will not find this server, SIGHUP does")
        if options.watch:
            for path in watched:
                stack.callback(Watcher(path, reloader.request).close)
        yield


def report(messages: Messages, outcome: Reloaded | BypassError) -> None:
    if isinstance(outcome, BypassError):
        messages.error(f"not reloaded, the site is served as before: {outcome}")
    else:
        messages.say(str(outcome))


def about(server: Server, options: ServeOptions) -> Facts:
    return {
        "interface": options.interface,
        "port": options.port,
        "pid": os.getpid(),
        "site": os.path.abspath(options.site) if options.site else "",
        "urls": list(server.plan.urls),
    }


def _reload(reloader: Reloader, messages: Messages) -> Facts:
    """For the control socket: the asker is told, and so is who watches the server."""
    try:
        outcome = reloader.reload()
    except BypassError as error:
        report(messages, error)
        raise
    report(messages, outcome)
    facts = msgspec.to_builtins(outcome)
    assert isinstance(facts, dict)
    return facts
