"""What README tells a person to type exists: make targets, commands and their options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from bypass.cli.main import cli

_BLOCK = re.compile(r"^```(?:sh|shell|bash|console)?\n(.*?)^```", re.M | re.S)


def commands_in(text: str) -> list[list[str]]:
    """Every line of a code block that starts with make or bypass, sudo and a prompt taken off."""
    found = []
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ ").strip(), comments=True)
            words = words[1:] if words[:1] == ["sudo"] else words
            if words and words[0] in ("make", "bypass", ".venv/bin/bypass"):
                found.append(words)
    return found


def complaint_about(words: list[str], makefile: str) -> str:
    """Why these words are no command of ours, or nothing."""
    arguments = words[1:]
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
        unknown = [word for word in arguments if "=" not in word and word not in targets]
        return f"no make target {unknown[0]}" if unknown else ""
    try:
        _parse(cli, "bypass", arguments)
    except click.exceptions.Exit:
        return ""
    except click.UsageError as error:
        return error.format_message()
    return ""


def _parse(command: click.Command, name: str, arguments: list[str]) -> None:
    """As click would, down to the last command, without running it."""
    if not isinstance(command, click.Group):
        command.make_context(name, arguments)
        return
    context = command.make_context(name, arguments)
    rest = [*context._protected_args, *context.args]
    if rest:
        found, inner, left = command.resolve_command(context, rest)
        assert inner is not None
        _parse(inner, str(found), left)


def test_every_command_in_the_readme_exists(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    commands = commands_in((root / "README.md").read_text())
    assert len(commands) >= 2
    complaints = [
        f"{' '.join(words)}: {why}" for words in commands if (why := complaint_about(words, makefile))
    ]
    assert complaints == []


@pytest.mark.parametrize(
    "line", ["make tset", "bypass sreve", "bypass serve x --prot 3", "bypass bench egnine"]
)
def test_a_command_that_does_not_exist_is_found(line: str, root: Path) -> None:
    assert complaint_about(line.split(), (root / "Makefile").read_text())


def test_commands_are_found_behind_sudo_and_prompts() -> None:
    text = "```sh\n$ sudo make demo   # try\nls\n```\n\n```\nbypass -h\n```\n"
    assert commands_in(text) == [["make", "demo"], ["bypass", "-h"]]
