"""`wget --mirror` of Python's documentation: it follows every link and stores what lies on disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair
from tests.veth.documentation import copy_documentation

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_documentation(tmp_path_factory.mktemp("documentation") / "html")


@pytest.fixture(scope="module")
def pair(tree: Path) -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made, run_bypass(made, tree, cpu=0, poll="balanced"):
        yield made


def test_a_mirror_is_the_original_octet_for_octet(pair: VethPair, tree: Path, tmp_path: Path) -> None:
    wget = shutil.which("wget")
    assert wget, "wget is missing: config/setup.sh --test installs it"
    command = [wget, "--mirror", "--no-verbose", "--no-host-directories", "--no-proxy", "--tries=2"]
    done = pair.run([*command, f"--directory-prefix={tmp_path}", f"http://{pair.server.v4}/"], timeout=240)
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    wrong = [
        str(name)
        for name in files
        if "?" not in name.name and (tmp_path / name).read_bytes() != (tree / name).read_bytes()
    ]
    assert wrong == []
    assert len(files) > 500
    # 8: the server said 404 to something, which has to be a link to what is not in the package.
    assert done.returncode in (0, 8), done.stderr[-2000:]
    missing = [
        line.split("/", 3)[3].rstrip(":")
        for line in done.stderr.splitlines()
        if line.endswith(":") and line.startswith("http")
    ]
    assert [name for name in missing if (tree / name.partition("?")[0]).is_file()] == []


def test_a_second_mirror_fetches_nothing_that_has_not_changed(
    pair: VethPair, tree: Path, tmp_path: Path
) -> None:
    """Last-Modified is the file's, so that wget finds its copies new enough."""
    wget = shutil.which("wget") or "wget"
    command = [wget, "--timestamping", "--no-proxy", f"--directory-prefix={tmp_path}"]
    url = f"http://{pair.server.v4}/library/socket.html"
    assert pair.run([*command, url], timeout=60).returncode == 0
    stored = tmp_path / "socket.html"
    assert int(stored.stat().st_mtime) == int((tree / "library" / "socket.html").stat().st_mtime)
    again = pair.run([*command, url], timeout=60)
    assert again.returncode == 0
    assert "304" in again.stderr or "not retrieving" in again.stderr
