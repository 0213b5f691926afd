"""Where an image goes: whole or not at all, and nothing left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from bypass.errors import SiteError
from bypass.site.image import open_image
from bypass.site.output import build_image_file, compile_to_memfd
from tests.site.support import SiteMaker, umask


def test_a_failed_build_leaves_the_older_image_and_nothing_else(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"one"})
    path = tmp_path / "site.img"
    build_image_file(root, path)
    before = path.read_bytes()
    with pytest.raises(SiteError):
        build_image_file(root, path, max_bytes=10)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["site", "site.img"]
    assert path.stat().st_mode & 0o077 == 0o044 & ~umask()


def test_an_image_inside_its_own_folder_is_not_part_of_the_site(make_site: SiteMaker) -> None:
    root = make_site({"index.html": b"one"})
    first = build_image_file(root, root / "site.img")
    second = build_image_file(root, root / "site.img")
    assert (first.image_bytes, first.skipped.images) == (second.image_bytes, 0)
    assert second.skipped.images == 1


@pytest.mark.parametrize("name", ["missing/site.img", "site/index.html/site.img"])
def test_an_output_that_cannot_be_written_is_an_error(
    make_site: SiteMaker, tmp_path: Path, name: str
) -> None:
    root = make_site({"index.html": b""})
    with pytest.raises(SiteError, match="the image cannot be written"):
        build_image_file(root, tmp_path / name)


def test_an_output_that_is_a_folder_is_an_error(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b""})
    (tmp_path / "out").mkdir()
    with pytest.raises(SiteError, match="out: the image cannot be written: Is a directory"):
        build_image_file(root, tmp_path / "out")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "site"]


def test_a_memfd_is_sealed_against_writing_and_resizing(make_site: SiteMaker) -> None:
    fd, summary = compile_to_memfd(make_site({"index.html": b"sealed"}))
    try:
        assert os.fstat(fd).st_size == summary.image_bytes
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        with open_image(fd) as image:
            response = image.lookup(b"/")
            assert response is not None
            assert bytes(response.body) == b"sealed"
            del response
    finally:
        os.close(fd)


def test_a_compile_leaves_no_descriptor_open(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"1", "gone.txt": b"2"})
    before = set(os.listdir("/proc/self/fd"))
    os.close(compile_to_memfd(root)[0])
    build_image_file(root, tmp_path / "x.img")
    with pytest.raises(SiteError):
        compile_to_memfd(root, progress=lambda _done, _total: (root / "gone.txt").unlink(missing_ok=True))
    assert set(os.listdir("/proc/self/fd")) == before
