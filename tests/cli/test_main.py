"""Help, nearest names, exit codes, and where words go."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from bypass import __version__
from bypass.cli import main
from bypass.cli.console import print_facts
from bypass.errors import BypassError, ConfigError, PrivilegeError, SiteError, UnavailableError
from tests.cli.conftest import ROOT, Command

COMMANDS = list(main.COMMANDS)


def test_help_opens_with_two_examples(bypass: Command) -> None:
    for flag in ("-h", "--help"):
        done = bypass(flag)
        assert done.exit_code == 0
        lines = done.out.splitlines()
        assert lines[0] == "Examples:"
        assert lines[1].startswith("  sudo bypass ")
        assert lines[2].startswith("  sudo bypass ")


@pytest.mark.parametrize("command", ["serve", "demo", "build"])
def test_every_command_has_examples_of_itself_first(bypass: Command, command: str) -> None:
    done = bypass(command, "--help")
    assert done.exit_code == 0
    head = done.out.split("Options:")[0]
    assert head.count(f"bypass {command}") >= 2


def test_help_lists_every_command(bypass: Command) -> None:
    out = bypass().out
    assert all(f"  {command} " in out for command in COMMANDS)


def test_version_is_the_package_version(bypass: Command) -> None:
    assert bypass("--version").out == f"bypass {__version__}\n"


def test_python_m_bypass_is_the_same(bypass_process: Command) -> None:
    assert bypass_process("--version").out == f"bypass {__version__}\n"


def test_an_unknown_command_suggests_the_nearest(bypass: Command) -> None:
    done = bypass("sevre")
    assert done.exit_code == 2
    assert done.out == ""
    assert "'sevre'" in done.err
    assert "Did you mean 'serve'?" in done.err


def test_an_unknown_command_near_to_none_gets_the_list(bypass: Command) -> None:
    assert ", ".join(main.COMMANDS) in bypass("xyzzy").err


def test_an_unknown_option_suggests_the_nearest(bypass: Command) -> None:
    done = bypass("serve", "site", "--prot", "80")
    assert done.exit_code == 2
    assert "--port" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve",), "SITE is missing"),
        (("serve", "site"), "--interface is missing"),
        (("serve", "site", "-i", "eth0", "--port", "0"), "--port 0: it must be a number from 1 to 65535"),
        (("serve", "site", "-i", "eth0", "--mode", "fast"), "--mode"),
        (("bench",), "Usage: bypass bench"),
    ],
)
def test_wrong_usage_exits_with_2(bypass: Command, arguments: tuple[str, ...], words: str) -> None:
    done = bypass(*arguments)
    assert done.exit_code == 2
    assert words in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (BypassError("it broke"), 1),
        (UnavailableError("no eth9", why="gone", remedy="Look."), 69),
        (PrivilegeError("not root"), 77),
        (ConfigError("port"), 78),
        (SiteError("empty"), 78),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_a_failure_becomes_one_line_and_its_exit_code(
    bypass: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, exit_code: int
) -> None:
    _replace_command(monkeypatch, error)
    done = bypass("fail")
    assert done.exit_code == exit_code
    assert "Traceback" not in done.err
    if isinstance(error, BypassError):
        assert done.err == f"bypass: error: {error}\n"


def test_with_json_an_error_is_json_too(bypass: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_command(monkeypatch, UnavailableError("no eth9", why="gone", remedy="Look."))
    done = bypass("fail", "--json")
    assert '"version": 1' in done.out
    assert '"what": "no eth9"' in done.out
    assert "no eth9" in done.err


def test_facts_carry_a_version(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"requests": 3})
    assert capsys.readouterr().out == '{\n  "version": 1,\n  "requests": 3\n}\n'


def test_a_reader_that_leaves_causes_no_traceback() -> None:
    command = f"{sys.executable} -m bypass serve --help | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "Examples:\n"
    assert done.stderr == ""


def test_no_color_is_obeyed(bypass_process: Command) -> None:
    colourful = bypass_process("sevre", env={"FORCE_COLOR": "1", "TERM": "xterm"})
    plain = bypass_process("sevre", env={"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[1;31m" in colourful.err
    assert "\x1b[1;31m" not in plain.err


def test_a_part_that_is_not_built_is_said_so(bypass: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_command(monkeypatch, ModuleNotFoundError("no", name="bypass._engine"))
    done = bypass("fail")
    assert done.exit_code == 69
    assert "make setup" in done.err


def _replace_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    @click.option("--json", is_flag=True)
    def fail(json: bool) -> None:
        del json
        raise error

    monkeypatch.setitem(main.cli._lazy, "fail", ("tests.cli.test_main:failing", "Fails."))  # type: ignore[attr-defined]
    monkeypatch.setitem(globals(), "failing", fail)
    monkeypatch.setitem(sys.modules, "tests.cli.test_main", sys.modules[__name__])
