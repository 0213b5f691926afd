"""What the servers of the scripts answer, and the laboratory where Linux is played against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bypass.site.image import SiteImage
from tests.engine.conftest import MakeHost, files, image, make_host
from tests.engine.host import Host
from tests.scripts.linux import LinuxLab
from tests.scripts.servers import engine_responses
from tests.scripts.sideways import Plays
from tests.scripts.wire import Responses

__all__ = ["MakeHost", "files", "image", "make_host"]


@pytest.fixture(scope="session")
def responses(image: SiteImage) -> Responses:
    return engine_responses(Host(image.buffer))


@pytest.fixture(scope="session")
def linux(responses: Responses, request: pytest.FixtureRequest) -> Iterator[Plays]:
    """Begins every play with Linux that this run will ask for."""
    wanted = [
        (item.originalname, item.callspec.params["script"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and "linux" in item.fixturenames
    ]
    with LinuxLab(responses) as lab, Plays(lab, wanted) as plays:
        yield plays
