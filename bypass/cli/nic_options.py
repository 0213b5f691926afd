"""Options that several commands of `bypass nic` have: the wish, and the folder of journals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bypass.nic.cpus import WORDS
from bypass.nic.journal import DEFAULT_FOLDER, Store
from bypass.nic.planner import Wish
from bypass.nic.sysfiles import parse_list

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class NumberList(click.ParamType[tuple[int, ...]]):
    """Numbers and ranges such as 0-3,6."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = parse_list(str(value))
        except ValueError:
            numbers = ()
        if not numbers:
            self.fail(f"{value!r} is not a list of numbers such as 0-3,6", param, ctx)
        return numbers


_WISH = (
    click.option(
        "--workers", type=click.IntRange(1, 4096), metavar="N", help="As many queues.  [default: leave]"
    ),
    click.option("--queues", type=NumberList(), metavar="LIST", help="Serve these of the queues there are."),
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Steer this TCP port to our queue, if it can.",
    ),
    click.option(
        "--irq-affinity",
        metavar="WHERE",
        default="local",
        show_default=True,
        help=f"CPUs of interrupts: {', '.join(WORDS)}, or a list such as 2,4-6.",
    ),
    click.option("--busy-poll", is_flag=True, help="Keep interrupts off while a worker polls."),
    click.option(
        "--rings",
        type=click.IntRange(1, 1 << 20),
        metavar="N",
        help="Ring size.  [default: at least as the recipe]",
    ),
    click.option("--hugepages", type=click.IntRange(1), metavar="N", help="Reserve so many huge pages."),
    click.option("--threaded", is_flag=True, help="Run the driver's polling in kernel threads."),
    click.option("--vlan", is_flag=True, help="Have VLAN tags left in packets."),
)


def wish_options(command: Decorated) -> Decorated:
    for option in reversed(_WISH):
        command = option(command)
    return command


def wish_of(options: dict[str, Any]) -> Wish:
    """From the values of `wish_options`."""
    if options["workers"] and options["queues"]:
        raise click.UsageError("--workers and --queues: only one of them can be given")
    return Wish(
        workers=options["workers"] or 0,
        queues=options["queues"] or (),
        port=options["port"] or 0,
        irq_affinity=options["irq_affinity"],
        busy_poll=options["busy_poll"],
        rings=options["rings"] or 0,
        hugepages=options["hugepages"] or 0,
        vlan=options["vlan"],
        threaded=options["threaded"],
    )


def state_dir_option(command: Decorated) -> Decorated:
    return click.option(
        "--state-dir",
        "store",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_FOLDER,
        show_default=True,
        envvar="BYPASS_STATE_DIR",
        callback=lambda context, parameter, folder: Store(folder),
        metavar="FOLDER",
        help="Where the way back is kept.",
    )(command)


def json_option(command: Decorated) -> Decorated:
    return click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")(command)
