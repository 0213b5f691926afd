"""Runs the command line: in this process, or as another user in one of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from bypass.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    exit_code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def bypass(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """bypass("serve", "--port", "0") in this process."""
    for name in list(os.environ):
        if name.startswith("BYPASS_"):
            monkeypatch.delenv(name)

    def call(*arguments: str) -> Outcome:
        exit_code = run(list(arguments))
        printed = capsys.readouterr()
        return Outcome(int(exit_code), printed.out, printed.err)

    return call


@pytest.fixture
def bypass_process() -> Command:
    """The same in a process of its own; `user` runs it as another user, without any privilege."""

    def call(*arguments: str, user: int | None = None, env: dict[str, str] | None = None) -> Outcome:
        identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        done = subprocess.run(
            [sys.executable, "-m", "bypass", *arguments],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            **identity,  # type: ignore[call-overload]
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def down_link() -> Iterator[str]:
    """One end of a pair of virtual links, not brought up, without an address."""
    name = f"bt{secrets.token_hex(4)}"
    with IPRoute() as route:
        route.link("add", ifname=name, kind="veth", peer={"ifname": f"{name}p"})
        try:
            yield name
        finally:
            route.link("del", index=route.link_lookup(ifname=name)[0])


@pytest.fixture
def link(down_link: str) -> str:
    """The same, up and with an address that nobody routes to."""
    with IPRoute() as route:
        index = route.link_lookup(ifname=down_link)[0]
        route.addr("add", index=index, address="198.19.255.1", prefixlen=32)
        route.link("set", index=index, state="up")
    return down_link
