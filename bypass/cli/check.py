"""`bypass check`: what would keep a server from serving, found before it is started. No logic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from bypass.check.config import Findings, check_settings, settings_facts
from bypass.cli.console import Messages, messages_of, print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.errors import ExitCode
from bypass.text import plural


@click.command(
    cls=ExamplesCommand,
    examples=(
        "bypass check --config bypass.toml",
        "bypass check --config bypass.toml --show-config",
    ),
    help="Look for mistakes in settings, in FILE and in the environment, without serving.\n\n"
    "Each is named with its file, line, key and value; the exit code is 78 when there are any.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (TOML).")
@click.option("--show-config", is_flag=True, help="Print every value, and where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
@verbosity_options
@click.pass_context
def check(context: click.Context, file: Path | None, show_config: bool, as_json: bool) -> int:
    findings = check_settings(file, os.environ)
    if as_json:
        print_facts(config_facts(findings, show_config))
    else:
        report(findings, show_config, messages_of(context))
    return ExitCode.CONFIGURATION if findings.mistakes else ExitCode.OK


def report(findings: Findings, show_config: bool, messages: Messages) -> None:
    """Mistakes to stderr, values to stdout."""
    for mistake in findings.mistakes:
        messages.error(str(mistake.error()))
    if findings.mistakes:
        messages.say(plural(len(findings.mistakes), "mistake"))
    elif not show_config:
        messages.say(f"{findings.file or 'environment'}: no mistakes")
    if show_config and findings.resolved is not None:
        for line in _lines(settings_facts(findings.resolved)):
            click.echo(line)


def config_facts(findings: Findings, show_config: bool) -> dict[str, object]:
    facts: dict[str, object] = {
        "file": findings.file,
        "mistakes": [msgspec.to_builtins(mistake) for mistake in findings.mistakes],
    }
    if show_config and findings.resolved is not None:
        facts["settings"] = settings_facts(findings.resolved)
    return facts


def _lines(settings: Mapping[str, object]) -> Iterator[str]:
    """Key, value and source in columns: a line each, however wide the terminal is."""
    rows = [("setting", "value", "from")]
    for key, about in settings.items():
        assert isinstance(about, Mapping)
        rows.append((key, msgspec.json.encode(about["value"]).decode(), str(about["source"])))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return (f"{key:{widths[0]}}  {value:{widths[1]}}  {source}" for key, value, source in rows)
