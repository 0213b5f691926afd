"""Building again: whichever way is taken, the image is the one that a build from scratch gives."""

from __future__ import annotations

import gzip
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bypass.errors import SiteError
from bypass.site.builder import SiteBuilder
from bypass.site.image import open_image
from bypass.site.output import build_image_file
from bypass.site.rules.settings import Compression, SiteConfig, SiteSettings

SETTINGS = {
    "plain": SiteConfig(),
    "packed": SiteConfig(site=SiteSettings(compression=Compression(codings=("br", "zstd", "gzip")))),
    "clean": SiteConfig(site=SiteSettings(clean_urls=True, spa="/index.html")),
    "listed": SiteConfig(site=SiteSettings(listing=True)),
}
OLD_S = 1_700_000_000


def words(rng: random.Random, size: int) -> bytes:
    return b" ".join(b"%d" % rng.randrange(1000) for _ in range(size // 3 + 1))[:size]


def write(path: Path, content: bytes, second: int = OLD_S) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (second, second))


def image_of(builder: SiteBuilder, config: SiteConfig) -> bytes:
    fd = os.memfd_create("test")
    try:
        builder.build(fd, config)
        open_image(fd, "test").close()
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def from_scratch(root: Path, config: SiteConfig) -> bytes:
    return image_of(SiteBuilder(root, threads=1), config)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_changed_file_gives_the_image_of_a_build_from_scratch(name: str, tmp_path: Path) -> None:
    rng = random.Random(7)
    config = SETTINGS[name]
    for number in range(40):
        write(tmp_path / f"d{number % 4}" / f"f{number}.html", words(rng, rng.choice([1, 63, 64, 900, 3000])))
    write(tmp_path / "index.html", b"<p>home")
    write(tmp_path / "404.html", b"<p>lost")
    builder = SiteBuilder(tmp_path)
    assert image_of(builder, config) == from_scratch(tmp_path, config)
    patched = 0
    for step in range(1, 12):
        for path in rng.sample(sorted(tmp_path.rglob("*.html")), rng.randint(1, 3)):
            write(path, words(rng, rng.choice([1, 9, 10, 99, 100, 1000, 9999, 10000])), OLD_S + step)
        assert image_of(builder, config) == from_scratch(tmp_path, config)
        patched += builder.patched
    assert (patched > 0) == (name != "listed")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([b"", b"1", b"22", b"3" * 400, b"4" * 400])),
        max_size=8,
    )
)
def test_equal_and_empty_files_are_no_exception(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("site")
    for number, name in enumerate("abcdef"):
        write(root / f"{name}.txt", b"%d" % number * 300)
    builder = SiteBuilder(root)
    config = SETTINGS["packed"]
    assert image_of(builder, config) == from_scratch(root, config)
    for step, (name, content) in enumerate(changes, 1):
        write(root / f"{name}.txt", content, OLD_S + step)
        assert image_of(builder, config) == from_scratch(root, config)


def test_files_that_come_and_go_rules_and_settings_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "index.html", b"<p>home")
    builder = SiteBuilder(tmp_path)
    seen = set()
    for step, config in enumerate([*SETTINGS.values(), SETTINGS["plain"]]):
        write(tmp_path / f"new{step}.html", b"<p>new" * 100)
        assert image_of(builder, config) == from_scratch(tmp_path, config)
        write(tmp_path / "_redirects", b"/old%d /new0.html\n" % step, OLD_S + step)
        write(tmp_path / "_headers", b"/*\n  X-Step: %d\n" % step, OLD_S + step)
        image = image_of(builder, config)
        assert image == from_scratch(tmp_path, config)
        seen.add(image)
    assert len(seen) == len(SETTINGS) + 1


def test_a_file_that_was_touched_only_is_read_and_its_time_told(tmp_path: Path) -> None:
    write(tmp_path / "index.html", b"<p>home")
    builder = SiteBuilder(tmp_path)
    before = image_of(builder, SETTINGS["plain"])
    write(tmp_path / "index.html", b"<p>home", OLD_S + 9)
    after = image_of(builder, SETTINGS["plain"])
    assert builder.patched
    assert after != before
    assert after == from_scratch(tmp_path, SETTINGS["plain"])


def test_a_second_change_within_the_clock_of_the_file_system_is_seen(tmp_path: Path) -> None:
    """Same size and same time: the file counts as changed while its time is that young."""
    now = int(time.time())
    write(tmp_path / "index.html", b"<p>one", now)
    builder = SiteBuilder(tmp_path)
    image_of(builder, SETTINGS["plain"])
    for content in (b"<p>two", b"<p>six"):
        write(tmp_path / "index.html", content, now)
        assert content in image_of(builder, SETTINGS["plain"])


