"""The examples in every command's --help run as written, where there are an eth0 and a ./site."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bypass.cli.main import cli
from bypass.serve.vethpair import VethPair

ROOT = Path(__file__).resolve().parents[2]
BYPASS = Path(sys.executable).with_name("bypass")
_EXAMPLE = re.compile(r"^ +((?:sudo )?bypass (?!\[|-).*)$", re.M)
_UNTIL_CTRL_C = re.compile(r"bypass (serve|demo(?!.*--once)|nic top(?!.*--once)|bench)\b")
RUNS_S = 4.0
"""How long a command that runs until Ctrl-C (or measures for minutes) is left to run."""


class Desk:
    """Where a person would type: a namespace with eth0, a folder with ./site and settings, sudo, bypass."""

    def __init__(self, pair: VethPair, folder: Path) -> None:
        self.namespace, self.folder = str(pair.server.namespace), folder
        for name, value in (("site/index.html", "hello"), ("bin/sudo", '#!/bin/sh\nexec "$@"\n')):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(value)
        (folder / "bin/sudo").chmod(0o755)
        (folder / "bin/bypass").symlink_to(BYPASS)
        shutil.copy(ROOT / "config/bypass.toml", folder / "bypass.toml")
        subprocess.run(self.inside(f"ip link set {pair.server.ifname} down"), check=True)
        subprocess.run(self.inside(f"ip link set {pair.server.ifname} name eth0 up"), check=True)

    def inside(self, line: str) -> list[str]:
        path = f"PATH={self.folder / 'bin'}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        nginx = f"BYPASS_NGINX={os.environ.get('BYPASS_NGINX', ROOT / '.cache/nginx/usr/sbin/nginx')}"
        state = [nginx, f"BYPASS_STATE_DIR={self.folder / 'state'}", f"XDG_RUNTIME_DIR={self.folder}"]
        return ["ip", "netns", "exec", self.namespace, "env", path, *state, *shlex.split(line)]

    def start(self, line: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.inside(line), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def type(self, line: str) -> tuple[int, str]:
        """Exit code and words of a line. One that runs until Ctrl-C gets that after a while."""
        with self.start(line) as process:
            if _UNTIL_CTRL_C.search(line):
                time.sleep(RUNS_S)
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=180)
        return process.returncode, said


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with VethPair(isolate_server=True, queues=4) as pair:
        yield Desk(pair, tmp_path)


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups included."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*words, name))


def examples(words: tuple[str, ...]) -> list[str]:
    """As the help prints them."""
    shown = subprocess.run([BYPASS, *words, "--help"], capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in _EXAMPLE.findall(shown)]


COMMANDS = list(commands(cli))
BEFORE = {
    ("nic", "confirm"): "bypass nic apply eth0 --workers 2 --rollback-after 60s",
    ("nic", "restore"): "bypass nic apply eth0 --workers 2",
    ("nic", "verify"): "bypass nic apply eth0 --workers 2",
}
"""What a person has typed before the examples of a command make sense."""


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=["-".join(words) or "bypass" for words in COMMANDS])
def test_examples_run_as_written(desk: Desk, words: tuple[str, ...]) -> None:
    lines = examples(words)
    assert lines or words == ("bench",), "the help has no example"
    if words in BEFORE:
        assert desk.type(BEFORE[words])[0] == 0
    server = desk.start("bypass serve ./site --interface eth0") if words == ("reload",) else None
    try:
        if server is not None and server.stdout is not None:
            assert any("of packets" in line for line in server.stdout)
        for line in lines:
            code, said = desk.type(line)
            allowed = (0, signal.SIGINT + 128) if _UNTIL_CTRL_C.search(line) else (0,)
            assert code in allowed, f"{line}: {code}\n{said}"
            assert said or code, line
    finally:
        if server is not None:
            server.kill()
            server.communicate()
