"""`bypass`: the commands, and the one place where a failure becomes words and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from bypass import __version__
from bypass.cli.console import Messages, messages_of, print_facts, verbosity_options
from bypass.cli.lazy import LazyGroup, write_examples
from bypass.errors import BypassError, ExitCode, UnavailableError

COMMANDS = {
    "serve": ("bypass.cli.serve:serve", "Serve a folder or site image on an interface."),
    "demo": ("bypass.cli.demo:demo", "Serve a sample site on a pair of virtual interfaces."),
    "build": ("bypass.cli.build:build", "Compile a folder to one site image."),
    "reload": ("bypass.cli.reload:reload", "Have a running server serve its site anew."),
    "nic": ("bypass.cli.nic:nic", "See and tune the queues of a NIC."),
    "check": ("bypass.cli.check:check", "Say what would keep a server from serving, and what mends it."),
    "bench": ("bypass.cli.bench:bench", "Measure on this machine."),
}
EXAMPLES = (
    "sudo bypass demo",
    "sudo bypass serve ./site --interface eth0",
)


class MainGroup(LazyGroup):
    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(EXAMPLES, formatter)
        super().format_help(ctx, formatter)


@click.group(
    cls=MainGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
    help="A static web server that takes packets straight from the NIC queue (AF_XDP).",
)
@click.version_option(__version__, message="bypass %(version)s")
@verbosity_options
@click.pass_context
def cli(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits. `arguments` without the program's name; sys.argv when None."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit code. No failure of a person's making leaves a traceback."""
    try:
        with cli.make_context("bypass", list(arguments)) as context:
            result = cli.invoke(context)
            sys.stdout.flush()
            return result if isinstance(result, int) else ExitCode.OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _usage_failed(error)
    except BypassError as error:
        return _failed(error, arguments)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("bypass."):
            raise
        missing = UnavailableError(f"{error.name} is not there", remedy="Run 'make setup' to compile it.")
        return _failed(missing, arguments)
    except click.ClickException as error:
        return _failed(BypassError(error.format_message()), arguments)
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_left()


def _usage_failed(error: click.UsageError) -> int:
    context = error.ctx
    path = context.command_path if context else "bypass"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    text = (error.message if isinstance(error, click.NoSuchOption) else error.format_message()).rstrip(".?")
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        text += f". Did you mean {' or '.join(error.possibilities)}"
    end = "?" if "Did you mean" in text else "."
    text = text[:1].lower() + text[1:] if text[1:2].islower() else text
    messages_of(context).error(f"{text}{end} See '{path} --help'.")
    return ExitCode.USAGE


def _failed(error: BypassError, arguments: Sequence[str]) -> int:
    Messages().error(str(error))
    if "--json" in arguments:
        print_facts({"error": {"what": error.what, "why": error.why, "remedy": error.remedy}})
    return error.exit_code


def _reader_left() -> int:
    """stdout was closed by its reader (`bypass ... | head`): keep the interpreter's own flush quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
