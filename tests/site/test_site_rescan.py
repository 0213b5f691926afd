"""A scan that knows of the one before finds what one that knows of nothing finds."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bypass._engine import folder_entries, move_places
from bypass.site.output import compile_to_memfd
from bypass.site.scan import Scan, ScanPolicy, scan

NAMES = ["a.html", "b.css", ".hidden", "c", "d", "e.txt", "index.html", ".well-known"]


def folders(root: Path) -> list[Path]:
    return [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]


def add_file(root: Path, chance: random.Random) -> None:
    path = chance.choice(folders(root)) / chance.choice(NAMES)
    if not path.exists() and not path.is_symlink():
        path.write_bytes(b"x" * chance.randrange(100))


def add_folder(root: Path, chance: random.Random) -> None:
    (chance.choice(folders(root)) / chance.choice(NAMES)).with_suffix(".d").mkdir(exist_ok=True)


def add_link(root: Path, chance: random.Random) -> None:
    path = chance.choice(folders(root)) / f"link{chance.randrange(4)}"
    if not path.is_symlink():
        outside = root.with_name("outside")
        path.symlink_to(chance.choice([*folders(root), root / "keep.html", outside, root / "none"]))


def change_file(root: Path, chance: random.Random) -> None:
    path = chance.choice([path for path in root.rglob("*") if path.is_file() and not path.is_symlink()])
    path.write_bytes(b"y" * chance.randrange(100))


def touch(root: Path, chance: random.Random) -> None:
    path = chance.choice([path for path in root.rglob("*") if path.is_file() and not path.is_symlink()])
    os.utime(path, (5, 5))


def remove(root: Path, chance: random.Random) -> None:
    found = [path for path in root.iterdir() if path.name != "keep.html"]
    if found:
        path = chance.choice(found)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def rename(root: Path, chance: random.Random) -> None:
    found = [path for path in root.rglob("*") if path.name != "keep.html"]
    if found:
        path = chance.choice(found)
        with contextlib.suppress(OSError):  # a folder does not take a file's name
            path.rename(path.with_name(f"renamed{chance.randrange(9)}.new"))


def nothing(root: Path, chance: random.Random) -> None:
    """Most of the time."""


STEPS: list[Callable[[Path, random.Random], None]] = [
    add_file,
    add_file,
    add_folder,
    add_link,
    change_file,
    touch,
    remove,
    rename,
    nothing,
]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changed_is_found(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root = tmp_path / "root"
    root.mkdir()
    (root / "keep.html").write_bytes(b"kept")
    root.with_name("outside").write_bytes(b"of somebody else")
    for _ in range(15):
        add_file(root, chance)
        add_folder(root, chance)
    policy = (
        ScanPolicy(leave_out=lambda url: url.endswith(b".txt") and b"e" in url) if seed % 2 else ScanPolicy()
    )
    last = scan(root, policy=policy)
    known = 0
    for _ in range(60):
        chance.choice(STEPS)(root, chance)
        found, fresh = scan(root, policy=policy, last=last), scan(root, policy=policy)
        assert (found.assets, found.skipped) == (fresh.assets, fresh.skipped)
        known += check_changes(last, found)
        last = found
    assert known > 5


def check_changes(last: Scan, found: Scan) -> bool:
    """`changed` says all that differs, or that it does not know: returns whether it knew."""
    if found.changed is None:
        return False
    assert [asset.url for asset in last.assets] == [asset.url for asset in found.assets]
    differ = [
        place
        for place, (one, other) in enumerate(zip(last.assets, found.assets, strict=True))
        if one != other
    ]
    assert found.changed == differ
    return True


def test_an_unchanged_folder_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"1")
    last = scan(tmp_path)
    (tmp_path / "two" / "file").write_bytes(b"22")
    judged: list[bytes] = []
    from bypass.site import scan as module

    judge = module._judge_entries
    monkeypatch.setattr(
        module,
        "_judge_entries",
        lambda walk, seen, raw: (judged.append(seen.folder.url), judge(walk, seen, raw)),
    )
    assert scan(tmp_path, last=last).changed == [1]
    assert judged == [b"/two/"]


def test_entries_are_as_the_system_has_them(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"12345")
    os.utime(tmp_path / "file.txt", ns=(1, 1_700_000_000_123_456_789))
    (tmp_path / "sub").mkdir()
    raw = folder_entries(os.fsencode(tmp_path))
    assert raw is not None
    found, at = {}, 0
    while at < len(raw):
        *numbers, octets = struct.unpack_from("=QQqqqH", raw, at)
        at += struct.calcsize("=QQqqqH") + octets
        found[raw[at - octets : at]] = numbers
    file, sub = (tmp_path / "file.txt").stat(), (tmp_path / "sub").stat()
    assert found == {
        b"file.txt": [file.st_dev, file.st_ino, 5, file.st_mtime_ns, file.st_ctime_ns],
        b"sub": [sub.st_dev, sub.st_ino, -1, 0, 0],
    }


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("file", path)])
def test_entries_of_another_kind_are_not_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "special")
    assert folder_entries(os.fsencode(tmp_path)) is None


def test_entries_of_what_is_no_folder_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    before = len(os.listdir("/proc/self/fd"))
    for path in (tmp_path / "file", tmp_path / "missing"):
        assert folder_entries(os.fsencode(path)) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_of_many_entries_is_told_whole(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"a name that is not that short {number}").write_bytes(b"")
    raw = folder_entries(os.fsencode(tmp_path))
    assert raw is not None
    assert raw.count(b"a name that is not that short ") == 3000


def test_places_move_with_the_last_beginning_before_them() -> None:
    from array import array

    words = array("Q", [10, 0, 20, 1, 21, 2, 99, 3])
    move_places(words, 0, 2, array("Q", [10, 20]), array("q", [0, 5, -7]))
    assert words.tolist() == [10, 0, 25, 1, 14, 2, 92, 3]
    with pytest.raises(ValueError, match="one shift more"):
        move_places(words, 0, 2, array("Q", [10]), array("q", [0]))


@pytest.mark.parametrize("second", [-11_676_000_000, -5, 11_676_000_000])
def test_a_file_of_another_century_is_served(second: int) -> None:
    """In memory, where a file system takes any time; its nanoseconds need more than 64 bits."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "a.html"
        path.write_bytes(b"<p>old")
        os.utime(path, (second, second))
        assert path.stat().st_mtime_ns == second * 10**9
        found = scan(Path(folder))
        assert [asset.mtime_ns for asset in found.assets] == [second * 10**9]
        assert scan(Path(folder), last=found).assets == found.assets
        fd, summary = compile_to_memfd(Path(folder))
        os.close(fd)
        assert summary.files == 1
