"""`bypass bench reload`: what `bypass reload` takes when one file of many changed, and what requests notice.

The server's worker has CPU 0; the process that compiles has the other, with the client (wrk), which it takes
time from: so what is said of requests is the worse case of a machine with two CPUs.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table

from bypass.bench.servers import run_bypass
from bypass.bench.site import make_files
from bypass.bench.web import CLIENT_CPU, SERVER_CPU
from bypass.bench.wrk import Load, run_wrk
from bypass.cli.console import print_facts
from bypass.cli.lazy import ExamplesCommand
from bypass.errors import BypassError
from bypass.serve.demo import demo_network

_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Result:
    """alone_s: of `bypass reload`, process start to end, nothing else asked of the server; loaded_s: beside
    the client. quiet, reloading: what the client saw without and with reloads one after another."""

    files: int
    alone_s: tuple[float, ...]
    loaded_s: tuple[float, ...]
    quiet: Load
    reloading: Load


def measure(files: int, runs: int, seconds: int, say: Callable[[str], None]) -> Result:
    with ExitStack() as stack:
        pair = stack.enter_context(demo_network())
        root = Path(stack.enter_context(TemporaryDirectory(prefix="bypass-bench-")))
        run = Path(stack.enter_context(TemporaryDirectory(prefix="bypass-run-")))
        say(f"writing {files:,} files")
        changed, _ = make_files(root, files)
        options = ("--runtime-folder", str(run))
        stack.enter_context(run_bypass(pair, root, cpu=SERVER_CPU, poll="balanced", options=options))
        url = f"http://{pair.server.v4}/{changed.relative_to(root)}"
        alone_s = []
        for number in range(runs):
            say(f"reload {number + 1} of {runs}")
            time.sleep(1)  # the last one has let go of its image; its client has gone
            alone_s.append(reload(run, changed, number))
        say("requests, no reload")
        quiet = run_wrk(pair, url, connections=_CONNECTIONS, seconds=seconds, cpu=CLIENT_CPU)
        say("requests, one reload after another")
        with _Reloads(run, changed) as reloads:
            reloading = run_wrk(pair, url, connections=_CONNECTIONS, seconds=seconds, cpu=CLIENT_CPU)
        return Result(files, tuple(alone_s), tuple(reloads.seconds), quiet, reloading)


def reload(run: Path, changed: Path, number: int) -> float:
    """Changes the file and runs `bypass reload`: seconds of that process from its start to its end."""
    changed.write_bytes(b"<!doctype html><title>%d</title>" % number + b"y" * (900 + number % 100))
    started = time.monotonic()
    command = [sys.executable, "-m", "bypass", "-q", "reload", "--runtime-folder", str(run)]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode != 0:
        raise BypassError("bypass reload failed", why=done.stderr.strip()[-300:])
    return seconds


class _Reloads:
    """One after another, from entry to exit."""

    def __init__(self, run: Path, changed: Path) -> None:
        self.seconds: list[float] = []
        self._run, self._changed = run, changed
        self._end = threading.Event()
        self._failure: BypassError | None = None
        self._thread = threading.Thread(target=self._work, name="bypass-bench-reload")

    def __enter__(self) -> _Reloads:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._end.is_set():
                self.seconds.append(reload(self._run, self._changed, len(self.seconds)))
        except BypassError as error:
            self._failure = error


@click.command(
    cls=ExamplesCommand,
    examples=("sudo bypass bench reload", "sudo bypass bench reload --files 1000000 --json"),
    help="Time of 'bypass reload' when one file of many changed, and the latency of requests meanwhile.",
)
@click.option("--files", type=click.IntRange(100, 10_000_000), default=100_000, show_default=True)
@click.option(
    "--runs", type=click.IntRange(1, 50), default=5, show_default=True, help="Reloads on their own."
)
@click.option("--seconds", type=click.IntRange(1, 60), default=5, show_default=True, help="Of requests.")
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
def reload_command(files: int, runs: int, seconds: int, as_json: bool) -> None:
    console = Console(stderr=True, highlight=False)
    result = measure(files, runs, seconds, lambda step: console.print(f"  {step}", style="dim"))
    if as_json:
        print_facts(facts(result))
        return
    out = Console(highlight=False)
    alone, loaded = result.alone_s, result.loaded_s
    out.print(
        f"{files:,} files, one changed: bypass reload {median(alone):.2f} s ({min(alone):.2f} to"
        f" {max(alone):.2f}), beside the client {median(loaded):.2f} s ({len(loaded)} of them)"
    )
    table = Table(title=f"Requests meanwhile, {_CONNECTIONS} connections", title_justify="left")
    for column in ("", "requests/s", "p50", "p99", "errors"):
        table.add_column(column, justify="right" if column else "left")
    for name, load in (("no reload", result.quiet), ("reloading", result.reloading)):
        row = f"{load.requests_per_s:,.0f}", f"{load.p50_us:,.0f} us", f"{load.p99_us:,.0f} us"
        table.add_row(name, *row, str(load.errors))
    out.print(table)


def facts(result: Result) -> dict[str, object]:
    loads = {"quiet": result.quiet, "reloading": result.reloading}
    return {
        "files": result.files,
        "reload_s": [round(each, 3) for each in result.alone_s],
        "reload_beside_client_s": [round(each, 3) for each in result.loaded_s],
        **{
            name: {
                "requests_per_s": round(load.requests_per_s),
                "p50_us": load.p50_us,
                "p99_us": load.p99_us,
                "errors": load.errors,
            }
            for name, load in loads.items()
        },
    }
