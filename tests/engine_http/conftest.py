"""One compiled site for all; a fresh engine for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bypass.site.image import open_image
from bypass.site.output import build_image_file
from tests.engine_http.client import Net
from tests.engine_http.reference import MODIFIED_S, WALL_S, Site, files

NetMaker = Callable[..., Net]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    for name, octets in files().items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        os.utime(path, (MODIFIED_S, MODIFIED_S))
    build_image_file(folder / "root", folder / "site.img")
    with open_image(folder / "site.img") as image:
        yield Site(Path(folder / "root"), image)


@pytest.fixture
def make_net(site: Site) -> Iterator[NetMaker]:
    """Makes engines; at the end none of them has lost a frame."""
    nets: list[Net] = []

    def make(**options: Any) -> Net:
        nets.append(Net(**{"image": site.image.buffer, "wall_s": WALL_S} | options))
        return nets[-1]

    yield make
    for net in nets:
        assert net.engine.frames_lost() == 0


@pytest.fixture
def net(make_net: NetMaker) -> Net:
    return make_net()