def test_a_failed_build_changes_nothing_for_the_next(tmp_path: Path) -> None:
    write(tmp_path / "index.html", b"<p>home")
    builder = SiteBuilder(tmp_path)
    image_of(builder, SETTINGS["plain"])
    (tmp_path / "_redirects").write_bytes(b"nonsense\n")
    with pytest.raises(SiteError, match="_redirects:1"):
        image_of(builder, SETTINGS["plain"])
    (tmp_path / "_redirects").unlink()
    write(tmp_path / "index.html", b"<p>house", OLD_S + 1)
    assert image_of(builder, SETTINGS["plain"]) == from_scratch(tmp_path, SETTINGS["plain"])


def test_threads_make_no_difference(tmp_path: Path) -> None:
    rng = random.Random(3)
    for number in range(60):
        write(tmp_path / f"f{number}.txt", words(rng, rng.randrange(200, 4000)))
    config = SETTINGS["packed"]
    images = {image_of(SiteBuilder(tmp_path, threads=threads), config) for threads in (1, 2, 7)}
    assert len(images) == 1


# ---- the cache beside the image ----


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = random.Random(5)
    for number in range(20):
        write(tmp_path / "site" / f"f{number}.txt", words(rng, 2000))
    return tmp_path / "site"


def build(root: Path, path: Path, name: str = "packed") -> bytes:
    build_image_file(root, path, config=SETTINGS[name], cache=True)
    return path.read_bytes()


def test_a_warm_build_reads_and_packs_nothing_and_gives_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = build(root, tmp_path / "x.img")
    assert cold == from_scratch(root, SETTINGS["packed"])

    def refuse(*_: object) -> bytes:
        raise AssertionError("an unchanged file costs a stat")

    for name in ("plan.read_small", "files.recall.digest", "compile.read_into", "files.forms.read_small"):
        monkeypatch.setattr(f"bypass.site.{name}", refuse)
    monkeypatch.setattr("bypass.site.files.forms.compress", refuse)
    assert build(root, tmp_path / "x.img") == cold


def test_a_warm_build_takes_in_what_changed(root: Path, tmp_path: Path) -> None:
    build(root, tmp_path / "x.img")
    write(root / "f3.txt", b"other " * 300, OLD_S + 1)
    write(root / "more.txt", b"more " * 300)
    (root / "f4.txt").unlink()
    for name in ("packed", "plain", "clean"):
        if name == "clean":
            write(root / "index.html", b"home")
        assert build(root, tmp_path / "x.img", name) == from_scratch(root, SETTINGS[name])


@pytest.mark.parametrize("place", [0, 10, 50, 200, -1])
def test_a_damaged_cache_or_image_is_as_if_it_were_not_there(root: Path, tmp_path: Path, place: int) -> None:
    cold = build(root, tmp_path / "x.img")
    for name in ("x.img.cache", "x.img"):
        damaged = bytearray((tmp_path / name).read_bytes())
        damaged[place] ^= 1
        (tmp_path / name).write_bytes(damaged)
        assert build(root, tmp_path / "x.img") == cold


@pytest.mark.parametrize("size", [0, 7, 39, 40, 100])
def test_a_cut_cache_is_as_if_it_were_not_there(root: Path, tmp_path: Path, size: int) -> None:
    cold = build(root, tmp_path / "x.img")
    os.truncate(tmp_path / "x.img.cache", size)
    assert build(root, tmp_path / "x.img") == cold
    (tmp_path / "x.img").unlink()
    assert build(root, tmp_path / "x.img") == cold


def test_image_and_cache_within_the_folder_are_not_served(root: Path) -> None:
    first = build(root, root / "x.img")
    assert build(root, root / "x.img") == first
    with open_image(root / "x.img") as image:
        assert image.files == 20


@pytest.mark.parametrize("name", ["index.html", "index.html.gz", "_headers"])
def test_a_change_that_keeps_size_and_time_is_seen(name: str, tmp_path: Path) -> None:
    """As `touch -r` and `rsync --inplace --times` leave it: the inode's own time of change tells."""
    plain = b"<p>one <p>two " * 40
    write(tmp_path / "index.html", plain)
    write(tmp_path / "index.html.gz", gzip.compress(plain, 1, mtime=0))
    write(tmp_path / "_headers", b"/*\n  X-Step: 1\n")
    builder = SiteBuilder(tmp_path)
    before = image_of(builder, SETTINGS["packed"])
    time.sleep(0.05)
    octets = bytearray((tmp_path / name).read_bytes())
    octets[-2] ^= 1
    write(tmp_path / name, bytes(octets))
    after = image_of(builder, SETTINGS["packed"])
    assert after != before
    assert after == from_scratch(tmp_path, SETTINGS["packed"])
