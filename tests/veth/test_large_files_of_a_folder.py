"""Large files of a folder over a pair of links: not copied, and whole or reset whatever happens to them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.engine_http.test_large_bodies import pattern
from tests.veth.test_large_files import BIG_BYTES, evict, nobody_held_up
from tests.veth.test_reload_command import Serve, folder, pair, reload, serve
from tests.veth.test_serve_command import ROOT, fetch

__all__ = ["folder", "pair", "serve"]

SPARSE = (2 << 30) + 77
MEMORY_BYTES = 300 << 20
"""For interpreter, packets and 8 MiB of windows: about a third is used."""
RESET = 56  # curl's CURLE_RECV_ERROR
CRAWLER = Path(__file__).with_name("crawler.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "root"
    site.mkdir()
    (site / "big.bin").write_bytes(pattern(0, BIG_BYTES))
    (site / "small.txt").write_bytes(b"small\n")
    return site


@pytest.fixture
def big(pair: VethPair) -> str:
    return f"http://{pair.server.v4}/big.bin"


def most_resident(folder: Path) -> dict[str, int]:
    """Octets that server and compiler had in memory at most, windows and locked packets included."""
    server = int(next(folder.glob("*.sock")).name.split(".")[-2])
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = {}
    for name, pid in (("server", server), *(("compiler", int(child)) for child in children)):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found[name] = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
    return found


def slowly(pair: VethPair, url: str, target: Path, rate: str = "12M") -> subprocess.Popen[str]:
    """A transfer that is under way when this returns, and takes seconds."""
    command = ["curl", "-sS", "--limit-rate", rate, "-o", str(target), url]
    started = subprocess.Popen(pair.command(command), stderr=subprocess.DEVNULL, text=True)
    while not target.exists() or target.stat().st_size < 2 << 20:
        assert started.poll() is None
        time.sleep(0.02)
    return started


def test_a_file_of_gigabytes_costs_its_windows(
    pair: VethPair, serve: Serve, root: Path, folder: Path
) -> None:
    places = [(0, 50_000), ((2 << 30) - 30_000, 30_077)]
    with (root / "sparse.bin").open("wb") as file:
        for first, octets in places:
            file.seek(first)
            file.write(pattern(first, octets))
    assert (root / "sparse.bin").stat().st_size == SPARSE
    os.utime(root / "sparse.bin", (1_700_000_000, 1_700_000_000))  # the reload need not read it again
    serve(root, "--large-file", "1M", "--large-memory", "8M")
    url = f"http://{pair.server.v4}/sparse.bin"
    for first, octets in places:
        assert fetch(pair, url, "-r", f"{first}-{first + octets - 1}").stdout == pattern(first, octets)
    assert fetch(pair, url, "-r", "-77").stdout == pattern(2 << 30, 77)
    whole = fetch(pair, url, "-r", f"{1 << 30}-{(1 << 30) + (64 << 20) - 1}", "--max-time", "60").stdout
    assert whole == bytes(64 << 20)
    started = time.monotonic()
    assert reload(folder).returncode == 0
    seconds = time.monotonic() - started
    resident = most_resident(folder)
    words = ", ".join(f"{name} {octets >> 20} MiB" for name, octets in resident.items())
    print(f"most in memory, of a file of {SPARSE >> 20} MiB: {words}; reloaded in {seconds:.2f} s")
    assert set(resident) == {"server", "compiler"}
    assert max(resident.values()) < MEMORY_BYTES


def test_a_cold_file_holds_nobody_else_up(
    pair: VethPair, serve: Serve, root: Path, tmp_path: Path, big: str
) -> None:
    serve(root, "--large-file", "1M", "--large-memory", "8M")
    with nobody_held_up(pair):
        evict(root / "big.bin")
        answer = fetch(pair, big, "--max-time", "60", "-o", str(tmp_path / "got"))
    assert answer.returncode == 0
    assert (tmp_path / "got").read_bytes() == pattern(0, BIG_BYTES)


@pytest.mark.parametrize("change", ["cut", "written"])
def test_a_file_changed_under_a_transfer_resets_it_and_a_reload_mends_that(
    pair: VethPair, serve: Serve, root: Path, folder: Path, tmp_path: Path, big: str, change: str
) -> None:
    process = serve(root, "--large-file", "1M", "--large-memory", "4M")
    transfer = slowly(pair, big, tmp_path / "got")
    if change == "cut":
        os.truncate(root / "big.bin", 20 << 20)
    else:
        about = (root / "big.bin").stat()
        with (root / "big.bin").open("r+b") as file:
            file.seek(20 << 20)
            file.write(b"x" * (BIG_BYTES - (20 << 20)))
        os.utime(root / "big.bin", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert transfer.wait(60) == RESET
    got = (tmp_path / "got").read_bytes()
    assert got == pattern(0, len(got)) and len(got) <= 20 << 20
    assert fetch(pair, f"http://{pair.server.v4}/small.txt").stdout == b"small\n"
    assert reload(folder).returncode == 0
    assert fetch(pair, big, "--max-time", "60").stdout == (root / "big.bin").read_bytes()
    assert process.poll() is None
    process.terminate()
    assert process.stderr is not None
    assert f"{root / 'big.bin'} was c" in process.stderr.read()


def test_a_file_replaced_under_a_transfer_arrives_whole_beside_the_new_one(
    pair: VethPair, serve: Serve, root: Path, folder: Path, tmp_path: Path, big: str
) -> None:
    serve(root, "--large-file", "1M", "--large-memory", "8M")
    transfer = slowly(pair, big, tmp_path / "old")
    (tmp_path / "next").write_bytes(pattern(8, BIG_BYTES))
    (tmp_path / "next").rename(root / "big.bin")
    for first in (0, BIG_BYTES - 100):  # as it was, until the reload
        assert fetch(pair, big, "-r", f"{first}-{first + 99}").stdout == pattern(first, 100)
    assert reload(folder).returncode == 0
    assert fetch(pair, big, "--max-time", "60").stdout == pattern(8, BIG_BYTES)
    assert transfer.wait(60) == 0
    assert (tmp_path / "old").read_bytes() == pattern(0, BIG_BYTES)


def test_a_crawl_finds_every_file_as_on_disk(pair: VethPair, serve: Serve, root: Path) -> None:
    for number in range(16):
        (root / f"file{number:02}.bin").write_bytes(pattern(number * 8, 1 + number * 100_003 % 6_000_000))
    serve(root, "--large-file", "1M", "--large-memory", "8M")
    files = {f"/{path.name}": path for path in root.iterdir()}
    crawled = pair.run([sys.executable, str(CRAWLER), str(pair.server.v4)], input="\n".join(files), cwd=ROOT)
    found = {path: tuple(answer[:2]) for path, answer in json.loads(crawled.stdout).items()}
    assert found == {
        name: (200, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files.items()
    }
