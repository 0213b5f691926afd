"""`bypass demo`: serves a site to a client on this machine, proves it, and shows rates until Ctrl-C."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import get_args

import click
import msgspec
from rich.live import Live
from rich.text import Text

from bypass.cli.console import Messages, messages_of, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.cli.progress import site_progress
from bypass.cli.serve import announce
from bypass.config import Poll, ServeOptions, resolve
from bypass.errors import ExitCode
from bypass.serve.content import open_site
from bypass.serve.demo import choose_sample, demo_network, prove
from bypass.serve.lifecycle import serve_until_stopped
from bypass.serve.parts import kernel_parts
from bypass.serve.preflight import prepare, require_site
from bypass.serve.rates import RateMeter
from bypass.serve.server import Server, open_server
from bypass.serve.signals import StopRequest
from bypass.serve.vethpair import VethPair
from bypass.site.rules.settings import SiteConfig
from bypass.site.text import format_bytes

HELP = """Serve SITE (default: a small sample site) to a client on this same machine.

Makes a pair of virtual links with the client in a network namespace, fetches a page over IPv4 and IPv6
through the kernel's TCP, compares it with the file, and shows rates until Ctrl-C removes everything."""


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass demo", "sudo bypass demo ./site --once"),
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("site", required=False)
@click.option("--once", is_flag=True, help="Exit after the proof: 0 only when every byte matched.")
@click.option("--port", metavar="PORT", help="TCP port.  [default: 80]")
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (TOML).")
@click.option("--poll", type=click.Choice(get_args(Poll)), help="Spin, sleep or both.  [default: balanced]")
@verbosity_options
@click.pass_context
def demo(context: click.Context, /, site: str | None, once: bool, file: Path | None, **flags: object) -> int:
    given = {name: value for name, value in flags.items() if value is not None}
    environment = {
        name: value for name, value in os.environ.items() if name in ("BYPASS_POLL", "BYPASS_PORT")
    }
    options, config = resolve(given, environment).options, resolve({}, {}, file).site
    with ExitStack() as stack:
        if site is None:
            site = str(stack.enter_context(as_file(files("bypass").joinpath("data", "demo-site"))))
        require_site(Path(site))
        options = msgspec.structs.replace(options, site=site)
        return run(options, messages_of(context), config, once=once)


def run(options: ServeOptions, messages: Messages, config: SiteConfig, *, once: bool) -> int:
    """The demonstration from making the network to removing it. Returns the exit code."""
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        pair = stack.enter_context(demo_network())
        stop.check()
        root = Path(options.site)
        addresses = (str(pair.server.v4), str(pair.server.v6))
        options = msgspec.structs.replace(options, interface=pair.server.ifname, address=addresses)
        plan = prepare(options, "bypass demo")
        with site_progress(messages, stop) as progress:
            image = stack.enter_context(open_site(root, options.max_memory or None, progress, config))
        stop.check()
        server = stack.enter_context(open_server(plan, image.buffer, kernel_parts(), messages.warn))
        announce(messages, server, image)
        for proof in prove(pair, plan.urls, choose_sample(root, image)):
            click.echo(f"ok  {proof.url}  {format_bytes(proof.size_bytes)}, every byte as on disk")
        if once:
            return ExitCode.OK
        stop.attend()
        invite(messages, pair, plan.urls)
        with Live(console=messages.console, auto_refresh=False, transient=True) as live:
            serve_until_stopped(server, stop, 0.0, rate_line(server, messages, live))
    messages.say("stopped; the links and the namespace are removed")
    return ExitCode.INTERRUPTED if stop.interrupted else ExitCode.OK


def invite(messages: Messages, pair: VethPair, urls: tuple[str, ...]) -> None:
    """How to try it by hand."""
    messages.say("try it from another terminal:")
    become_root = "sudo " if shutil.which("sudo") else ""
    for url in urls:
        messages.say(f"  {become_root}ip netns exec {pair.client.namespace} curl '{url}'")
    messages.say("Ctrl-C ends it")


def rate_line(server: Server, messages: Messages, live: Live) -> Callable[[float], None]:
    """Called once per second: a line that is overwritten on a terminal, and lines elsewhere."""
    meter = RateMeter(server.counters())

    def show(elapsed_s: float) -> None:
        rates = meter.look(server.counters(), elapsed_s)
        line = f"{rates}, {server.open_connections} connections"
        if messages.console.is_terminal:
            live.update(Text(line), refresh=True)
        elif rates.requests:
            messages.say(line)

    return show
