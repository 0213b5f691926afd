"""Reloading a server that is under load: no request fails, and no response is made of two sites."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.serve.vethpair import VethPair
from tests.engine_http.versions import version_of, write_version
from tests.veth.test_serve_command import BYPASS, ROOT, fetch, wait_for_line

RELOADS = 100
CHECKER = Path(__file__).with_name("checking_client.py")

Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def pair() -> Iterator[VethPair]:
    with VethPair(isolate_server=True) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write_version(tmp_path / "site", 0)
    return tmp_path / "site"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the control socket is."""
    return tmp_path / "run"


@pytest.fixture
def serve(pair: VethPair, folder: Path) -> Iterator[Serve]:
    started: list[subprocess.Popen[str]] = []

    def start(site: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [*BYPASS, "serve", str(site), "-i", pair.server.ifname, "--runtime-folder", str(folder)]
        process = subprocess.Popen(
            pair.command([*command, *arguments], server=True), cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        wait_for_line(process, "of packets")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def reload(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*BYPASS, "reload", "--runtime-folder", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def served_version(pair: VethPair) -> int:
    return version_of(fetch(pair, f"http://{pair.server.v4}/small.txt").stdout)


def replace(site: Path, version: int) -> None:
    """All files of another version, each replaced at once."""
    write_version(site.with_name("next"), version)
    for path in site.with_name("next").iterdir():
        path.rename(site / path.name)


def test_a_hundred_reloads_under_load_fail_no_request_and_mix_no_response(
    pair: VethPair, serve: Serve, site: Path, folder: Path
) -> None:
    serve(site)
    base = f"http://{pair.server.v4}"
    checker = subprocess.Popen(
        pair.command([sys.executable, str(CHECKER), str(pair.server.v4)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    wrk = subprocess.Popen(
        pair.command(["timeout", "300", "wrk", "-t1", "-c16", "-d290", f"{base}/small.txt"]),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        from bypass.reload.control import ask, find_server

        server = find_server(folder)
        for version in range(1, RELOADS + 1):
            replace(site, version)
            assert ask(server.path, "reload", 60)["files"] == 3
            assert served_version(pair) == version
        said, _ = checker.communicate("stop\n", timeout=60)
        wrk.send_signal(signal.SIGINT)
        report, _ = wrk.communicate(timeout=30)
    finally:
        for process in (checker, wrk):
            process.kill()
            process.wait(10)
    seen = json.loads(said)
    assert seen["failures"] == []
    assert seen["responses"] > RELOADS
    assert len(seen["versions"]) > RELOADS // 4
    assert "Non-2xx" not in report
    assert "Socket errors" not in report
    print(f"{RELOADS} reloads, {seen['responses']} responses checked, {report.splitlines()[-2]}")


def test_a_failed_build_leaves_the_old_site_and_says_why(
    pair: VethPair, serve: Serve, site: Path, folder: Path
) -> None:
    process = serve(site)
    shutil.rmtree(site)
    done = reload(folder)
    assert done.returncode == 78
    assert "bypass: error:" in done.stderr
    assert str(site) in done.stderr
    assert "not reloaded, the site is served as before" in wait_for_line(process, "not reloaded")
    assert served_version(pair) == 0
    write_version(site, 3)
    done = reload(folder, "--json", "--interface", pair.server.ifname)
    assert done.returncode == 0
    facts = json.loads(done.stdout)
    assert facts["reloaded"]["files"] == 3
    assert facts["server"]["pid"] == process.pid
    assert served_version(pair) == 3


def test_sighup_reloads_and_a_replaced_image_file_is_taken(
    pair: VethPair, serve: Serve, site: Path, tmp_path: Path
) -> None:
    def build(version: int) -> None:
        replace(site, version)
        done = subprocess.run([*BYPASS, "build", "-q", str(site), "-o", str(tmp_path / "site.img")], cwd=ROOT)
        assert done.returncode == 0

    build(1)
    process = serve(tmp_path / "site.img")
    assert served_version(pair) == 1
    build(2)
    assert served_version(pair) == 1
    process.send_signal(signal.SIGHUP)
    wait_for_line(process, "reloaded: 3 files")
    assert served_version(pair) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_watch_serves_what_was_changed(pair: VethPair, serve: Serve, site: Path) -> None:
    process = serve(site, "--watch")
    time.sleep(0.5)
    replace(site, 7)
    wait_for_line(process, "reloaded: 3 files")
    assert served_version(pair) == 7


def test_a_download_goes_on_from_the_old_site(
    pair: VethPair, serve: Serve, site: Path, folder: Path, tmp_path: Path
) -> None:
    serve(site)
    (site / "big.bin").write_bytes((site / "big.bin").read_bytes() * 20)
    assert reload(folder).returncode == 0
    slow = subprocess.Popen(
        pair.command(
            [
                "curl",
                "-sS",
                "--limit-rate",
                "1M",
                "-o",
                str(tmp_path / "got"),
                f"http://{pair.server.v4}/big.bin",
            ]
        )
    )
    time.sleep(1)
    wanted = (site / "big.bin").read_bytes()
    replace(site, 5)
    assert reload(folder).returncode == 0
    assert served_version(pair) == 5
    assert slow.wait(60) == 0
    assert (tmp_path / "got").read_bytes() == wanted


def test_the_socket_is_gone_with_the_server(serve: Serve, site: Path, folder: Path) -> None:
    process = serve(site)
    assert len(list(folder.iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert list(folder.iterdir()) == []
    assert reload(folder).returncode == 69
