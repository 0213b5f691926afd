"""curl, and requests written by hand where curl no longer pipelines, get what they ask for."""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.bench.servers import run_bypass
from bypass.serve.vethpair import VethPair

pytestmark = pytest.mark.root

BIG = random.Random(1).randbytes(3_000_000)
PAGE = b"<!doctype html><title>page</title>" + b"words " * 2000


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VethPair]:
    root = tmp_path_factory.mktemp("site")
    (root / "big.bin").write_bytes(BIG)
    (root / "index.html").write_bytes(PAGE)
    with VethPair(isolate_server=True) as made, run_bypass(made, root, cpu=0, poll="balanced"):
        yield made


def curl(pair: VethPair, *arguments: str, path: str = "/") -> str:
    command = [
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "--max-time",
        "60",
        *arguments,
        f"http://{pair.server.v4}{path}",
    ]
    done = pair.run(command, timeout=90)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_download_is_resumed_where_it_broke_off(pair: VethPair, tmp_path: Path) -> None:
    stored = tmp_path / "big.bin"
    stored.write_bytes(BIG[:1_234_567])
    status = curl(pair, "-C", "-", "-o", str(stored), "-w", "%{http_code} %{size_download}", path="/big.bin")
    assert status == f"206 {len(BIG) - 1_234_567}"
    assert stored.read_bytes() == BIG


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("0-0", BIG[:1]), ("100-199", BIG[100:200]), ("-1000", BIG[-1000:]), ("2999990-", BIG[2_999_990:])],
)
def test_a_range_is_that_part(pair: VethPair, tmp_path: Path, wanted: str, expected: bytes) -> None:
    stored = tmp_path / "part"
    assert curl(pair, "-r", wanted, "-o", str(stored), "-w", "%{http_code}", path="/big.bin") == "206"
    assert stored.read_bytes() == expected


def test_a_client_that_can_unpack_gets_the_same_page(pair: VethPair, tmp_path: Path) -> None:
    stored = tmp_path / "page"
    assert curl(pair, "--compressed", "-o", str(stored), "-w", "%{http_code}") == "200"
    assert stored.read_bytes() == PAGE


def test_head_says_what_get_says(pair: VethPair, tmp_path: Path) -> None:
    def without_date(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.lower().startswith("date:")]

    got = curl(pair, "-D", "-", "-o", str(tmp_path / "page"))
    assert without_date(curl(pair, "-I")) == without_date(got)


def test_what_is_known_is_not_sent_again(pair: VethPair, tmp_path: Path) -> None:
    tag, stored = tmp_path / "tag", tmp_path / "page"
    write = ("-w", "%{http_code} %{size_download}")
    assert curl(pair, "--etag-save", str(tag), "-R", "-o", str(stored), *write) == f"200 {len(PAGE)}"
    assert curl(pair, "--etag-compare", str(tag), "-o", str(tmp_path / "again"), *write) == "304 0"
    assert curl(pair, "-z", str(stored), "-o", str(tmp_path / "again"), *write) == "304 0"
    assert curl(pair, "-H", 'If-None-Match: "other"', "-o", str(stored), *write) == f"200 {len(PAGE)}"


def test_requests_that_do_not_wait_are_answered_in_their_order(pair: VethPair) -> None:
    ranges = [(start, start + 999) for start in range(0, 200_000, 1000)]
    requests = b"".join(
        b"GET /big.bin HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-%d\r\n%s\r\n"
        % (first, last, b"Connection: close\r\n" if (first, last) == ranges[-1] else b"")
        for first, last in ranges
    )
    with pair.inside_client():
        client = socket.create_connection((str(pair.server.v4), 80), timeout=60)
    received = b""
    with client:
        client.sendall(requests)
        while data := client.recv(1 << 16):
            received += data
    answers = received.split(b"HTTP/1.1 206 Partial Content\r\n")[1:]
    bodies = b"".join(answer.partition(b"\r\n\r\n")[2] for answer in answers)
    assert len(answers) == len(ranges)
    assert hashlib.sha256(bodies).digest() == hashlib.sha256(BIG[:200_000]).digest()
