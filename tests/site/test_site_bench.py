"""`bypass bench site` on few files: it measures what it says."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from bypass.bench.site import make_files, measure, site


def test_the_ways_that_are_measured_are_those_that_are_named(tmp_path: Path) -> None:
    result = measure(tmp_path, 250, lambda _: None)
    assert [step.patched for step in result.steps] == [False, True, True, False]
    assert all(step.wall_s > 0 for step in result.steps)
    assert result.image_bytes > 250 * 500


def test_so_many_files_are_made(tmp_path: Path) -> None:
    make_files(tmp_path, 250)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 250


def test_the_figures_are_printed() -> None:
    result = CliRunner().invoke(site, ["--files", "20", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["files"] == 20
    assert "one file changed" in CliRunner().invoke(site, ["--files", "20"]).stdout
