"""Images whose large bodies stay on disk: what is copied and marked, and a file that is not what it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.errors import SiteError
from bypass.reload.maker import ImageMaker
from bypass.site.image import SiteImage, open_image
from bypass.site.large import LargeBodies, copy_without_large
from bypass.site.layout import RESPONSE_LARGE
from bypass.site.output import build_image_file

LARGE = 100_000
CONTENT = random.Random(3).randbytes(3_000_000)
OTHER = random.Random(4).randbytes(LARGE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "big.bin").write_bytes(CONTENT)
    (root / "other.bin").write_bytes(OTHER)
    (root / "small.txt").write_bytes(b"small")
    build_image_file(root, tmp_path / "site.img")
    return tmp_path / "site.img"


@pytest.fixture
def made(path: Path) -> Iterator[tuple[SiteImage, LargeBodies]]:
    with ImageMaker(path, None, large_bytes=LARGE) as maker, maker.make() as image:
        assert image.large is not None
        yield image, image.large
        image.large.close()


def read_all(large: LargeBodies, number: int, size: int) -> bytes:
    target = bytearray(size + 10)
    return bytes(target[: large.read_into(number, 0, memoryview(target))])


def test_everything_else_is_as_in_the_file(made: tuple[SiteImage, LargeBodies], path: Path) -> None:
    image, _ = made
    with open_image(path) as whole:
        assert sorted(name for name, _ in image) == sorted(name for name, _ in whole)
        small, same = image.lookup(b"/small.txt"), whole.lookup(b"/small.txt")
        assert small is not None and same is not None
        assert (small.head, bytes(small.body), bytes(small.sums)) == (
            same.head,
            bytes(same.body),
            bytes(same.sums),
        )
        assert small.record == same.record
        big, stored = image.lookup(b"/big.bin"), whole.lookup(b"/big.bin")
        assert big is not None and stored is not None
        assert big.head == stored.head
        assert big.record.flags == stored.record.flags | RESPONSE_LARGE
        assert big.record.body_bytes == len(CONTENT)


def test_large_bodies_are_read_from_the_file(made: tuple[SiteImage, LargeBodies]) -> None:
    image, large = made
    for name, content in ((b"/big.bin", CONTENT), (b"/other.bin", OTHER)):
        found = image.lookup(name)
        assert found is not None
        number = found.record.body_offset
        assert read_all(large, number, len(content)) == content
        target = bytearray(1000)
        assert large.read_into(number, len(content) - 10, memoryview(target)) == 10
        assert target[:10] == content[-10:]


def test_no_memory_is_taken_for_them(path: Path) -> None:
    fd = os.memfd_create("test")
    large = copy_without_large(path, fd, large_bytes=LARGE, max_bytes=1 << 30)
    assert large is not None
    about = os.fstat(fd)
    assert about.st_size == path.stat().st_size
    assert about.st_blocks * 512 < 200_000
    large.close()
    os.close(fd)


def test_without_large_bodies_all_is_copied(path: Path) -> None:
    with ImageMaker(path, None, large_bytes=1 << 30) as maker, maker.make() as image:
        assert image.large is None
        assert bytes(image.buffer) == path.read_bytes()


def test_the_limit_counts_what_is_in_memory(path: Path) -> None:
    with ImageMaker(path, 200_000, large_bytes=LARGE) as maker, maker.make() as image:
        assert image.large is not None
        image.large.close()
    with ImageMaker(path, 200_000, large_bytes=0) as maker, pytest.raises(SiteError, match="--max-memory"):
        maker.make()


def test_a_replaced_file_goes_on_being_served(made: tuple[SiteImage, LargeBodies], path: Path) -> None:
    _, large = made
    path.with_name("new").write_bytes(b"nothing")
    path.with_name("new").rename(path)
    number = large.places.index(max(large.places, key=lambda place: place[1]))
    assert read_all(large, number, len(CONTENT)) == CONTENT


@pytest.mark.parametrize("change", ["cut", "written"])
def test_a_changed_file_is_not_served(made: tuple[SiteImage, LargeBodies], path: Path, change: str) -> None:
    _, large = made
    if change == "cut":
        os.truncate(path, 4096)
    else:
        with path.open("r+b") as file:
            file.seek(5000)
            file.write(b"x")
        os.utime(path, (1, 1))
    with pytest.raises(OSError, match="changed while it is served"):
        large.read_into(0, 0, memoryview(bytearray(100)))


def test_a_damaged_image_is_refused(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 100)
        file.write(b"x")
    with ImageMaker(path, None, large_bytes=LARGE) as maker, pytest.raises(SiteError, match="checksum"):
        maker.make()
