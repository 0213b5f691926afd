"""Every script on our engine, in virtual time; the common ones on Linux too, over a veth pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import MakeHost
from tests.scripts.language import Script, ScriptError, parse
from tests.scripts.play import Play
from tests.scripts.servers import EngineWire, LinuxLab

SCRIPTS = [parse(path) for path in sorted(Path(__file__).parent.glob("*.tcp"))]
COMMON = [script for script in SCRIPTS if script.common]
DIFFERING = [script for script in COMMON if script.differs]


def names(scripts: list[Script]) -> list[str]:
    return [script.path.stem for script in scripts]


@pytest.mark.parametrize("script", SCRIPTS, ids=names(SCRIPTS))
def test_ours(make_host: MakeHost, responses: dict[str, bytes], script: Script) -> None:
    Play(script, EngineWire(make_host(**script.engine), responses)).run()


@pytest.mark.root
@pytest.mark.parametrize("script", COMMON, ids=names(COMMON))
def test_linux(linux: LinuxLab, script: Script) -> None:
    Play(script, linux.wire()).run()


@pytest.mark.root
@pytest.mark.parametrize("script", DIFFERING, ids=names(DIFFERING))
def test_the_disagreement_still_exists(linux: LinuxLab, script: Script) -> None:
    with pytest.raises(ScriptError):
        Play(script, linux.wire(), side="ours").run()
