"""`bypass build`: compiles a folder into a site image. Arguments, progress and the summary; no logic."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bypass.config import resolve
from bypass.site.compile import SiteSummary
from bypass.site.describe import Account
from bypass.site.output import build_image_file
from bypass.site.text import format_bytes

PROGRESS_DELAY_S = 1.0
PROGRESS_LINE_S = 5.0
JSON_VERSION = 1
_TYPES_SHOWN = 6


class ByteSize(click.ParamType[int]):
    """A size such as 512M, 2G, 1.5GiB or 1000000; K, M, G and T are powers of 1024."""

    name = "size"
    _PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = self._PATTERN.fullmatch(str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is not a size such as 512M or 2G", param, ctx)
        return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


class SiteProgress:
    """Reports a compile that takes longer than a second: a bar on a terminal, else a line now and then."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._started = time.monotonic()
        self._next_line = self._started + PROGRESS_DELAY_S
        self._bar: Progress | None = None

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        """The `progress` argument of the site compiler."""
        if self._quiet or time.monotonic() < self._next_line:
            return
        if not self._console.is_terminal:
            self._next_line = time.monotonic() + PROGRESS_LINE_S
            self._console.print(f"compiling: {format_bytes(done_bytes)} of {format_bytes(total_bytes)}")
            return
        if self._bar is None:
            self._bar = _bar(self._console)
            self._bar.add_task("compiling", total=total_bytes)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done_bytes, total=total_bytes)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@click.command(
    name="build",
    short_help="Compile a folder into a site image.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("site", type=click.Path(path_type=Path), required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Where the image goes (site.img)."
)
@click.option(
    "--max-memory",
    type=ByteSize(),
    metavar="SIZE",
    help="Largest image allowed, such as 2G  [default: half of the memory available]",
)
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (TOML).")
@click.option(
    "--cache", is_flag=True, help="Keep what is known of the files beside the image (OUTPUT.cache)."
)
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def build(
    site: Path | None,
    output: Path,
    max_memory: int | None,
    file: Path | None,
    cache: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    \b
    bypass build ./site -o site.img
    bypass build ./site -o site.img --max-memory 2G --json

    Compile the folder SITE into one image that 'bypass serve' maps as it is. What becomes of the files
    can be set in FILE ([site] and [[host]], see docs/site.md).
    """
    config = resolve({}, {}, file).site
    if site is None and not config.hosts:
        raise click.UsageError("SITE is missing: name a folder, or write [[host]] tables into --config")
    messages = Console(stderr=True, highlight=False, soft_wrap=True)
    progress = SiteProgress(messages, quiet=quiet)
    try:
        summary = build_image_file(
            site, output, config=config, max_bytes=max_memory, progress=progress, cache=cache
        )
    finally:
        progress.stop()
    if as_json:
        click.echo(json.dumps(summary_facts(output, summary), indent=2))
        return
    if not quiet:
        Console(file=sys.stdout, highlight=False).print(summary_table(output, summary))
        for message in (*summary.skipped.messages(), *summary.account.warnings):
            messages.print(message, markup=False)


def summary_facts(output: Path, summary: SiteSummary) -> dict[str, object]:
    """The summary with stable keys, for --json."""
    account = summary.account
    return {
        "version": JSON_VERSION,
        "image": str(output),
        "files": summary.files,
        "responses": summary.responses,
        "body_bytes": summary.body_bytes,
        "image_bytes": summary.image_bytes,
        "deduplicated_bytes": summary.deduplicated_bytes,
        "skipped": summary.skipped.counts(),
        "hosts": summary.hosts,
        "redirects": account.redirects,
        "rules": account.rules,
        "listings": account.listings,
        "variants": account.variants,
        "saved_bytes": account.saved_bytes,
        "types": {kind: {"files": files, "bytes": size} for kind, (files, size) in account.types.items()},
        "warnings": account.warnings,
        "seconds": round(summary.seconds, 3),
    }


def _biggest_types(account: Account) -> list[tuple[str, int, int]]:
    """The types with most octets, and one line for the rest."""
    ordered = sorted(account.types.items(), key=lambda item: (-item[1][1], item[0]))
    shown = [(kind, files, size) for kind, (files, size) in ordered[:_TYPES_SHOWN]]
    rest = [counts for _, counts in ordered[_TYPES_SHOWN:]]
    if rest:
        shown.append((f"{len(rest)} other types", sum(n for n, _ in rest), sum(size for _, size in rest)))
    return shown


def summary_table(output: Path, summary: SiteSummary) -> Table:
    """The summary for people."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("image", str(output))
    table.add_row("size", format_bytes(summary.image_bytes))
    table.add_row("files", f"{summary.files:,}")
    for kind, files, size in _biggest_types(summary.account):
        table.add_row("", f"{kind}: {files:,}, {format_bytes(size)}")
    if summary.hosts > 1:
        table.add_row("hosts", f"{summary.hosts:,}")
    table.add_row("responses", f"{summary.responses:,}")
    if summary.account.redirects or summary.account.rules:
        table.add_row("redirects", f"{summary.account.redirects:,}, and {summary.account.rules:,} rules")
    if summary.account.listings:
        table.add_row("listings", f"{summary.account.listings:,}")
    table.add_row("bodies", format_bytes(summary.body_bytes))
    for coding, variants in summary.account.variants.items():
        saved = format_bytes(max(0, summary.account.saved_bytes.get(coding, 0)))
        table.add_row(coding, f"{variants:,} files, {saved} less to send")
    if summary.deduplicated_bytes:
        table.add_row("saved", f"{format_bytes(summary.deduplicated_bytes)} (equal files stored once)")
    if summary.skipped.total:
        table.add_row("left out", f"{summary.skipped.total:,}")
    if summary.account.warnings:
        table.add_row("warnings", f"{len(summary.account.warnings):,}")
    table.add_row("time", f"{summary.seconds:.2f} s")
    return table
