"""`bypass serve` as a process on a pair of virtual links: it serves, says how, stops, and leaves nothing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair

ROOT = Path(__file__).resolve().parents[2]
BYPASS = [sys.executable, "-m", "bypass"]
PAGE = b"<!doctype html><p>" + b"hello " * 2000

Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True, queues=2) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_bytes(PAGE)
    return tmp_path / "site"


@pytest.fixture
def serve(pair: VethPair, site: Path) -> Iterator[Serve]:
    """Starts `bypass serve SITE -i IF` in the server's namespace, with further arguments."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, folder: Path = site) -> subprocess.Popen[str]:
        command = [*BYPASS, "serve", str(folder), "-i", pair.server.ifname, *arguments]
        process = subprocess.Popen(
            pair.command(command, server=True), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def wait_for_line(process: subprocess.Popen[str], words: str) -> str:
    """Everything up to and including the line with `words`."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"ended without saying {words!r}: {seen}")


def fetch(pair: VethPair, url: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    return pair.run(["curl", "-sS", "--max-time", "5", "-g", *options, url], text=False)  # type: ignore[return-value]


def xdp_program(pair: VethPair) -> object:
    """What `ip link` says of XDP on the server's interface."""
    shown = pair.run(["ip", "-j", "link", "show", pair.server.ifname], server=True).stdout
    return json.loads(shown)[0].get("xdp")


def refusal(pair: VethPair, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a `bypass serve` that must not come to serve."""
    done = pair.run([*BYPASS, "serve", *arguments], server=True, cwd=ROOT, timeout=30)
    return done.returncode, done.stderr


def test_it_serves_both_ip_versions_and_says_how(pair: VethPair, serve: Serve) -> None:
    process = serve()
    said = wait_for_line(process, "of packets")
    for url in (f"http://{pair.server.v4}/", f"http://[{pair.server.v6}]/"):
        assert url in said
        assert fetch(pair, url).stdout == PAGE
    assert f"{pair.server.ifname}, driver veth, native mode, copy, 2 queues (0, 1)" in said
    assert "1 file" in said
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert "stopped: 2 requests" in process.stderr.read()
    assert xdp_program(pair) is None


def test_ctrl_c_ends_it_with_130_and_detaches(pair: VethPair, serve: Serve) -> None:
    process = serve()
    wait_for_line(process, "of packets")
    assert xdp_program(pair) is not None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert xdp_program(pair) is None


def test_generic_mode_and_another_port_work(pair: VethPair, serve: Serve) -> None:
    said = wait_for_line(
        serve("--mode", "generic", "--port", "8080", "--queue", "0", "--queue", "1"), "of packets"
    )
    assert "generic mode" in said
    assert fetch(pair, f"http://{pair.server.v4}:8080/", "-o", "/dev/null").returncode == 0


@pytest.mark.parametrize("poll", ["latency", "efficient"])
def test_every_way_of_polling_answers(pair: VethPair, serve: Serve, poll: str) -> None:
    wait_for_line(serve("--poll", poll), "of packets")
    assert fetch(pair, f"http://{pair.server.v4}/").stdout == PAGE


def test_other_ports_of_the_same_address_stay_with_the_kernel(
    pair: VethPair, serve: Serve, tmp_path: Path
) -> None:
    wait_for_line(serve(), "of packets")
    (tmp_path / "kernel.txt").write_text("from the kernel")
    command = [sys.executable, "-m", "http.server", "8000", "--directory", str(tmp_path)]
    kernel = subprocess.Popen(pair.command(command, server=True), stderr=subprocess.DEVNULL)
    try:
        answer = fetch(
            pair, f"http://{pair.server.v4}:8000/kernel.txt", "--retry", "20", "--retry-connrefused"
        )
        assert answer.stdout == b"from the kernel"
    finally:
        kernel.kill()
        kernel.wait(10)
    assert fetch(pair, f"http://{pair.server.v4}:81/").returncode == 7  # the kernel's own RST
    assert fetch(pair, f"http://{pair.server.v4}/").stdout == PAGE


def test_a_killed_server_gives_the_port_back_and_can_start_again(pair: VethPair, serve: Serve) -> None:
    first = serve()
    wait_for_line(first, "of packets")
    first.kill()
    first.wait(10)
    deadline = time.monotonic() + 1.0
    while xdp_program(pair) is not None:
        assert time.monotonic() < deadline, "the program outlived its process"
        time.sleep(0.02)
    assert fetch(pair, f"http://{pair.server.v4}/").returncode == 7
    wait_for_line(serve(), "of packets")
    assert fetch(pair, f"http://{pair.server.v4}/").stdout == PAGE


def test_an_interface_that_goes_away_ends_it_with_69(pair: VethPair, serve: Serve) -> None:
    process = serve()
    wait_for_line(process, "of packets")
    pair.run(["ip", "link", "del", pair.server.ifname], server=True)
    assert process.wait(10) == 69
    assert process.stderr is not None
    assert pair.server.ifname in process.stderr.read()


def test_a_second_server_on_the_same_interface_is_refused(pair: VethPair, serve: Serve, site: Path) -> None:
    wait_for_line(serve(), "of packets")
    code, said = refusal(pair, str(site), "-i", pair.server.ifname)
    assert code == 69
    assert pair.server.ifname in said
    assert fetch(pair, f"http://{pair.server.v4}/").stdout == PAGE


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--queue", "9"), 69, "queue 9: no such queue"),
        (("--zero-copy",), 69, "--copy"),
        (("--address", "127.0.0.1"), 78, "address 127.0.0.1"),
        (("--max-memory", "1K"), 78, "--max-memory"),
        (("--cpu", "4000"), 69, "4000"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    pair: VethPair, site: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    exit_code, said = refusal(pair, str(site), "-i", pair.server.ifname, *arguments)
    assert words in said
    assert "Traceback" not in said
    assert exit_code == code
    assert xdp_program(pair) is None


def test_an_empty_site_is_refused(pair: VethPair, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, said = refusal(pair, str(tmp_path / "empty"), "-i", pair.server.ifname)
    assert code == 78
    assert "empty" in said


def test_an_image_is_served_as_well(pair: VethPair, serve: Serve, site: Path, tmp_path: Path) -> None:
    image = tmp_path / "site.img"
    built = subprocess.run([*BYPASS, "-q", "build", str(site), "-o", str(image)], cwd=ROOT)
    assert built.returncode == 0
    wait_for_line(serve(folder=image), "of packets")
    assert fetch(pair, f"http://{pair.server.v4}/").stdout == PAGE


def test_an_own_address_and_a_blocked_source_are_asked_for_on_the_command_line(
    pair: VethPair, serve: Serve
) -> None:
    own = pair.server.v4 + 76
    block = ("--block", f"{pair.client.v6}", "--block", "192.0.2.0/24", "--syn-rate", "1000")
    process = serve("--address", str(own), "--address", str(pair.server.v6), *block)
    said = wait_for_line(process, "of packets")
    assert f"own   {own}: answers ARP, neighbour discovery and echo itself" in said
    assert fetch(pair, f"http://{own}/").stdout == PAGE
    assert fetch(pair, f"http://[{pair.server.v6}]/", "--connect-timeout", "1").returncode == 28
    process.send_signal(signal.SIGTERM)
    assert re.search(r"kept out: [1-9]\d* packets of blocked sources\n", wait_for_line(process, "kept out"))


def test_an_address_of_the_other_end_is_refused(pair: VethPair, site: Path) -> None:
    code, said = refusal(pair, str(site), "-i", pair.server.ifname, "--address", str(pair.client.v4))
    assert code == 69
    assert f"{pair.client.v4} belongs to another station" in said
    assert pair.client.mac in said
    assert xdp_program(pair) is None
