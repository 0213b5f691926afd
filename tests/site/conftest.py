"""Small sites on disk and compiled images of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.site.image import SiteImage, open_image
from bypass.site.output import build_image_file
from tests.site.support import Compiler, SiteMaker, write_site


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
