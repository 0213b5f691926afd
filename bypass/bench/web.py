"""`bypass bench web`: bypass beside nginx on the same veth pair, in the same run, turn and turn about.

The server has CPU 0, the client (wrk, one thread, the kernel's TCP) CPU 1. On a veth pair every
packet is copied and most of the work is the kernel's; it shows the ratio, not what a NIC would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table

from bypass.bench.sample import file_name, sample_site
from bypass.bench.servers import find_nginx, run_bypass, run_nginx
from bypass.bench.wrk import Load, run_wrk
from bypass.cli.console import print_facts
from bypass.cli.lazy import ExamplesCommand
from bypass.serve.demo import demo_network
from bypass.serve.vethpair import VethPair

SERVER_CPU, CLIENT_CPU = 0, 1
_SETTLE_S = 1


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of each server. `poll`: how bypass waits meanwhile."""

    label: str
    size: str
    connections: int
    poll: str


CASES = (
    Case("100 B, 1 connection", "100 B", 1, "latency"),
    Case("1 KB, 64 connections", "1 KB", 64, "balanced"),
    Case("1 KB, 256 connections", "1 KB", 256, "balanced"),
    Case("10 KB, 64 connections", "10 KB", 64, "balanced"),
    Case("1 MB, 16 connections", "1 MB", 16, "balanced"),
)


@dataclass(slots=True)
class Runs:
    """All runs of one server in one case."""

    loads: list[Load] = field(default_factory=list)

    @property
    def requests_per_s(self) -> float:
        return median(load.requests_per_s for load in self.loads)

    @property
    def p50_us(self) -> float:
        return median(load.p50_us for load in self.loads)

    @property
    def p99_us(self) -> float:
        return median(load.p99_us for load in self.loads)

    @property
    def errors(self) -> int:
        return sum(load.errors for load in self.loads)


Results = dict[Case, dict[str, Runs]]


def measure(cases: tuple[Case, ...], runs: int, seconds: int, progress: Callable[[str], None]) -> Results:
    """Every case `runs` times, the servers in turn (A B A B ...), never two at once."""
    results: Results = {case: {"bypass": Runs(), "nginx": Runs()} for case in cases}
    with _workplace() as (pair, root, folder):
        for case in cases:
            for number in range(runs):
                for name, started in _servers(pair, root, folder, case):
                    progress(f"{case.label}: {name}, run {number + 1} of {runs}")
                    with started:
                        results[case][name].loads.append(_load(pair, case, seconds))
    return results


def _servers(
    pair: VethPair, root: Path, folder: Path, case: Case
) -> Iterator[tuple[str, AbstractContextManager[int]]]:
    yield "bypass", run_bypass(pair, root, cpu=SERVER_CPU, poll=case.poll)
    yield "nginx", run_nginx(pair, root, cpu=SERVER_CPU, folder=folder)


def _load(pair: VethPair, case: Case, seconds: int) -> Load:
    url = f"http://{pair.server.v4}/{file_name(case.size)}"
    run_wrk(pair, url, connections=case.connections, seconds=_SETTLE_S, cpu=CLIENT_CPU)
    return run_wrk(pair, url, connections=case.connections, seconds=seconds, cpu=CLIENT_CPU)


@contextmanager
def _workplace() -> Iterator[tuple[VethPair, Path, Path]]:
    with demo_network() as pair, sample_site() as root, TemporaryDirectory(prefix="bypass-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield pair, root, folder


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass bench web", "sudo bypass bench web --seconds 10 --runs 5 --json"),
    help="Requests per second and latency of bypass and nginx on the same veth pair, in turn.",
)
@click.option(
    "--runs", type=click.IntRange(1, 50), default=3, show_default=True, help="Medians over so many."
)
@click.option("--seconds", type=click.IntRange(1, 60), default=4, show_default=True, help="Length of a run.")
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
def web(runs: int, seconds: int, as_json: bool) -> None:
    find_nginx()
    console = Console(stderr=True, highlight=False)
    results = measure(CASES, runs, seconds, lambda step: console.print(f"  {step}", style="dim"))
    if as_json:
        print_facts(facts(results, runs, seconds))
    else:
        Console(highlight=False).print(table(results))


def facts(results: Results, runs: int, seconds: int) -> dict[str, object]:
    return {
        "runs": runs,
        "seconds": seconds,
        "cases": [
            {
                "case": case.label,
                "poll": case.poll,
                "ratio": round(servers["bypass"].requests_per_s / servers["nginx"].requests_per_s, 2),
                **{
                    name: {
                        "requests_per_s": round(of.requests_per_s),
                        "p50_us": of.p50_us,
                        "p99_us": of.p99_us,
                        "errors": of.errors,
                    }
                    for name, of in servers.items()
                },
            }
            for case, servers in results.items()
        ],
    }


def table(results: Results) -> Table:
    made = Table(title="bypass beside nginx, one veth pair, one CPU each side", title_justify="left")
    for column in ("case", "bypass req/s", "nginx req/s", "ratio", "bypass p50", "nginx p50", "errors"):
        made.add_column(column, justify="left" if column == "case" else "right")
    for case, servers in results.items():
        ours, theirs = servers["bypass"], servers["nginx"]
        made.add_row(
            case.label,
            f"{ours.requests_per_s:,.0f}",
            f"{theirs.requests_per_s:,.0f}",
            f"{ours.requests_per_s / theirs.requests_per_s:.2f}",
            f"{ours.p50_us:,.1f} us",
            f"{theirs.p50_us:,.1f} us",
            f"{ours.errors} / {theirs.errors}",
        )
    return made
