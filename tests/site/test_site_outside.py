"""Large files of a folder: not copied, read from where they lie, and never as anything but what they were."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bypass._engine import folder_entries
from bypass.errors import SiteError
from bypass.site.builder import SiteBuilder
from bypass.site.image import SiteImage, open_image
from bypass.site.layout import RESPONSE_LARGE
from bypass.site.outside import LargeFile, LargeFiles
from bypass.site.source import WINDOW_BYTES

LARGE = 100_000
SIZE = 3 * WINDOW_BYTES + 777
OLD_S = 1_700_000_000


def content(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def write(path: Path, octets: bytes, second: int = OLD_S) -> None:
    path.write_bytes(octets)
    os.utime(path, (second, second))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    write(folder / "big.bin", content(1))
    write(folder / "also.iso", content(2, LARGE))
    write(folder / "same.iso", content(2, LARGE))
    for number in range(9):
        write(folder / f"small{number}.txt", b"%d" % number * (70 + number))
    return folder


def built(builder: SiteBuilder) -> tuple[bytes, tuple[LargeFile, ...]]:
    fd = os.memfd_create("test")
    try:
        large = builder.build(fd).large
        return os.pread(fd, os.fstat(fd).st_size, 0), large
    finally:
        os.close(fd)


def opened(image: bytes) -> SiteImage:
    fd = os.memfd_create("test")
    try:
        os.write(fd, image)
        return open_image(fd, made_here=True)
    finally:
        os.close(fd)


def read_all(files: LargeFiles, number: int, size: int) -> bytes:
    found = b""
    for offset in range(0, size, WINDOW_BYTES):
        window = bytearray(WINDOW_BYTES)
        found += window[: files.read_into(number, offset, memoryview(window))]
    return found


def number_of(large: tuple[LargeFile, ...], name: str) -> int:
    return next(number for number, file in enumerate(large) if file.path.endswith(name.encode()))


def test_everything_but_large_bodies_is_as_without(root: Path) -> None:
    image, large = built(SiteBuilder(root, large_bytes=LARGE))
    whole, none = built(SiteBuilder(root))
    assert none == ()
    assert len(image) < 20_000 + len(whole) - SIZE
    with opened(image) as outside, opened(whole) as inside:
        assert sorted(path for path, _ in outside) == sorted(path for path, _ in inside)
        for path, stored in inside:
            found = outside.lookup(path)
            assert found is not None and found.head == stored.head
            assert found.record.body_bytes == stored.record.body_bytes
            if stored.record.body_bytes < LARGE:
                assert (bytes(found.body), bytes(found.sums)) == (bytes(stored.body), bytes(stored.sums))
                assert not found.record.flags & RESPONSE_LARGE
            else:
                assert found.record.flags & RESPONSE_LARGE
                files = LargeFiles(large)
                assert read_all(files, found.record.body_offset, stored.record.body_bytes) == stored.body
                files.close()


def test_equal_large_files_are_one(root: Path) -> None:
    image, large = built(SiteBuilder(root, large_bytes=LARGE))
    assert len(large) == 2
    with opened(image) as site:
        one, other = site.lookup(b"/also.iso"), site.lookup(b"/same.iso")
        assert one is not None and other is not None
        assert one.record.body_offset == other.record.body_offset


def test_an_unchanged_large_file_is_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = SiteBuilder(root, large_bytes=LARGE)
    first = built(builder)

    def refuse(*_: object) -> bytes:
        raise AssertionError("an unchanged file costs a stat")

    monkeypatch.setattr("bypass.site.files.recall.fingerprint", refuse)
    assert built(builder) == first
    write(root / "small3.txt", b"grown" * 5, OLD_S + 1)
    patched = built(builder)
    assert builder.patched
    write(root / "new.txt", b"a file more")
    anew = built(builder)
    assert not builder.patched
    monkeypatch.undo()
    assert anew == built(SiteBuilder(root, large_bytes=LARGE))
    (root / "new.txt").unlink()
    assert patched == built(SiteBuilder(root, large_bytes=LARGE))


def test_a_changed_large_file_is_seen(root: Path) -> None:
    builder = SiteBuilder(root, large_bytes=LARGE)
    built(builder)
    write(root / "big.bin", content(9))  # same size, same time
    image, large = built(builder)
    assert (image, large) == built(SiteBuilder(root, large_bytes=LARGE))
    files = LargeFiles(large)
    assert read_all(files, number_of(large, "big.bin"), SIZE) == content(9)
    files.close()


def cut(path: Path) -> None:
    os.truncate(path, 2 * WINDOW_BYTES + 5)


def overwrite(path: Path) -> None:
    about = path.stat()
    with path.open("r+b") as file:
        file.seek(2 * WINDOW_BYTES + 100)
        file.write(b"x")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def write_through_a_mapping(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[2 * WINDOW_BYTES + 9] ^= 1


@pytest.mark.parametrize("change", [cut, overwrite, write_through_a_mapping])
def test_a_file_changed_in_place_gives_nothing_of_the_change(
    root: Path, change: Callable[[Path], None]
) -> None:
    _, large = built(SiteBuilder(root, large_bytes=LARGE))
    files, number = LargeFiles(large), number_of(large, "big.bin")
    change(root / "big.bin")
    window = bytearray(WINDOW_BYTES)
    assert files.read_into(number, WINDOW_BYTES, memoryview(window)) == WINDOW_BYTES
    assert window == content(1)[WINDOW_BYTES : 2 * WINDOW_BYTES]
    with pytest.raises(OSError, match=r"big\.bin was c"):
        files.read_into(number, 2 * WINDOW_BYTES, memoryview(window))
    files.close()


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replace(path: Path) -> None:
    write(path.with_name("new"), b"something else")
    path.with_name("new").rename(path)


@pytest.mark.parametrize("change", [move_away, replace, Path.unlink, Path.touch])
def test_a_file_that_is_replaced_or_touched_goes_on(root: Path, change: Callable[[Path], None]) -> None:
    _, large = built(SiteBuilder(root, large_bytes=LARGE))
    files = LargeFiles(large)
    change(root / "big.bin")
    assert read_all(files, number_of(large, "big.bin"), SIZE) == content(1)
    files.close()


def test_more_files_than_descriptors(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"{number:02}.iso", content(number, LARGE))
    _, large = built(SiteBuilder(tmp_path, large_bytes=LARGE))
    before = len(os.listdir("/proc/self/fd"))
    files = LargeFiles(large, most_open=6)
    wrong: list[int] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            number = chance.randrange(40)
            if read_all(files, number, LARGE) != content(int(large[number].path[-6:-4]), LARGE):
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert files.open_files <= 6
    assert len(os.listdir("/proc/self/fd")) <= before + 6
    for path in tmp_path.glob("*.iso"):
        replace(path)
    kept = sum(reads(files, number) for number in range(40))
    assert 0 < kept <= 6  # the others are refused: their names are those of other files
    files.close()
    assert len(os.listdir("/proc/self/fd")) == before


def reads(files: LargeFiles, number: int) -> bool:
    with contextlib.suppress(OSError):
        return len(read_all(files, number, LARGE)) == LARGE
    return False


def test_a_file_that_changed_before_it_is_opened_is_told(root: Path) -> None:
    _, large = built(SiteBuilder(root, large_bytes=LARGE))
    replace(root / "big.bin")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SiteError, match=r"big\.bin: changed while"):
        LargeFiles(large)
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_that_nobody_came_to_own_are_closed(root: Path) -> None:
    _, large = built(SiteBuilder(root, large_bytes=LARGE))
    before = len(os.listdir("/proc/self/fd"))
    files = LargeFiles(large)
    assert len(os.listdir("/proc/self/fd")) == before + files.open_files == before + 2
    del files
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_of_more_windows_than_can_be_numbered_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sparse, it costs who puts it there nothing; it is not read for years before it is refused."""
    real = folder_entries(bytes(root))
    assert real is not None
    size = SIZE.to_bytes(8, "little")
    assert real.count(size) == 1
    vast = real.replace(size, ((WINDOW_BYTES << 32) + 1).to_bytes(8, "little"))
    monkeypatch.setattr("bypass.site.scan.folder_entries", lambda _: vast)
    with pytest.raises(SiteError, match=r"big\.bin: 4.* are too much for one file"):
        built(SiteBuilder(root, large_bytes=LARGE))


