"""Python's own documentation, hundreds of pages, images and a search index of megabytes, crawled whole by
the kernel's TCP: every file arrives as it lies on disk."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair
from tests.veth.documentation import copy_documentation

CRAWLER = Path(__file__).with_name("crawler.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation with its links out of the tree (shared JavaScript) made files of its own."""
    return copy_documentation(tmp_path_factory.mktemp("documentation") / "html")


@pytest.fixture(scope="module")
def served(tree: Path) -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as pair, run_bypass(pair, tree, cpu=0, poll="balanced"):
        yield pair


@pytest.mark.parametrize("version", [4, 6])
def test_every_file_of_the_documentation_arrives_as_on_disk(
    served: VethPair, tree: Path, version: int
) -> None:
    files = {
        "/" + quote(str(path.relative_to(tree))): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tree.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert len(files) > 500
    assert max(path.stat().st_size for path in tree.rglob("*") if path.is_file()) > 1_000_000
    host = str(served.server.v4) if version == 4 else f"[{served.server.v6}]"
    crawled = served.run([sys.executable, str(CRAWLER), host], input="\n".join(files), timeout=100)
    assert crawled.returncode == 0, crawled.stderr[-2000:]
    found = json.loads(crawled.stdout)
    assert dict.fromkeys(files, 200) == {path: status for path, (status, _, _) in found.items()}
    assert files == {path: digest for path, (_, digest, _) in found.items()}
    assert found["/index.html"][2] == "text/html; charset=utf-8"
