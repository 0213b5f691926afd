"""`bypass build` as a person or a script calls it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from bypass.cli.build import ByteSize, SiteProgress, build
from bypass.errors import SiteError
from bypass.site.image import open_image
from tests.site.support import SiteMaker


def test_build_writes_an_image_and_says_what_is_in_it(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"hello", ".hidden": b""})
    result = CliRunner().invoke(build, [str(root), "-o", str(tmp_path / "site.img")])
    assert result.exit_code == 0
    with open_image(tmp_path / "site.img") as image:
        assert image.files == 1
    assert "files" in result.stdout
    assert "1 hidden" in result.stderr
    assert "hidden" not in result.stdout


def test_build_prints_json_with_stable_keys(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"hello", "copy.html": b"hello", ".hidden": b""})
    path = tmp_path / "site.img"
    result = CliRunner().invoke(build, [str(root), "-o", str(path), "--json"])
    facts = json.loads(result.stdout)
    assert facts.pop("seconds") >= 0
    assert facts.pop("image_bytes") == path.stat().st_size
    assert facts.pop("body_bytes") > 5
    assert facts == {
        "version": 1,
        "image": str(path),
        "files": 2,
        "responses": 17,
        "deduplicated_bytes": 5,
        "skipped": {
            "hidden": 1,
            "symlinks_outside": 0,
            "symlinks_broken": 0,
            "symlink_loops": 0,
            "special": 0,
            "images": 0,
            "symlinks_refused": 0,
            "excluded": 0,
        },
        "hosts": 1,
        "redirects": 0,
        "rules": 0,
        "listings": 0,
        "variants": {},
        "saved_bytes": {},
        "types": {"text/html": {"files": 2, "bytes": 10}},
        "warnings": [],
    }


def test_quiet_build_prints_nothing(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"hello", ".hidden": b""})
    result = CliRunner().invoke(build, [str(root), "-o", str(tmp_path / "x.img"), "-q"])
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "x.img").exists()


def test_a_users_mistake_is_raised_for_the_group_to_print(tmp_path: Path) -> None:
    result = CliRunner().invoke(build, [str(tmp_path / "missing"), "-o", str(tmp_path / "x.img")])
    assert isinstance(result.exception, SiteError)


def test_max_memory_is_obeyed(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": bytes(100_000)})
    arguments = [str(root), "-o", str(tmp_path / "x.img"), "--max-memory"]
    assert isinstance(CliRunner().invoke(build, [*arguments, "64K"]).exception, SiteError)
    assert CliRunner().invoke(build, [*arguments, "1M"]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000", 1000),
        ("4K", 4096),
        ("1.5GiB", 3 << 29),
        ("2g", 2 << 30),
        ("10MB", 10 << 20),
        ("1 T", 1 << 40),
    ],
)
def test_sizes_are_read_with_binary_units(text: str, expected: int) -> None:
    assert ByteSize().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "lots", "-5M", "0", "5X", "1e9"])
def test_a_size_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not a size"):
        ByteSize().convert(text, None, None)


class Clock:
    """A clock that moves when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_short_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    output = io.StringIO()
    progress = SiteProgress(Console(file=output, force_terminal=True))
    clock.now += 0.9
    progress(50, 100)
    progress.stop()
    assert output.getvalue() == ""


def test_long_work_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    output = io.StringIO()
    progress = SiteProgress(Console(file=output, force_terminal=True, width=80))
    clock.now += 1.1
    progress(50, 100)
    progress.stop()
    assert "compiling" in output.getvalue()
    assert "50/100 bytes" in output.getvalue()


def test_long_work_prints_a_plain_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    output = io.StringIO()
    progress = SiteProgress(Console(file=output, force_terminal=False))
    clock.now += 1.1
    for done in range(0, 2048, 512):
        progress(done, 2048)
    clock.now += 5.1
    progress(2048, 2048)
    progress.stop()
    assert output.getvalue() == "compiling: 0 B of 2.0 KiB\ncompiling: 2.0 KiB of 2.0 KiB\n"


def test_quiet_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    output = io.StringIO()
    progress = SiteProgress(Console(file=output, force_terminal=True), quiet=True)
    clock.now += 60
    progress(50, 100)
    assert output.getvalue() == ""
