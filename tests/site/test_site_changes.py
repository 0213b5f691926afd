"""A folder that cannot be read or does not hold still while it is compiled: an error that names the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bypass.errors import SiteError
from bypass.site import source
from bypass.site.output import build_image_file, compile_to_memfd
from bypass.site.scan import Asset
from tests.site.support import SiteMaker, ordinary_user


def test_an_unreadable_file_is_an_error_with_the_remedy(public_tmp: Path) -> None:
    (public_tmp / "index.html").write_bytes(b"")
    secret = public_tmp / "private.key"
    secret.write_bytes(b"secret")
    secret.chmod(0)
    with ordinary_user(), pytest.raises(SiteError, match=r"private\.key: cannot be read") as caught:
        compile_to_memfd(public_tmp)
    assert "chmod a+r" in caught.value.remedy


Meddling = Callable[[Path], None]


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, 10)


def _rewrite(path: Path) -> None:
    path.write_bytes(b"z" * path.stat().st_size)
    os.utime(path, (1, 1))


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


def _turn_into_symlink(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


@pytest.mark.parametrize(
    ("meddle", "message"),
    [
        (_grow, "changed while"),
        (_shrink, "changed while"),
        (_rewrite, "changed while"),
        (_replace, "changed while"),
        (Path.unlink, "vanished while"),
        (_turn_into_symlink, "cannot be opened"),
    ],
)
def test_a_file_that_does_not_hold_still_is_an_error_that_names_it(
    make_site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meddle: Meddling, message: str
) -> None:
    """Meddled with after the scan, before it is read."""
    victim = make_site({"a.txt": b"a" * 100, "victim.txt": b"v" * 200}) / "victim.txt"
    before = source._opened
    monkeypatch.setattr(source, "_opened", lambda asset: _meddling(before, asset, meddle, victim))
    with pytest.raises(SiteError, match=f"victim.txt: {message}"):
        build_image_file(victim.parent, tmp_path / "x.img")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]


def _meddling(before: Callable[..., object], asset: Asset, meddle: Meddling, victim: Path) -> object:
    if asset.url == b"/victim.txt":
        meddle(victim)
    return before(asset)


def test_a_file_that_shrinks_while_being_read_is_an_error(make_site: SiteMaker, tmp_path: Path) -> None:
    victim = make_site({"victim.bin": bytes(3 * source.CHUNK_BYTES)}) / "victim.bin"
    with pytest.raises(SiteError, match=r"victim\.bin: changed"):
        build_image_file(
            victim.parent, tmp_path / "x.img", progress=lambda _done, _total: os.truncate(victim, 1)
        )


def test_a_file_that_differs_from_its_first_reading_is_an_error(
    make_site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same size and time, other octets: found by the digest, not by the file's status."""
    monkeypatch.setattr("bypass.site.plan._HELD_BYTES", 0)  # else it would be read only once
    root = make_site({"one.txt": b"same!", "two.txt": b"equal"})
    about = (root / "one.txt").stat()

    def rewrite(_done: int, _total: int) -> None:
        (root / "one.txt").write_bytes(b"other")
        os.utime(root / "one.txt", ns=(about.st_atime_ns, about.st_mtime_ns))

    with pytest.raises(SiteError, match=r"one\.txt: changed"):
        build_image_file(root, tmp_path / "x.img", progress=rewrite)


def test_what_was_read_to_find_equal_files_need_not_be_read_again(
    make_site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is kept makes no difference to the image."""
    root = make_site({"one.txt": b"same!", "two.txt": b"equal", "three.txt": b"same!", "four.txt": b"longer"})
    build_image_file(root, tmp_path / "kept.img")
    monkeypatch.setattr("bypass.site.plan._HELD_BYTES", 0)
    build_image_file(root, tmp_path / "again.img")
    assert (tmp_path / "kept.img").read_bytes() == (tmp_path / "again.img").read_bytes()
