"""`bypass bench engine`: what the engine costs, without NIC, kernel and clients.

The memory driver stands in for the NIC; clients at C speed stand in for the network, and their
time does not count. Figures are medians over the runs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from statistics import median

import click
from rich.console import Console
from rich.table import Table

from bypass._bench import Bench
from bypass.bench.files import FEW, Walk, measure_walks
from bypass.bench.kinds import Cost, measure_kinds
from bypass.bench.sample import SIZES_BYTES, file_name, sample_site
from bypass.cli.console import print_facts
from bypass.cli.lazy import ExamplesCommand
from bypass.site.image import open_image
from bypass.site.output import compile_to_memfd

CONNECTIONS = (1, 64, 100_000)
_BUDGET_BYTES = 300_000_000  # of bodies per measurement: bounds how long one takes
_REQUESTS_MOST = 200_000
_CYCLES = 50_000
_LAYER_ROUNDS = 500_000


@dataclass(frozen=True, slots=True)
class Result:
    """Medians in nanoseconds. get_ns by (connections, label of the size). log_ns: the same request without
    and with an access log, in turn."""

    get_ns: dict[tuple[int, str], float]
    cycle_ns: float
    layer_ns: dict[str, float]
    log_ns: tuple[float, float]
    kinds: list[Cost] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)


def measure(runs: int, progress: Callable[[str], None]) -> Result:
    """Runs everything `runs` times; a frame lost or a response missing raises RuntimeError."""
    with sample_site() as root:
        descriptor, _ = compile_to_memfd(root)
        try:
            with closing(open_image(descriptor)) as image:
                return _measure_image(image.buffer, runs, progress)
        finally:
            os.close(descriptor)


def _measure_image(image: memoryview, runs: int, progress: Callable[[str], None]) -> Result:
    get_ns: dict[tuple[int, str], float] = {}
    for connections in CONNECTIONS:
        bench = Bench(image, connections)
        bench.open()
        for label, size_bytes in SIZES_BYTES.items():
            progress(f"{label}, {connections} connections")
            path = b"/" + file_name(label).encode()
            requests = min(_REQUESTS_MOST, max(_BUDGET_BYTES // size_bytes, 64))
            bench.get(path, requests)
            get_ns[connections, label] = median(bench.get(path, requests) for _ in range(runs))
        if bench.frames_lost:
            raise RuntimeError(f"{bench.frames_lost} frames lost")
    progress("open, request, close")
    bench = Bench(image, 64)
    one_kb = b"/" + file_name("1 KB").encode()
    bench.cycle(one_kb, _CYCLES)
    cycle_ns = median(bench.cycle(one_kb, _CYCLES) for _ in range(runs))
    progress("each layer")
    bench.open()
    ten_kb = b"/" + file_name("10 KB").encode()
    samples = [bench.layers(ten_kb, _LAYER_ROUNDS) for _ in range(runs)]
    layer_ns = {name: median(sample[name] for sample in samples) for name in samples[0]}
    progress("access log")
    return Result(get_ns, cycle_ns, layer_ns, measure_log(image, one_kb, runs))


def measure_log(image: memoryview, path: bytes, runs: int) -> tuple[float, float]:
    """Nanoseconds per GET at 64 connections without and with an access log that another thread reads, on
    another CPU where there is one. In turn, so that what else the machine does meets both."""
    benches = Bench(image, 64), Bench(image, 64, log_bytes=8 << 20)
    samples: tuple[list[float], list[float]] = [], []
    with _reader(benches[1]):
        for bench in benches:
            bench.open()
            bench.get(path, _REQUESTS_MOST)
        for _ in range(max(3 * runs, 9)):
            for bench, found in zip(benches, samples, strict=True):
                found.append(bench.get(path, _REQUESTS_MOST))
    if benches[1].log_dropped:
        raise RuntimeError(f"the reader of the access log was too slow: {benches[1].log_dropped} lines lost")
    return median(samples[0]), median(samples[1])


@contextmanager
def _reader(bench: Bench) -> Iterator[None]:
    """Reads the log of `bench` meanwhile, away from the CPU that this thread is then pinned to."""
    ended = threading.Event()
    cpus = os.sched_getaffinity(0)
    own = min(cpus)

    def read() -> None:
        os.sched_setaffinity(0, cpus - {own} or cpus)
        while not ended.is_set():
            if not bench.drain_log():
                time.sleep(0.0005)

    thread = threading.Thread(target=read)
    thread.start()
    os.sched_setaffinity(0, {own})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cpus)
        ended.set()
        thread.join()


def gbit_per_s(size_bytes: int, ns: float) -> float:
    """Body octets alone."""
    return 8 * size_bytes / ns


@click.command(
    cls=ExamplesCommand,
    examples=(
        "bypass bench engine",
        "bypass bench engine --runs 5 --json",
        "bypass bench engine --files 1000000",
    ),
    help="Nanoseconds of the engine alone per request, and of each layer, on the memory driver.",
)
@click.option(
    "--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Medians over so many."
)
@click.option("--cpu", type=click.IntRange(min=0), help="Run on this CPU only.")
@click.option(
    "--files",
    type=click.IntRange(min=1000),
    help="Compare a random walk over so many small files with one over a hundred.",
)
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
def engine(runs: int, cpu: int | None, files: int | None, as_json: bool) -> None:
    console = Console(stderr=True, highlight=False)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    with console.status("measuring"):

        def say(step: str) -> None:
            if not as_json:
                console.print(f"  {step}", style="dim")

        result = replace(measure(runs, say), kinds=measure_kinds(runs, say))
        if files is not None:
            result = replace(result, walks=measure_walks((FEW, files), runs, say))
    if as_json:
        print_facts(facts(result, runs))
    else:
        print_tables(result)


def facts(result: Result, runs: int) -> dict[str, object]:
    return {
        "runs": runs,
        "get": [
            {
                "connections": connections,
                "body_bytes": SIZES_BYTES[label],
                "ns": round(ns, 1),
                "gbit_per_s": round(gbit_per_s(SIZES_BYTES[label], ns), 2),
            }
            for (connections, label), ns in result.get_ns.items()
        ],
        "open_get_close_ns": round(result.cycle_ns, 1),
        "access_log_off_ns": round(result.log_ns[0], 1),
        "access_log_on_ns": round(result.log_ns[1], 1),
        "kinds": [
            {
                "kind": cost.kind.name,
                "status": cost.kind.status,
                "ns": round(cost.ns, 1),
                "per_second": round(cost.per_second),
                "response_bytes": cost.response_bytes,
            }
            for cost in result.kinds
        ],
        "files": [
            {
                "files": walk.files,
                "body_bytes": walk.body_bytes,
                "ns": round(walk.ns, 1),
                "first_decile_ns": round(walk.quiet_ns, 1),
                "image_bytes": walk.image_bytes,
            }
            for walk in result.walks
        ],
        "layers_ns": {name: round(ns, 1) for name, ns in result.layer_ns.items()},
    }


def print_tables(result: Result) -> None:
    out = Console(highlight=False)
    table = Table(title="Keep-alive GET, engine alone", title_justify="left")
    table.add_column("body")
    for connections in CONNECTIONS:
        table.add_column(f"{connections:,} connection{'s' if connections > 1 else ''}", justify="right")
    for label, size_bytes in SIZES_BYTES.items():
        cells = []
        for connections in CONNECTIONS:
            ns = result.get_ns[connections, label]
            rate = f"  {gbit_per_s(size_bytes, ns):.0f} Gbit/s" if size_bytes >= 1_000_000 else ""
            cells.append(f"{ns:,.0f} ns{rate}")
        table.add_row(label, *cells)
    out.print(table)
    out.print(f"open, GET 1 KB, close: {result.cycle_ns:,.0f} ns")
    off, on = result.log_ns
    out.print(f"access log on, GET 1 KB, 64 connections: {on:,.0f} ns, off {off:,.0f} ns: {on / off:.2f} x")
    print_kinds(out, result.kinds)
    if result.walks:
        print_walks(out, result.walks)
    layers = Table(title="Each layer alone, hot caches", title_justify="left")
    layers.add_column("layer")
    layers.add_column("per call", justify="right")
    for name, ns in result.layer_ns.items():
        layers.add_row(name, f"{ns:.1f} ns")
    out.print(layers)


def print_kinds(out: Console, costs: list[Cost]) -> None:
    """Every kind beside the plain GET, which is the first."""
    title = "Kinds of requests, 1 KB and 64 connections (1 GB: one), engine alone"
    table = Table(title=title, title_justify="left")
    table.add_column("kind")
    for heading in ("status", "per request", "requests/s", "of plain GET", "response"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            cost.kind.name,
            str(cost.kind.status),
            f"{cost.ns:,.0f} ns",
            f"{cost.per_second:,.1f}" if cost.per_second < 100 else f"{cost.per_second:,.0f}",
            f"{costs[0].ns / cost.ns:.2g}",
            f"{cost.response_bytes:,} B",
        )
    out.print(table)


def print_walks(out: Console, walks: list[Walk]) -> None:
    table = Table(title="Random walk over small files, 64 connections, engine alone", title_justify="left")
    for heading in (
        *("body", "files", "per request", "of the fewest"),
        *("first decile", "of the fewest", "image", "compiled in"),
    ):
        table.add_column(heading, justify="right")
    fewest = {walk.body_bytes: walk for walk in reversed(walks)}
    for walk in walks:
        few = fewest[walk.body_bytes]
        table.add_row(
            f"{walk.body_bytes:,} B",
            f"{walk.files:,}",
            f"{walk.ns:,.0f} ns",
            f"{walk.ns / few.ns:.2f}",
            f"{walk.quiet_ns:,.0f} ns",
            f"{walk.quiet_ns / few.quiet_ns:.2f}",
            f"{walk.image_bytes / 1e6:,.1f} MB",
            f"{walk.compile_s:.1f} s",
        )
    out.print(table)
