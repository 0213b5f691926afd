"""`bypass bench site`: what compiling and compiling again costs, by number of files."""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table

from bypass.cli.console import print_facts
from bypass.cli.lazy import ExamplesCommand
from bypass.site.builder import SiteBuilder
from bypass.site.text import format_bytes

PER_FOLDER = 100
_SMALLEST, _LARGEST = 500, 1500


@dataclass(frozen=True, slots=True)
class Step:
    """One build. cpu_s: of this process, all threads; patched: from the last image."""

    name: str
    wall_s: float
    cpu_s: float
    patched: bool


@dataclass(frozen=True, slots=True)
class Result:
    """peak_bytes: the most memory that the process had, the image not counted."""

    files: int
    image_bytes: int
    peak_bytes: int
    steps: tuple[Step, ...]


def make_files(root: Path, count: int) -> list[Path]:
    """`count` pages of about 1 KB, PER_FOLDER to a folder. Two of them, for changes."""
    rng = random.Random(1)
    folder = root
    for number in range(count):
        if number % PER_FOLDER == 0:
            folder = root / f"d{number // (PER_FOLDER * 100):03}" / f"e{number // PER_FOLDER:05}"
            folder.mkdir(parents=True)
        page = b"<!doctype html><title>%d</title>" % number + b"x" * rng.randint(_SMALLEST, _LARGEST)
        (folder / f"page{number}.html").write_bytes(page)
        os.utime(folder / f"page{number}.html", (1_700_000_000, 1_700_000_000))
    return [folder / f"page{count - 1}.html", folder / "added.html"]


def measure(root: Path, count: int, say: Callable[[str], None]) -> Result:
    say(f"writing {count:,} files")
    changed, added = make_files(root, count)
    builder = SiteBuilder(root, max_bytes=1 << 40)
    steps: list[Step] = []

    def build(name: str) -> int:
        say(name)
        wall, cpu = time.perf_counter(), time.process_time()
        fd = os.memfd_create("bench")
        try:
            image_bytes = builder.build(fd).image_bytes
        finally:
            os.close(fd)
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        steps.append(Step(name, wall_s, cpu_s, builder.patched))
        return image_bytes

    image_bytes = build("compile")
    build("again, nothing changed")
    changed.write_bytes(b"<!doctype html><title>changed</title>" * 9)
    build("again, one file changed")
    added.write_bytes(b"<!doctype html><title>added</title>")
    build("again, one file added")
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Result(count, image_bytes, peak_bytes - image_bytes, tuple(steps))


@click.command(
    cls=ExamplesCommand,
    examples=("bypass bench site", "bypass bench site --files 1000000 --json"),
    help="Time of compiling a site of many small files, and of compiling it again.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--files", type=click.IntRange(1, 10_000_000), default=100_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
def site(files: int, as_json: bool) -> None:
    messages = Console(stderr=True, highlight=False)
    with TemporaryDirectory(prefix="bypass-bench-") as folder:
        result = measure(Path(folder), files, lambda step: messages.print(f"{step} ..."))
    if as_json:
        print_facts(asdict(result))
        return
    table = Table(title=f"{files:,} files, image of {format_bytes(result.image_bytes)}")
    for column in ("", "seconds", "CPU seconds", "patched"):
        table.add_column(column, justify="left" if not column else "right")
    for step in result.steps:
        table.add_row(step.name, f"{step.wall_s:.2f}", f"{step.cpu_s:.2f}", "yes" if step.patched else "")
    Console(highlight=False).print(table)
    Console(highlight=False).print(
        f"memory besides the image: {format_bytes(max(0, result.peak_bytes))} at most"
    )
