"""Servers to compare on one veth pair: started in its server namespace, one at a time, on one CPU."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bypass.errors import UnavailableError
from bypass.serve.vethpair import VethPair

_START_S = 15.0
_STOP_S = 10.0
_NGINX = """
daemon off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=60s;
    types {{ }}
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen {v4}:80 backlog=4096; listen [{v6}]:80 backlog=4096; root {root}; }}
}}
"""


def find_nginx() -> str:
    """BYPASS_NGINX, the one that `make test` unpacks, or the system's."""
    here = os.environ.get("BYPASS_NGINX") or ".cache/nginx/usr/sbin/nginx"
    found = shutil.which(here) or shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if found is None:
        raise UnavailableError(
            "nginx: not found", remedy="Run 'make lint' once, which unpacks it, or set BYPASS_NGINX"
        )
    return found


@contextmanager
def run_bypass(
    pair: VethPair, root: Path, *, cpu: int, poll: str, options: Sequence[str] = ()
) -> Iterator[int]:
    """`bypass serve` on the pair, with further options; yields its process number."""
    command = [sys.executable, "-m", "bypass", "-q", "serve", str(root), "-i", pair.server.ifname]
    with _run(pair, [*command, "--cpu", str(cpu), "--poll", poll, *options]) as pid:
        yield pid


@contextmanager
def run_nginx(pair: VethPair, root: Path, *, cpu: int, folder: Path) -> Iterator[int]:
    """nginx with one worker, sendfile, no access log, unlimited keep-alive, open files cached."""
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, root=root, v4=pair.server.v4, v6=pair.server.v6))
    command = [find_nginx(), "-e", str(folder / "error.log"), "-c", str(file)]
    with _run(pair, ["taskset", "-c", str(cpu), *command]) as pid:
        yield pid


@contextmanager
def _run(pair: VethPair, command: Sequence[str]) -> Iterator[int]:
    process = subprocess.Popen(
        pair.command(command, server=True), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for_port(pair, process, command)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def _wait_for_port(pair: VethPair, process: subprocess.Popen[str], command: Sequence[str]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = process.stderr.read() if process.stderr else ""
            raise UnavailableError(f"{command[0]}: ended at once", why=words.strip()[-500:])
        with pair.inside_client():
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with client:
            client.settimeout(0.5)
            if client.connect_ex((str(pair.server.v4), 80)) == 0:
                return
        time.sleep(0.05)
    raise UnavailableError(f"{command[0]}: does not answer on port 80 within {_START_S:.0f} s")
