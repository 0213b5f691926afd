"""Where a command's words go: facts to stdout, messages to stderr. -q and -v.

Colour is rich's affair: only on a terminal, and never when NO_COLOR is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.text import Text

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Messages:
    """Messages to stderr. verbosity: -1 errors only, 0 normal, 1 and more: details."""

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, message: str) -> None:
        """What a person who watches wants to know."""
        if self.verbosity >= 0:
            self.console.print(Text(message))

    def detail(self, message: str) -> None:
        """What somebody who looks for a fault wants to know."""
        if self.verbosity > 0:
            self.console.print(Text(message, style="dim"))

    def warn(self, message: str) -> None:
        if self.verbosity >= 0:
            self.console.print(Text.assemble(("warning: ", "yellow"), message))

    def error(self, message: str) -> None:
        """Shown at any verbosity."""
        self.console.print(Text.assemble("bypass: ", ("error: ", "bold red"), message))


def messages_of(context: click.Context | None) -> Messages:
    """The Messages of this run, made at the first call."""
    root = context.find_root() if context else None
    if root is None:
        return Messages()
    if not isinstance(root.obj, Messages):
        root.obj = Messages()
    return root.obj


def print_facts(facts: dict[str, object]) -> None:
    """One JSON object to stdout, with the `version` field that every --json output has."""
    click.echo(msgspec.json.format(msgspec.json.encode({"version": 1, **facts}), indent=2).decode())


def verbosity_options(command: Decorated) -> Decorated:
    """-q and -v, the same before and behind the command's name."""
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_quieter, help="Errors only."
    )
    verbose = click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_louder, help="Say more."
    )
    return quiet(verbose(command))


def _quieter(context: click.Context, _: click.Parameter, quiet: bool) -> None:
    if quiet:
        messages_of(context).verbosity = -1


def _louder(context: click.Context, _: click.Parameter, count: int) -> None:
    if count:
        messages_of(context).verbosity = count
