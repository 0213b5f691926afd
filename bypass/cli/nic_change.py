"""`bypass nic apply | confirm | restore | verify`: arguments, and what a person is told."""

from __future__ import annotations

from typing import Any

import click

from bypass.cli.console import Messages, messages_of, print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.cli.nic_options import json_option, state_dir_option, wish_of, wish_options
from bypass.cli.nic_plan import step_facts
from bypass.errors import BypassError, ExitCode, UnavailableError
from bypass.nic.guard import require_expendable
from bypass.nic.interrupts import as_interrupts
from bypass.nic.journal import Store, this_owner
from bypass.nic.kernel import KernelNic
from bypass.nic.order import Change
from bypass.nic.outcome import Restored
from bypass.nic.recipes import recipe_for
from bypass.nic.tuner import Tuner
from bypass.nic.watchdog import settle_overdue, start
from bypass.serve.interface import read_interface
from bypass.text import parse_duration_s, plural

_HELP = {"help_option_names": ["-h", "--help"]}
APPLY = """Carry out the plan of 'bypass nic plan' on IF.

What was before is written down first; a step that fails puts everything back. 'bypass nic restore IF' does so
at any time, also after a crash. Refuses the interface of the default route or of this SSH session without
--force."""


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time such as 30s or 5m") from error
    if seconds <= 0:
        raise click.BadParameter("a time above zero, such as 30s")
    return seconds


@click.command(
    cls=ExamplesCommand,
    examples=(
        "sudo bypass nic apply eth0 --workers 2",
        "sudo bypass nic apply eth0 --workers 2 --rollback-after 30s",
    ),
    help=APPLY,
    context_settings=_HELP,
)
@click.argument("ifname", metavar="IF")
@wish_options
@click.option(
    "--rollback-after", metavar="TIME", callback=_duration, help="Undo it then, unless 'confirm' comes first."
)
@click.option("--force", is_flag=True, help="Also the interface that the default route or SSH goes over.")
@state_dir_option
@json_option
@verbosity_options
@click.pass_context
def apply(
    context: click.Context,
    /,
    ifname: str,
    rollback_after: float | None,
    force: bool,
    store: Store,
    as_json: bool,
    **options: Any,
) -> None:
    messages = messages_of(context)
    nic = KernelNic(ifname)
    wish = wish_of(options)
    seen = nic.snapshot()
    require_expendable(ifname, seen.link.serves, force=force)
    with store.lock(ifname), as_interrupts():
        settle_overdue(store, nic, messages.warn)
        _refuse_running_server(store, ifname)
        seen = nic.snapshot()
        done = Tuner(nic, store, messages.warn).apply(
            wish,
            recipe_for(seen.link.driver),
            this_owner("apply"),
            rollback_after_s=rollback_after,
            on_journal=(lambda: _watch(store, ifname)) if rollback_after else None,
        )
    for caution in done.plan.cautions:
        messages.warn(caution)
    if as_json:
        print_facts({"interface": ifname, "steps": [step_facts(step, seen) for step in done.steps]})
        return
    for step in done.steps:
        click.echo(f"{step.after.key}: {step.before.value if step.before else 'none'} -> {step.after.value}")
    if not done.steps:
        click.echo(f"{ifname}: nothing to change, it is as planned")
    elif rollback_after:
        click.echo(f"undone in {rollback_after:.0f} s unless: bypass nic confirm {ifname}")
    else:
        click.echo(f"done; the way back: bypass nic restore {ifname}")


def _watch(store: Store, ifname: str) -> None:
    start(store, ifname)


def _require_known(store: Store, ifname: str) -> None:
    """UnavailableError for a name that neither a journal nor an interface has: a slip of the pen."""
    if store.load(ifname) is None:
        read_interface(ifname)


