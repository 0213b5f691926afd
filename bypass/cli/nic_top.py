"""`bypass nic top`: packets, drops and interrupts as they happen. Live on a terminal, else plain lines."""

from __future__ import annotations

import time
from contextlib import ExitStack

import click
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bypass.cli.console import verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.cli.nic_options import json_option
from bypass.nic.counters import Rates, rates, read_counters
from bypass.text import format_count, parse_duration_s

_MOST_DROPS = 12


def _interval(_: click.Context, __: click.Parameter, text: str) -> float:
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time such as 1s or 500ms") from error
    if not 0.05 <= seconds <= 3600:
        raise click.BadParameter("from 50ms to 1h")
    return seconds


@click.command(
    cls=ExamplesCommand,
    examples=("bypass nic top eth0", "bypass nic top eth0 --once --json"),
    help="Packets by queue, drops by reason, interrupts by queue and CPU, per second, until Ctrl-C.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("ifname", metavar="IF")
@click.option(
    "--interval", metavar="TIME", default="1s", show_default=True, callback=_interval, help="Between looks."
)
@click.option("--once", is_flag=True, help="Look once, after one interval.")
@json_option
@verbosity_options
def top(ifname: str, interval: float, once: bool, as_json: bool) -> None:
    console = Console(highlight=False)
    last = read_counters(ifname)
    with ExitStack() as stack:
        live = None
        if console.is_terminal and not as_json and not once:
            live = stack.enter_context(Live(console=console, auto_refresh=False, transient=True))
        while True:
            time.sleep(interval)
            now = read_counters(ifname)
            look, last = rates(last, now), now
            if as_json:
                click.echo(msgspec.json.encode({"version": 1, "interface": ifname, **_facts(look)}).decode())
            elif live is not None:
                live.update(picture(ifname, look), refresh=True)
            else:
                console.print(picture(ifname, look))
            if once:
                return


def _facts(look: Rates) -> dict[str, object]:
    facts = msgspec.to_builtins(look, str_keys=True)
    assert isinstance(facts, dict)
    return facts


def picture(ifname: str, look: Rates) -> Group:
    """One look as a table of queues, and a line for each reason that lost packets."""
    grid = Table(header_style="bold", box=None, pad_edge=False)
    for title in (ifname, "rx packets/s", "rx B/s", "tx packets/s", "tx B/s", "interrupts/s by CPU"):
        grid.add_column(title, justify="left" if title == ifname else "right")
    numbers = sorted({*look.queues, *look.interrupts} - {-1})
    for number in numbers:
        grid.add_row(
            f"queue {number}", *_numbers(look.queues.get(number, {})), _cpus(look.interrupts.get(number, {}))
        )
    grid.add_row("all", *_numbers(look.total), _cpus(look.interrupts.get(-1, {})))
    lost = sorted(look.drops.items(), key=lambda item: -item[1])
    lines = [Text(f"lost: {count} {reason}", style="red") for reason, count in lost[:_MOST_DROPS]]
    return Group(grid, *(lines or [Text("nothing lost", style="dim")]))


def _numbers(counts: dict[str, float]) -> list[str]:
    names = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")
    return [format_count(counts[name]) if name in counts else "-" for name in names]


def _cpus(by_cpu: dict[int, float]) -> str:
    return " ".join(f"{cpu}:{format_count(rate)}" for cpu, rate in by_cpu.items() if rate >= 0.5) or "-"
