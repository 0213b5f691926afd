"""A small compiled site, and engines that are checked for lost frames when the test ends."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.site.image import SiteImage, open_image
from bypass.site.output import compile_to_memfd
from tests.engine.host import Host

SIZES = {"b0": 0, "b1": 1, "b63": 63, "b64": 64, "b65": 65, "b1k": 1024, "b10k": 10240, "b1m": 1 << 20}

MakeHost = Callable[..., Host]


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    """Name -> content of the site's files; `b10k` has 10 KB and so on."""
    chance = random.Random(1)
    return {name: chance.randbytes(size) for name, size in SIZES.items()} | {"sub/index.html": b"<p>home"}


@pytest.fixture(scope="session")
def image(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteImage]:
    root: Path = tmp_path_factory.mktemp("site")
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    fd, _ = compile_to_memfd(root)
    with open_image(fd) as opened:
        yield opened
    os.close(fd)


@pytest.fixture
def make_host(image: SiteImage) -> Iterator[MakeHost]:
    """Makes engines; afterwards none of them may have lost a frame."""
    made: list[Host] = []

    def make(**options: object) -> Host:
        made.append(Host(image.buffer, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for host in made:
        host.settle()
        assert host.engine.frames_lost() == 0
    assert made, "the test made no engine"


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host()
