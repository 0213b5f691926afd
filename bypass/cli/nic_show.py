"""`bypass nic show`: one picture of the way NIC -> queue -> NAPI -> interrupt -> CPU -> who listens."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console

from bypass.cli.console import print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.cli.nic_options import json_option
from bypass.cli.nic_picture import device_table, queue_table, queue_tree
from bypass.nic.kernel import KernelNic


@click.command(
    cls=ExamplesCommand,
    examples=("bypass nic show eth0", "bypass nic show eth0 --tree", "bypass nic show eth0 --json"),
    help="How packets come from IF to queues, interrupts and CPUs, and who listens. Root sees all of it.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("ifname", metavar="IF")
@click.option("--tree", is_flag=True, help="Queues as a tree.")
@json_option
@verbosity_options
def show(ifname: str, tree: bool, as_json: bool) -> None:
    seen = KernelNic(ifname).snapshot()
    if as_json:
        print_facts(msgspec.to_builtins(seen, str_keys=True))
        return
    console = Console(highlight=False)
    console.print(device_table(seen))
    console.print(queue_tree(seen) if tree else queue_table(seen))
