"""`bypass bench`: measurements, one command each."""

from __future__ import annotations

import click

from bypass.cli.lazy import LazyGroup

BENCHES = {
    "engine": ("bypass.bench.engine:engine", "Time per request of the engine alone, on the memory driver."),
    "site": ("bypass.bench.site:site", "Compiling many files, and compiling them again."),
    "reload": (
        "bypass.bench.reload:reload_command",
        "`bypass reload` of many files, and requests meanwhile.",
    ),
    "web": ("bypass.bench.web:web", "Beside nginx on one veth pair, with wrk."),
}


@click.group(cls=LazyGroup, lazy=BENCHES, help="Measure on this machine.")
def bench() -> None:
    pass
