"""Large files over a pair of links: read from disk as they are asked for, without holding up anybody."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bypass.config import ServeOptions
from bypass.serve.parts import kernel_parts
from bypass.serve.preflight import prepare
from bypass.serve.server import open_server
from bypass.serve.vethpair import VethPair
from bypass.site.image import open_image
from bypass.site.large import LargeBodies
from bypass.site.output import build_image_file
from tests.engine_http.test_large_bodies import HUGE, pattern, with_large_body
from tests.veth.test_reload_command import Serve, folder, pair, reload, serve
from tests.veth.test_serve_command import BYPASS, ROOT, fetch

__all__ = ["folder", "pair", "serve"]

BIG_BYTES = 40 << 20


def evict(path: Path) -> None:
    """The file's pages leave the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def nobody_held_up(pair: VethPair) -> Iterator[None]:
    """Asks for a small file over and over meanwhile: each answer comes soon."""
    seconds: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = fetch(pair, f"http://{pair.server.v4}/small.txt", "-w", "%{time_total}")
            seconds.append(float(answer.stdout.removeprefix(b"small\n")))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield
    finally:
        done.set()
        asker.join()
    print(f"small requests meanwhile: {len(seconds)}, slowest {max(seconds) * 1000:.1f} ms")
    assert len(seconds) > 3
    assert max(seconds) < 2.0


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "big.bin").write_bytes(pattern(0, BIG_BYTES))
    (root / "small.txt").write_bytes(b"small\n")
    build_image_file(root, tmp_path / "site.img")
    return tmp_path / "site.img"


def test_ranges_beyond_four_gib_of_a_sparse_file(pair: VethPair, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "big.bin").write_bytes(b"x" * 1000)
    build_image_file(root, tmp_path / "site.img")
    places = [(0, 50_000), ((4 << 30) - 30_000, 60_000), (HUGE - 50_000, 50_000)]
    with (tmp_path / "sparse").open("wb") as file:
        for first, octets in places:
            file.seek(first)
            file.write(pattern(first, octets))
    about = (tmp_path / "sparse").stat()
    assert about.st_size == HUGE
    fd = os.open(tmp_path / "sparse", os.O_RDONLY)
    large = LargeBodies(fd, HUGE, about.st_mtime_ns, ((0, 0),) * 7 + ((0, HUGE),))
    with open_image(tmp_path / "site.img") as stored, pair.inside_server():
        options = ServeOptions(site=str(root), interface=pair.server.ifname, large_memory=8 << 20)
        plan = prepare(options, "the test")
        buffer = with_large_body(stored, b"/big.bin", HUGE)
        with open_server(plan, buffer, kernel_parts(), print, large):
            for first, octets in places:
                span = f"{first}-{first + octets - 1}"
                answer = fetch(
                    pair, f"http://{pair.server.v4}/big.bin", "-r", span, "-D", str(tmp_path / "head")
                )
                assert answer.stdout == pattern(first, octets)
                assert f"Content-Range: bytes {span}/{HUGE}" in (tmp_path / "head").read_text()


def test_a_cold_file_arrives_whole_and_others_do_not_wait(
    pair: VethPair, serve: Serve, image: Path, tmp_path: Path
) -> None:
    process = serve(image, "--large-file", "1M", "--large-memory", "8M")
    evict(image)
    with nobody_held_up(pair):
        evict(image)
        target = tmp_path / "got"
        answer = fetch(pair, f"http://{pair.server.v4}/big.bin", "--max-time", "120", "-o", str(target))
        assert answer.returncode == 0, answer.stderr
        assert target.read_bytes() == pattern(0, BIG_BYTES)
    assert process.poll() is None


def test_an_image_that_is_cut_while_it_is_served_ends_the_transfer_not_the_server(
    pair: VethPair, serve: Serve, image: Path, tmp_path: Path
) -> None:
    process = serve(image, "--large-file", "1M", "--large-memory", "4M")
    os.truncate(image, 1 << 20)
    answer = fetch(pair, f"http://{pair.server.v4}/big.bin", "-o", "/dev/null")
    assert answer.returncode == 56  # reset by the peer
    assert fetch(pair, f"http://{pair.server.v4}/small.txt").stdout == b"small\n"
    assert process.poll() is None


def test_a_large_file_is_reloaded_and_a_running_transfer_goes_on(
    pair: VethPair, serve: Serve, image: Path, folder: Path, tmp_path: Path
) -> None:
    serve(image, "--large-file", "1M", "--large-memory", "8M")
    url = f"http://{pair.server.v4}/big.bin"
    slow = subprocess.Popen(
        pair.command(["curl", "-sS", "--limit-rate", "8M", "-o", str(tmp_path / "old"), url])
    )
    time.sleep(1)
    (tmp_path / "root" / "big.bin").write_bytes(pattern(8, BIG_BYTES))
    built = subprocess.run([*BYPASS, "build", "-q", str(tmp_path / "root"), "-o", str(image)], cwd=ROOT)
    assert built.returncode == 0
    assert reload(folder).returncode == 0
    fetch(pair, url, "--max-time", "120", "-o", str(tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == pattern(8, BIG_BYTES)
    assert slow.wait(120) == 0
    assert (tmp_path / "old").read_bytes() == pattern(0, BIG_BYTES)
