"""The access log of a server under load: a line for every response, also while the file is rotated."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest

from bypass.bench.wrk import run_wrk
from bypass.serve.vethpair import VethPair
from tests.veth.test_reload_command import Serve, folder, pair, serve, site
from tests.veth.test_serve_command import fetch, wait_for_line

__all__ = ["folder", "pair", "serve", "site"]

COMBINED = re.compile(
    r"(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\]"
    r' "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"'
)


def wait_for_lines(path: Path, count: int) -> list[str]:
    until = time.monotonic() + 20
    while True:
        found = path.read_text().splitlines() if path.exists() else []
        if len(found) >= count:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


def test_curl_is_seen_in_both_ip_versions(pair: VethPair, serve: Serve, site: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    serve(site, "--access-log", str(log))
    fetch(pair, f"http://{pair.server.v4}/small.txt", "-A", 'a "browser"', "-e", "http://else/")
    fetch(pair, f"http://[{pair.server.v6}]/nothing", "-I")
    first, second = (COMBINED.fullmatch(line) for line in wait_for_lines(log, 2))
    assert first and second
    size = (site / "small.txt").stat().st_size
    assert first.group(1, 3, 4, 5, 6, 7) == (
        str(pair.client.v4),
        "GET /small.txt HTTP/1.1",
        "200",
        str(size),
        "http://else/",
        "a \\x22browser\\x22",
    )
    assert second.group(1, 3, 4, 5) == (str(pair.client.v6), "HEAD /nothing HTTP/1.1", "404", "0")
    logged = time.mktime(time.strptime(first[2][:-6], "%d/%b/%Y:%H:%M:%S")) - time.timezone
    assert abs(logged - time.time()) < 60


@pytest.mark.parametrize("policy", ["drop", "wait"])
def test_every_response_of_wrk_has_a_line_over_rotations(
    pair: VethPair, serve: Serve, site: Path, tmp_path: Path, policy: str
) -> None:
    log = tmp_path / "access.log"
    arguments = ("--access-log", str(log), "--log-format", "json", "--log-when-full", policy)
    process = serve(site, *arguments, "--log-buffer", "64K" if policy == "wait" else "32M")
    run_wrk(pair, f"http://{pair.server.v4}/small.txt", connections=16, seconds=1, cpu=1)
    log.rename(tmp_path / "access.log.1")
    process.send_signal(signal.SIGUSR1)
    run_wrk(pair, f"http://{pair.server.v4}/small.txt", connections=16, seconds=1, cpu=1)
    process.send_signal(signal.SIGTERM)
    said = wait_for_line(process, "stopped:")
    assert process.wait(10) == 0
    assert process.stderr is not None
    said += process.stderr.read()
    assert "access log" not in said
    older, newer = ((tmp_path / name).read_text().splitlines() for name in ("access.log.1", "access.log"))
    assert len(older) > 100
    assert len(newer) > 100
    facts = [json.loads(line) for line in older + newer]
    assert {one["request"] for one in facts} == {"GET /small.txt HTTP/1.1"}
    assert {one["status"] for one in facts} == {200}
    assert [one["msec"] for one in facts] == sorted(one["msec"] for one in facts)
    counted = re.search(r"stopped: ([\d.]+)(k|M|) requests", said)
    assert counted
    requests = float(counted[1]) * {"": 1, "k": 1e3, "M": 1e6}[counted[2]]
    assert len(facts) == pytest.approx(requests, rel=0.006)


def test_stdout_is_a_place_as_well(pair: VethPair, site: Path, tmp_path: Path) -> None:
    import subprocess

    from tests.veth.test_serve_command import BYPASS, ROOT

    command = [
        *BYPASS,
        "serve",
        str(site),
        "-i",
        pair.server.ifname,
        "--runtime-folder",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        pair.command([*command, "--access-log", "-", "--log-format", "$status $request_uri"], server=True),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for_line(process, "of packets")
            fetch(pair, f"http://{pair.server.v4}/small.txt?a")
            assert process.stdout is not None
            assert process.stdout.readline() == "200 /small.txt?a\n"
        finally:
            process.kill()
