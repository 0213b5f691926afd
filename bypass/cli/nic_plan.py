"""`bypass nic plan`: the steps, without taking any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from bypass.cli.console import messages_of, print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.cli.nic_options import json_option, wish_of, wish_options
from bypass.errors import ConfigError
from bypass.nic.commands import command_for
from bypass.nic.emit import link_file, script
from bypass.nic.kernel import KernelNic
from bypass.nic.planner import Plan, Step, make_plan
from bypass.nic.recipes import Recipe, recipe_for
from bypass.nic.settings import queues_text
from bypass.nic.snapshot import Snapshot

HELP = """What 'bypass nic apply' would change on IF, in order, with the reason, the command line that does
the same and the one that undoes it. Changes nothing."""


@click.command(
    cls=ExamplesCommand,
    examples=("bypass nic plan eth0 --workers 2", "bypass nic plan eth0 --workers 2 --emit-script"),
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("ifname", metavar="IF")
@wish_options
@click.option(
    "--snapshot",
    "recorded",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Plan for what 'nic show --json' printed, not for this machine.",
)
@click.option("--emit-script", is_flag=True, help="Print it as a shell script.")
@click.option("--emit-link", is_flag=True, help="Print it as a systemd .link file.")
@json_option
@verbosity_options
@click.pass_context
def plan(
    context: click.Context,
    /,
    ifname: str,
    recorded: Path | None,
    emit_script: bool,
    emit_link: bool,
    as_json: bool,
    **options: Any,
) -> None:
    if emit_script + emit_link + as_json > 1:
        raise click.UsageError("--emit-script, --emit-link and --json: only one of them can be given")
    seen = KernelNic(ifname).snapshot() if recorded is None else read_snapshot(recorded, ifname)
    recipe = recipe_for(seen.link.driver)
    made = make_plan(seen, wish_of(options), recipe)
    if as_json:
        print_facts(plan_facts(made, seen, recipe))
    elif emit_script:
        click.echo(script(made, seen), nl=False)
    elif emit_link:
        click.echo(link_file(made, seen), nl=False)
    else:
        print_plan(made, seen)
    if not as_json:
        for caution in made.cautions:
            messages_of(context).warn(caution)


def read_snapshot(path: Path, ifname: str) -> Snapshot:
    """ConfigError for a file that is none, or of another interface."""
    try:
        seen = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path}: not a snapshot", why=str(error), remedy="'bypass nic show IF --json' prints one"
        ) from None
    if seen.link.name != ifname:
        raise ConfigError(f"{path}: a snapshot of {seen.link.name}, not of {ifname}")
    return seen


def plan_facts(made: Plan, seen: Snapshot, recipe: Recipe) -> dict[str, object]:
    return {
        "interface": seen.link.name,
        "driver": seen.link.driver,
        "recipe": recipe.driver,
        "sources": list(recipe.sources),
        "queues": list(made.queues),
        "steps": [step_facts(step, seen) for step in made.steps],
        "cautions": list(made.cautions),
    }


def step_facts(step: Step, seen: Snapshot) -> dict[str, object]:
    return {
        "setting": step.after.key,
        "before": step.before.value if step.before else None,
        "after": step.after.value,
        "reason": step.reason,
        "warning": step.warning,
        "command": command_for(step.after, seen),
        "undo": command_for(step.before, seen) if step.before else "",
    }


def print_plan(made: Plan, seen: Snapshot) -> None:
    if not made.steps:
        click.echo(f"{seen.link.name}: nothing to change")
    for number, step in enumerate(made.steps, 1):
        facts = step_facts(step, seen)
        before = "not there yet" if step.before is None else step.before.value
        again = step.before == step.after
        change = step.after.value if again else f"{before} -> {step.after.value}"
        click.echo(f"{number}. {step.after.key}: {change}")
        click.echo(f"     why   {step.reason}")
        if step.warning:
            click.echo(f"     note  {step.warning}")
        click.echo(f"     do    {facts['command']}")
        if step.before is not None and not again:
            click.echo(f"     undo  {facts['undo']}")
    click.echo(f"served then: {queues_text(made.queues)} of {seen.link.name}")
