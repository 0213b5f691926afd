"""Every script on our engine, in virtual time; the common ones on Linux too, over a veth pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import MakeHost
from tests.scripts.clients import EngineDial, linux_dial
from tests.scripts.language import Script, ScriptError, parse
from tests.scripts.play import Play
from tests.scripts.servers import EngineWire, LinuxLab

ALL = [parse(path) for path in sorted(Path(__file__).parent.glob("*.tcp"))]
SCRIPTS = [script for script in ALL if not script.opens]
OPENING = [script for script in ALL if script.opens]
OPENING_COMMON = [script for script in OPENING if script.common]
OPENING_DIFFERING = [script for script in OPENING_COMMON if script.differs]
COMMON = [script for script in SCRIPTS if script.common]
DIFFERING = [script for script in COMMON if script.differs]


def names(scripts: list[Script]) -> list[str]:
    return [script.path.stem for script in scripts]


@pytest.mark.parametrize("script", SCRIPTS, ids=names(SCRIPTS))
def test_ours(make_host: MakeHost, responses: dict[str, bytes], script: Script) -> None:
    Play(script, EngineWire(make_host(**script.engine), responses)).run()


@pytest.mark.parametrize("script", OPENING, ids=names(OPENING))
def test_our_client(script: Script) -> None:
    Play(script, EngineDial(script.engine)).run()


@pytest.mark.root
@pytest.mark.parametrize("script", OPENING_COMMON, ids=names(OPENING_COMMON))
def test_the_client_of_linux(linux: LinuxLab, script: Script) -> None:
    with linux_dial(linux) as wire:
        Play(script, wire).run()


@pytest.mark.root
@pytest.mark.parametrize("script", COMMON, ids=names(COMMON))
def test_linux(linux: LinuxLab, script: Script) -> None:
    Play(script, linux.wire()).run()


@pytest.mark.root
@pytest.mark.parametrize("script", DIFFERING, ids=names(DIFFERING))
def test_the_disagreement_still_exists(linux: LinuxLab, script: Script) -> None:
    with pytest.raises(ScriptError):
        Play(script, linux.wire(), side="ours").run()


@pytest.mark.root
@pytest.mark.parametrize("script", OPENING_DIFFERING, ids=names(OPENING_DIFFERING))
def test_the_disagreement_of_clients_still_exists(linux: LinuxLab, script: Script) -> None:
    with linux_dial(linux) as wire, pytest.raises(ScriptError):
        Play(script, wire, side="ours").run()
