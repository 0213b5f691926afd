"""`bypass nic`: looks at a NIC's queues, plans a change, carries it out with a way back."""

from __future__ import annotations

import click

from bypass.cli.lazy import LazyGroup, write_examples

COMMANDS = {
    "show": ("bypass.cli.nic_show:show", "How packets come to queues, and who listens."),
    "top": ("bypass.cli.nic_top:top", "Packets, drops and interrupts as they happen."),
    "plan": ("bypass.cli.nic_plan:plan", "The steps to a tuned NIC, their reasons and their undo."),
    "apply": ("bypass.cli.nic_change:apply", "Carry the plan out, with a way back."),
    "confirm": ("bypass.cli.nic_change:confirm", "Keep what 'apply --rollback-after' did."),
    "restore": ("bypass.cli.nic_change:restore", "Put back what was before."),
    "verify": ("bypass.cli.nic_change:verify", "Is it still as planned?"),
}
EXAMPLES = ("bypass nic show eth0", "bypass nic plan eth0 --workers 2")


class NicGroup(LazyGroup):
    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(EXAMPLES, formatter)
        super().format_help(ctx, formatter)


@click.group(
    cls=NicGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See and tune the queues of a NIC.",
)
def nic() -> None:
    pass
