"""Small sites on disk, compiled images of them, and a stand-in for an ordinary user."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bypass.site.image import SiteImage, open_image
from bypass.site.output import build_image_file

NOBODY = 65534

SiteMaker = Callable[[Mapping[str, bytes]], Path]
Compiler = Callable[[Path], SiteImage]


def write_site(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.fixture
def make_site(tmp_path: Path) -> SiteMaker:
    """Writes files, by relative name, into a folder and returns it."""
    return lambda files: write_site(tmp_path / "site", files)


@pytest.fixture
def compiled(tmp_path: Path) -> Iterator[Compiler]:
    """Compiles a folder to an image file and opens it."""
    opened: list[SiteImage] = []

    def build(root: Path) -> SiteImage:
        path = tmp_path / f"{len(opened)}.img"
        build_image_file(root, path)
        opened.append(open_image(path))
        return opened[-1]

    yield build
    for image in opened:
        image.close()


@pytest.fixture
def public_tmp() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="bypass-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Without root's right to read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
