"""`bypass reload`: asks a running server for its site anew. Arguments and words; no logic."""

from __future__ import annotations

import click
import msgspec

from bypass.cli.console import messages_of, print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.errors import BypassError, UnavailableError
from bypass.reload.control import ask, find_server
from bypass.reload.control import runtime_folder as folder_of
from bypass.reload.outcome import Reloaded
from bypass.text import environment_name

HELP = """Have the running server compile its site anew and serve it.

Returns when the new site is served. When it cannot be made, the old one goes on, and this says why.
Responses that have begun are finished from the old site."""


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass reload", "sudo bypass reload --interface eth0 --json"),
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("-i", "--interface", metavar="IF", default="", help="Of the server, where several are running.")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Likewise.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=600, show_default=True, help="Seconds.")
@click.option(
    "--runtime-folder",
    envvar=environment_name("runtime-folder"),
    default="",
    metavar="FOLDER",
    help="Where the server has its socket.  [default: /run/bypass]",
)
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
@verbosity_options
@click.pass_context
def reload(
    context: click.Context,
    interface: str,
    port: int | None,
    timeout: float,
    runtime_folder: str,
    as_json: bool,
) -> None:
    server = find_server(folder_of(runtime_folder), interface, port or 0)
    messages_of(context).detail(f"asking {server}")
    try:
        facts = ask(server.path, "reload", timeout)
    except TimeoutError:
        raise UnavailableError(
            f"{server}: no answer within {timeout:g} s", remedy="It may still be compiling; see its messages"
        ) from None
    except (OSError, ValueError) as error:
        raise BypassError(f"{server}: ended while it was reloading", why=str(error)) from None
    if as_json:
        print_facts({"server": server.about, "reloaded": facts})
    else:
        messages_of(context).say(f"{server}: {msgspec.convert(facts, Reloaded)}")