def _refuse_running_server(store: Store, ifname: str) -> None:
    journal = store.load(ifname)
    if journal is not None and journal.server_runs:
        raise UnavailableError(
            f"{ifname}: 'bypass serve --tune' (process {journal.owner.pid}) has tuned it",
            why="it restores it at its end",
            remedy="Stop that server first",
        )


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass nic confirm eth0",),
    help="Keep what 'bypass nic apply IF --rollback-after TIME' did.",
    context_settings=_HELP,
)
@click.argument("ifname", metavar="IF")
@state_dir_option
@verbosity_options
@click.pass_context
def confirm(context: click.Context, ifname: str, store: Store) -> None:
    messages = messages_of(context)
    nic = KernelNic(ifname)
    _require_known(store, ifname)
    with store.lock(ifname), as_interrupts():
        if settle_overdue(store, nic, messages.warn) or Tuner(nic, store, messages.warn).confirm() is None:
            raise BypassError(
                f"{ifname}: no change waits to be confirmed",
                why="there was none, or its time is over and it is undone",
                remedy=f"See 'bypass nic verify {ifname}'",
            )
    click.echo(f"{ifname}: kept; the way back: bypass nic restore {ifname}")


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass nic restore eth0",),
    help="Put every setting of IF back that 'bypass nic apply' or a killed 'bypass serve --tune' changed.",
    context_settings=_HELP,
)
@click.argument("ifname", metavar="IF")
@state_dir_option
@json_option
@verbosity_options
@click.pass_context
def restore(context: click.Context, ifname: str, store: Store, as_json: bool) -> int:
    messages = messages_of(context)
    _require_known(store, ifname)
    with store.lock(ifname), as_interrupts():
        _refuse_running_server(store, ifname)
        restored = Tuner(KernelNic(ifname), store, messages.warn).restore()
    if as_json:
        print_facts(
            {
                "interface": ifname,
                "restored": [_change_facts(change) for change in restored.changed],
                "remaining": [_change_facts(change) for change in restored.remaining],
                "why": restored.why,
            }
        )
    else:
        _say_restored(ifname, restored, messages)
    return ExitCode.FAILED if restored.remaining else ExitCode.OK


def _change_facts(change: Change) -> dict[str, object]:
    before = change.before.value if change.before else None
    return {"setting": change.after.key, "before": before, "after": change.after.value}


def _say_restored(ifname: str, restored: Restored, messages: Messages) -> None:
    for change in restored.changed:
        click.echo(
            f"{change.after.key}: {change.before.value if change.before else 'none'} -> {change.after.value}"
        )
    if restored.remaining:
        for change in restored.remaining:
            now = change.before.value if change.before else "not there"
            messages.error(f"{ifname}: {change.after.key} is {now} and should be {change.after.value}")
    elif restored.changed:
        click.echo(f"{ifname}: {plural(len(restored.changed), 'setting')} put back, as it was before")
    else:
        click.echo(f"{ifname}: nothing to restore: {restored.why or 'all is as it was before'}")


@click.command(
    cls=ExamplesCommand,
    examples=("bypass nic verify eth0", "bypass nic verify eth0 --json"),
    help="Whether IF is still as 'bypass nic apply' left it. Exit code 3 when it is not.",
    context_settings=_HELP,
)
@click.argument("ifname", metavar="IF")
@state_dir_option
@json_option
@verbosity_options
@click.pass_context
def verify(context: click.Context, ifname: str, store: Store, as_json: bool) -> int:
    messages = messages_of(context)
    _require_known(store, ifname)
    journal, drifted = Tuner(KernelNic(ifname), store, messages.warn).verify()
    if as_json:
        facts = [
            {
                "setting": one.planned.key,
                "planned": one.planned.value,
                "now": one.now.value if one.now else None,
            }
            for one in drifted
        ]
        print_facts({"interface": ifname, "planned": journal is not None, "drifted": facts})
    if journal is None:
        if not as_json:
            click.echo(f"{ifname}: nothing is planned here: 'bypass nic apply' was not run, or was restored")
        return ExitCode.OK
    for one in () if as_json else drifted:
        click.echo(
            f"{one.planned.key}: planned {one.planned.value}, now {one.now.value if one.now else 'not there'}"
        )
    if drifted and not journal.of_this_boot:
        messages.say(
            "the machine was started anew since: apply again, or make it last with 'plan --emit-link'"
        )
    if not drifted and not as_json:
        click.echo(f"{ifname}: as planned ({plural(len(journal.planned), 'setting')})")
    if journal.phase != "applied":
        holder = store.holder(ifname)
        if holder is not None:
            messages.warn(f"a change is under way (process {holder}): look again when it has ended")
            return ExitCode.DRIFTED
        messages.warn(f"a change was cut short while {journal.phase}: bypass nic restore {ifname}")
        return ExitCode.DRIFTED
    return ExitCode.DRIFTED if drifted else ExitCode.OK
