"""The store: every path is found, nothing else is; ranges of bodies and their sums by the table."""

from __future__ import annotations

import mmap
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass._probe import Store, sum_octets
from bypass.site.image import SiteImage, open_image
from bypass.site.output import build_image_file

LONG = "long" * 40 + ".html"
SIZES = (0, 1, 63, 64, 65, 127, 128, 129, 1000, 4097, 70001)


def content(size: int) -> bytes:
    """Random octets with runs of 0x00 and 0xff, where the two zeros of the sum meet."""
    rng = random.Random(size)
    return b"".join(
        rng.choice([b"\0" * 40, b"\xff" * 50, rng.randbytes(33), rng.randbytes(64)])
        for _ in range(size // 33 + 1)
    )[:size]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteImage]:
    folder = tmp_path_factory.mktemp("store")
    root = folder / "root"
    root.mkdir()
    for size in SIZES:
        Path(root, f"{size}.bin").write_bytes(content(size))
    for number in range(400):
        Path(root, f"page-{number}.html").write_bytes(b"%d" % number)
    Path(root, LONG).write_bytes(b"its name does not fit into a card")
    Path(root, "twin.html").write_bytes(b"0")
    build_image_file(root, folder / "site.img")
    with open_image(folder / "site.img") as opened:
        yield opened


@pytest.fixture(scope="module")
def store(image: SiteImage) -> Iterator[Store]:
    store = Store(image.buffer)
    yield store
    del store


def test_every_path_of_the_image_is_found(image: SiteImage, store: Store) -> None:
    paths = dict(image)
    assert len(paths) == len(SIZES) + 402
    for path, stored in paths.items():
        number = store.find(path)
        assert number is not None
        assert image.response(number).record == stored.record


def test_what_is_not_in_the_image_is_not_found(image: SiteImage, store: Store) -> None:
    assert store.find(b"") is None
    for path, _ in image:
        for other in (path[:-1], path + b"x", path + b"\0", path.upper(), path[:5] + b"?" + path[6:]):
            assert store.find(other) is None


def test_a_path_is_compared_octet_by_octet_where_the_hash_agrees(image: SiteImage) -> None:
    with mmap.mmap(-1, image.image_bytes) as altered:
        altered[:] = image.buffer
        start = altered.find(b"/page-77.html", image.header.sections.paths_offset)
        altered[start : start + 13] = b"/page-7X.html"
        store = Store(altered)
        assert store.find(b"/page-77.html") is None
        assert store.find(b"/page-78.html") is not None
        del store


@pytest.mark.parametrize("size", SIZES)
def test_ranges_of_a_body_are_copied_with_the_sum_of_their_octets(store: Store, size: int) -> None:
    number = store.find(b"/%d.bin" % size)
    assert number is not None
    whole = content(size)
    rng = random.Random(size)
    edges = [edge for step in (0, 64, 128, 1024) for edge in range(step - 2, step + 3) if 0 <= edge <= size]
    edges += [max(size - near, 0) for near in range(3)]
    ranges = [(start, end) for start in edges for end in edges if start <= end]
    for _ in range(300):
        start = rng.randint(0, size)
        ranges.append((start, rng.randint(start, size)))
    for start, end in ranges:
        octets, total = store.copy_body(number, start, end - start)
        assert octets == whole[start:end]
        assert total % 0xFFFF == sum_octets(octets) % 0xFFFF, (start, end)
