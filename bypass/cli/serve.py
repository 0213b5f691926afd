"""`bypass serve`: arguments to typed options, and what a person is told. No logic."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import click

from bypass.cli.console import Messages, messages_of, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.config import Congestion, Mode, Poll, ServeOptions, WhenFull, resolve
from bypass.errors import ExitCode
from bypass.serve.lifecycle import Summary
from bypass.serve.server import Server
from bypass.site.image import SiteImage
from bypass.site.rules.settings import SiteConfig
from bypass.site.text import format_bytes
from bypass.text import format_count, plural

HELP = """Serve SITE, a folder or an image made by 'bypass build', over AF_XDP.

Only TCP to the address and port goes past the kernel; ssh, ARP, ICMP and every other port keep working.
Every option can stand in the environment (BYPASS_PORT=8080) and in a file (--config)."""


@click.command(
    cls=ExamplesCommand,
    examples=(
        "sudo bypass serve ./site --interface eth0",
        "sudo bypass serve ./site --interface eth0 --port 8080 --poll latency --cpu 1",
    ),
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("site", required=False)
@click.option("-i", "--interface", metavar="IF", help="The interface to serve on.")
@click.option(
    "--address", multiple=True, metavar="IP", help="Address to serve.  [default: the interface's own]"
)
@click.option("--port", metavar="PORT", help="TCP port.  [default: 80]")
@click.option("--queue", multiple=True, metavar="N", help="Receive queue to take from.  [default: every one]")
@click.option("--mode", type=click.Choice(get_args(Mode)), help="Where XDP hooks in.  [default: auto]")
@click.option("--copy", "memory", flag_value="copy", default=None, help="Have the kernel copy packets.")
@click.option("--zero-copy", "memory", flag_value="zero-copy", help="Insist on it.  [default: as it can]")
@click.option("--poll", type=click.Choice(get_args(Poll)), help="Spin, sleep or both.  [default: balanced]")
@click.option(
    "--busy-poll", is_flag=True, default=None, help="Poll the driver too, where it stands the test."
)
@click.option("--tune", is_flag=True, default=None, help="Tune the NIC meanwhile ('bypass nic plan').")
@click.option(
    "--state-dir", metavar="FOLDER", help="Where the NIC's way back is.  [default: /var/lib/bypass/nic]"
)
@click.option("--connections", metavar="N", help="Most connections at a time.  [default: 65536]")
@click.option(
    "--congestion", type=click.Choice(get_args(Congestion)), help="Congestion control.  [default: cubic]"
)
@click.option("--idle-timeout", metavar="TIME", help="Close connections idle for so long.  [default: 60s]")
@click.option("--block", multiple=True, metavar="CIDR", help="Drop what comes from there.")
@click.option("--syn-rate", metavar="N", help="Connections per second and source.  [default: no limit]")
@click.option(
    "--connections-per-source", metavar="N", help="Open connections of one source.  [default: no limit]"
)
@click.option("--max-memory", metavar="SIZE", help="Largest site.  [default: half of the memory available]")
@click.option("--large-file", metavar="SIZE", help="Files of so much stay on disk.  [default: 64M]")
@click.option("--large-memory", metavar="SIZE", help="Memory for parts of them.  [default: 256M]")
@click.option("--access-log", metavar="FILE", help="A line for every response; - is stdout.  [default: none]")
@click.option(
    "--log-format",
    metavar="FORMAT",
    help="common, combined, json, or text with $variables.  [default: combined]",
)
@click.option(
    "--log-when-full", type=click.Choice(get_args(WhenFull)), help="Lose lines, or let requests wait."
)
@click.option("--log-buffer", metavar="SIZE", help="Memory for lines not yet written.  [default: 8M]")
@click.option("--watch", is_flag=True, default=None, help="Reload when files of the site change.")
@click.option(
    "--runtime-folder", metavar="FOLDER", help="Where 'bypass reload' finds us.  [default: /run/bypass]"
)
@click.option("--cpu", metavar="N", help="Pin the worker to this CPU.")
@click.option(
    "--drain-timeout", metavar="TIME", help="At a stop, finish responses for so long.  [default: 10s]"
)
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (TOML).")
@verbosity_options
@click.pass_context
def serve(context: click.Context, /, file: Path | None, **flags: object) -> int:
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    resolved = resolve(given, os.environ, file)
    options = resolved.options
    if not options.site and not resolved.site.hosts:
        raise click.UsageError("SITE is missing: name a folder, or an image made by 'bypass build'")
    if not options.interface:
        raise click.UsageError("--interface is missing: name the interface to serve on")
    return run(options, messages_of(context), file, watched(options, resolved.site, file))


def watched(options: ServeOptions, config: SiteConfig, file: Path | None) -> list[Path]:
    """Where a change of the site can be: its folder or image, those of its hosts, and the settings."""
    folders = [Path(options.site)] if options.site else []
    folders += [config.folder / host.root for host in config.hosts]
    return [*folders, *([file] if file else [])]


def run(options: ServeOptions, messages: Messages, config: Path | None, places: Collection[Path]) -> int:
    """Serves until a signal, and says so. config: the settings file. Returns the exit code."""
    from bypass.cli.progress import site_progress
    from bypass.cli.reloading import maker_for, reloading
    from bypass.serve.lifecycle import serve_until_stopped
    from bypass.serve.parts import kernel_parts
    from bypass.serve.preflight import prepare, warnings
    from bypass.serve.server import open_server
    from bypass.serve.signals import StopRequest
    from bypass.serve.tune import put_back_leftovers, tuned

    reload_wanted = threading.Event()
    with ExitStack() as stack:
        reopeners: list[Callable[[], object]] = []
        asked = {
            signal.SIGHUP: reload_wanted.set,
            signal.SIGUSR1: lambda: [reopen() for reopen in reopeners],
        }
        stop = stack.enter_context(StopRequest(asked))
        put_back_leftovers(options, messages.warn)
        plan = prepare(options, "bypass serve")
        for warning in warnings(plan):
            messages.warn(warning)
        maker = stack.enter_context(maker_for(options, config))
        with site_progress(messages, stop) as progress:
            image = stack.enter_context(maker.make(progress))
        stop.check()
        stack.enter_context(tuned(options, plan, messages.say))
        server = stack.enter_context(
            open_server(plan, image.buffer, kernel_parts(), messages.warn, image.large)
        )
        reopeners.append(server.reopen_log)
        stop.attend()
        stack.enter_context(reloading(server, image, maker, options, places, reload_wanted, messages))
        announce(messages, server, image)
        summary = serve_until_stopped(server, stop, options.drain_timeout, warn=messages.warn)
    left = f", {plural(summary.left_open, 'connection')} cut off" if summary.left_open else ""
    messages.say(
        f"stopped: {format_count(summary.requests)} requests, {format_bytes(summary.sent_bytes)} sent"
        f" in {summary.seconds:.0f} s{left}"
    )
    account(messages, summary)
    return ExitCode.INTERRUPTED if stop.interrupted else ExitCode.OK


def account(messages: Messages, summary: Summary) -> None:
    """Where frames went, and whether any went missing."""
    for totals in summary.queues:
        messages.detail(
            f"  queue {totals.queue}: {totals.received} frames in, {totals.sent} out,"
            f" {totals.starved} times without a buffer"
        )
    refusals = ", ".join(f"{many} {words}" for words, many in summary.refused.items() if many)
    if refusals:
        messages.say(f"  kept out: {refusals}")
    if summary.log_dropped:
        messages.warn(
            f"{plural(summary.log_dropped, 'line')} of the access log lost: they came faster than they could"
            " be written (--log-when-full wait, or a larger --log-buffer)"
        )
    words = f"{plural(summary.frames_lost, 'packet buffer')} lost"
    if summary.frames_lost:
        messages.warn(f"{words}: this is a bug, please report it")
    else:
        messages.detail(f"  {words}")


def announce(messages: Messages, server: Server, image: SiteImage) -> None:
    """What is served where and how, as the kernel reads it back."""
    plan = server.plan
    messages.say(f"serving {' '.join(plan.urls)}")
    queues = ", ".join(map(str, plan.queues))
    memory = "zero-copy" if server.zero_copy else "copy"
    if plan.busy_poll:
        memory += f", {server.busy_poll} busy polling"
    messages.say(
        f"  on    {plan.interface.name}, driver {plan.driver}, {server.mode} mode,"
        f" {memory}, {plural(len(plan.queues), 'queue')} ({queues})"
    )
    if plan.own_addresses:
        names = ", ".join(map(str, plan.own_addresses))
        messages.say(f"  own   {names}: answers ARP, neighbour discovery and echo itself")
    messages.say(f"  site  {plural(image.files, 'file')}, {format_bytes(image.image_bytes)} of packets")
    if plan.cpu >= 0:
        messages.detail(f"  cpu   {plan.cpu}")
    messages.detail(f"  memory locked for packets: {format_bytes(plan.locked_bytes)}")