def test_what_keeps_a_file_from_being_read_is_said_with_its_name(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"{number}.iso", content(number, LARGE))
    _, large = built(SiteBuilder(tmp_path, large_bytes=LARGE))
    files = LargeFiles(large, most_open=2)
    last = len(large) - 1
    Path(os.fsdecode(large[last].path)).unlink()
    with pytest.raises(OSError, match=r"\d\.iso: No such file"):
        files.read_into(last, 0, memoryview(bytearray(WINDOW_BYTES)))
    files.close()


def test_the_last_descriptors_are_left_to_the_process(tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path / f"{number:02}.iso", content(number, LARGE))
    _, large = built(SiteBuilder(tmp_path, large_bytes=LARGE))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd"))) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
    try:
        files = LargeFiles(large, most_open=len(large))
        spare = [os.dup(0) for _ in range(8)]
        for fd in spare:
            os.close(fd)
        for number, file in enumerate(large):
            assert read_all(files, number, LARGE) == content(int(file.path[-6:-4]), LARGE)
        files.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
        while True:
            try:
                spare.append(os.dup(0))
            except OSError:
                break
        with pytest.raises(SiteError, match=r"iso: cannot be opened: too many files"):
            LargeFiles(large, most_open=len(large))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in spare[8:]:
            os.close(fd)
