"""What the servers of the scripts answer, and the laboratory with a listening socket of Linux."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bypass.site.image import SiteImage
from tests.engine.conftest import MakeHost, files, image, make_host
from tests.engine.host import Host
from tests.scripts.servers import LinuxLab, engine_responses

__all__ = ["MakeHost", "files", "image", "make_host"]


@pytest.fixture(scope="session")
def responses(image: SiteImage) -> dict[str, bytes]:
    return engine_responses(Host(image.buffer))


@pytest.fixture(scope="session")
def linux(responses: dict[str, bytes]) -> Iterator[LinuxLab]:
    with LinuxLab(responses) as lab:
        yield lab
