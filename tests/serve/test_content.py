"""What is served cannot change underneath: an image file is copied before it is checked and mapped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bypass.errors import SiteError
from bypass.serve.content import open_site
from bypass.site.output import build_image_file


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_bytes(b"hello" * 5000)
    build_image_file(tmp_path / "site", tmp_path / "site.img")
    return tmp_path / "site.img"


def test_an_image_file_that_is_cut_or_overwritten_goes_on_being_served(image: Path) -> None:
    with open_site(image, None) as site:
        os.truncate(image, 4096)
        image.write_bytes(b"something else")
        found = site.lookup(b"/")
        assert found is not None and bytes(found.body) == b"hello" * 5000


def test_an_image_file_above_the_memory_allowed_is_refused_with_figures(image: Path) -> None:
    with pytest.raises(SiteError, match=r"allowed are 1(\.0)? KiB.*--max-memory"), open_site(image, 1024):
        pass


def test_a_damaged_image_file_is_named(image: Path) -> None:
    os.truncate(image, image.stat().st_size - 64)
    with pytest.raises(SiteError, match=r"site\.img"), open_site(image, None):
        pass
