"""Every script on our engine, in virtual time; the common ones on Linux too, over a veth pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import MakeHost
from tests.scripts.clients import EngineDial
from tests.scripts.language import Script, parse
from tests.scripts.play import Play
from tests.scripts.servers import EngineWire
from tests.scripts.sideways import AS_OURS, AS_START, AS_WRITTEN, Plays
from tests.scripts.values import ScriptError
from tests.scripts.wire import Responses

ALL = [parse(path) for path in sorted(Path(__file__).parent.glob("*.tcp"))]
CLAIMS = [script for script in ALL if script.claims]
SCRIPTS = [script for script in ALL if not (script.opens or script.claims)]
OPENING = [script for script in ALL if script.opens]
COMMON = [script for script in ALL if script.common]
DIFFERING = [script for script in COMMON if script.differs]


def names(scripts: list[Script]) -> list[str]:
    return [script.path.stem for script in scripts]


@pytest.mark.parametrize("script", SCRIPTS, ids=names(SCRIPTS))
def test_ours(make_host: MakeHost, responses: Responses, script: Script) -> None:
    Play(script, EngineWire(make_host, responses, script.engine, script.version)).run()


@pytest.mark.parametrize("script", OPENING, ids=names(OPENING))
def test_our_client(script: Script) -> None:
    Play(script, EngineDial(script.engine, script.version)).run()


@pytest.mark.root
@pytest.mark.parametrize("script", CLAIMS, ids=names(CLAIMS))
def test_a_start_of_ours(linux: Plays, script: Script) -> None:
    linux.result(AS_START, script)


@pytest.mark.root
@pytest.mark.parametrize("script", COMMON, ids=names(COMMON))
def test_linux(linux: Plays, script: Script) -> None:
    linux.result(AS_WRITTEN, script)


@pytest.mark.root
@pytest.mark.parametrize("script", DIFFERING, ids=names(DIFFERING))
def test_the_disagreement_still_exists(linux: Plays, script: Script) -> None:
    with pytest.raises(ScriptError):
        linux.result(AS_OURS, script)
