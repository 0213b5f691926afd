"""`bypass check`: what would keep a server from serving, found before it is started. No logic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from bypass.check.config import Findings, check_settings, settings_facts
from bypass.check.finding import Finding, exit_code_of
from bypass.cli.console import Messages, messages_of, print_facts, verbosity_options
from bypass.cli.lazy import ExamplesCommand
from bypass.errors import ExitCode
from bypass.text import plural


@click.command(
    cls=ExamplesCommand,
    examples=(
        "sudo bypass check",
        "sudo bypass check eth0",
        "bypass check --config bypass.toml",
        "bypass check --config bypass.toml --show-config",
    ),
    help="Say what would keep a server from serving, why, and what mends it.\n\n"
    "Looks at the machine and sends a packet over AF_XDP on a pair of virtual links of its own. With an"
    " interface it looks at that too, and tries each mode on it. With --config it judges settings: each"
    " mistake is named with its file, line, key and value.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("interface", required=False, metavar="[IF]")
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (TOML).")
@click.option("--show-config", is_flag=True, help="Print every value, and where it comes from.")
@click.option(
    "--trial/--no-trial",
    default=None,
    help="Attach and bind on IF for a moment.  [default: unless the default route goes over it]",
)
@click.option("--json", "as_json", is_flag=True, help="Facts as JSON.")
@verbosity_options
@click.pass_context
def check(
    context: click.Context,
    interface: str | None,
    file: Path | None,
    show_config: bool,
    trial: bool | None,
    as_json: bool,
) -> int:
    messages = messages_of(context)
    settings = check_settings(file, os.environ)
    only_settings = not interface and (file is not None or show_config)
    findings = [] if only_settings else _examined(interface, trial)
    told = only_settings or file is not None or show_config or settings.mistakes
    if as_json:
        facts = config_facts(settings, show_config) if told else {}
        print_facts(facts | ({} if only_settings else {"findings": msgspec.to_builtins(findings)}))
    else:
        print_findings(findings, messages.verbosity)
        if told:
            report(settings, show_config, messages)
    return ExitCode.CONFIGURATION if settings.mistakes else exit_code_of(findings)


def _examined(interface: str | None, trial: bool | None) -> list[Finding]:
    from bypass.check.doctor import examine
    from bypass.serve.signals import StopRequest

    with StopRequest() as stop:
        return examine(interface, trial, stop)


_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


def print_findings(findings: list[Finding], verbosity: int) -> None:
    """To stdout, by subject: a line each, and what to do under it. -q leaves out what is well."""
    console = Console(highlight=False, soft_wrap=True)
    subject = ""
    for one in findings:
        if verbosity < 0 and one.level not in ("warning", "problem"):
            continue
        if one.subject != subject:
            subject = one.subject
            console.print(Text(subject, style="bold"))
        console.print(Text.assemble("  ", (f"{one.level:8}", _COLOURS[one.level]), f" {one.what}"))
        for line in (one.why, f"do: {one.remedy}" if one.remedy else ""):
            if line:
                console.print(Text(f"           {line}"))
    problems = sum(one.level == "problem" for one in findings)
    warnings = sum(one.level == "warning" for one in findings)
    if problems or warnings:
        console.print(Text(f"{plural(problems, 'problem')}, {plural(warnings, 'warning')}"))


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
