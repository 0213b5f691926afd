"""Judges settings without serving: every mistake in file and environment, each with its place.

Finds what `bypass serve` would refuse, all of it at once. Asks nothing of the network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bypass.config import KEYS, Resolved, ServeOptions, judge_value, resolve
from bypass.configfile import Mistake, read_file
from bypass.errors import ConfigError
from bypass.site.describe import check_rules, places_of
from bypass.text import environment_name


@dataclass(slots=True)
class Findings:
    """resolved: None when there are mistakes. file: as it was named, or empty."""

    file: str
    mistakes: list[Mistake] = field(default_factory=list)
    resolved: Resolved | None = None


def check_settings(file: Path | None, environment: Mapping[str, str]) -> Findings:
    """ConfigError only for a file that cannot be read at all."""
    findings = Findings(str(file) if file else "")
    if file is not None:
        findings.mistakes = read_file(file, KEYS, judge_value).mistakes
    findings.mistakes += _environment_mistakes(environment)
    if findings.mistakes:
        findings.mistakes.sort(key=lambda mistake: (mistake.file, mistake.line))
        return findings
    findings.resolved = resolve({}, environment, file)
    findings.mistakes += _contradictions(findings.resolved)
    findings.mistakes += _rules_mistakes(findings.resolved)
    return findings


def settings_facts(resolved: Resolved) -> dict[str, object]:
    """Every key -> its value and where that came from."""
    values = msgspec.to_builtins(resolved.options)
    return {key: {"value": values[key], "source": resolved.origins[key]} for key in KEYS}


def _environment_mistakes(environment: Mapping[str, str]) -> list[Mistake]:
    mistakes = []
    for key in KEYS:
        name = environment_name(key)
        if raw := environment.get(name):
            try:
                judge_value(key, raw, name)
            except ConfigError as error:
                mistakes.append(Mistake("environment", 0, name, repr(raw), error.why, error.remedy))
    return mistakes


def _contradictions(resolved: Resolved) -> list[Mistake]:
    """Values that are right by themselves and cannot be carried out."""
    options = resolved.options
    mistakes = []
    if options.memory == "zero-copy" and options.mode == "generic":
        why, remedy = "only native XDP has zero-copy (mode is generic)", "Leave out one of the two"
        mistakes.append(_at("memory", options, resolved, why, remedy))
    if options.site and not os.path.exists(options.site):
        remedy = "Name a folder of files, or an image made by 'bypass build'"
        mistakes.append(_at("site", options, resolved, "there is no such folder or image", remedy))
    return mistakes


def _rules_mistakes(resolved: Resolved) -> list[Mistake]:
    """In `_redirects` and `_headers` of the folders that are served: of each file the first."""
    site = Path(resolved.options.site) if resolved.options.site else None
    if (site is None or not os.path.isdir(site)) and not resolved.site.hosts:
        return []
    mistakes = []
    for error in check_rules(places_of(site, resolved.site)):
        found = re.fullmatch(r"(?P<file>.*?):(?P<line>\d+): (?P<text>.*)", error.what, re.S)
        place = (found["file"], int(found["line"]), found["text"]) if found else (error.what, 0, "")
        mistakes.append(Mistake(*place, "", error.why, error.remedy))
    return mistakes


def _at(key: str, options: ServeOptions, resolved: Resolved, why: str, remedy: str) -> Mistake:
    """A mistake at the place that the value of `key` came from."""
    value = repr(getattr(options, KEYS[key]))
    origin = resolved.origins[key]
    file, _, line = origin.rpartition(":")
    if file and line.isdigit():
        return Mistake(file, int(line), f"serve.{key}", value, why, remedy)
    return Mistake("environment", 0, origin, value, why, remedy)
