"""The control socket: who is heard, what is answered, and how a server is found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.errors import SiteError, UnavailableError
from bypass.reload.control import (
    LINE_BYTES,
    ControlSocket,
    Facts,
    ask,
    find_server,
    running_servers,
    runtime_folder,
)

NOBODY = 65534


def _fail() -> Facts:
    raise SiteError("the site", why="it is empty", remedy="Put files into it")


def _bug() -> Facts:
    raise ZeroDivisionError("oh")


def _open(folder: Path, interface: str, port: int = 80) -> ControlSocket:
    about: Facts = {"interface": interface, "port": port, "pid": os.getpid()}
    return ControlSocket(folder, f"{interface}.{port}", {"about": lambda: about, "fail": _fail, "bug": _bug})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    return tmp_path / "run"


@pytest.fixture
def control(folder: Path) -> Iterator[ControlSocket]:
    made = _open(folder, "eth7")
    yield made
    made.close()
    assert not made.path.exists()


def test_facts_and_errors_come_across(control: ControlSocket) -> None:
    assert ask(control.path, "about")["interface"] == "eth7"
    with pytest.raises(SiteError) as failed:
        ask(control.path, "fail")
    assert str(failed.value) == "the site: it is empty. Put files into it."
    with pytest.raises(Exception, match="no such request: nonsense"):
        ask(control.path, "nonsense")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        ask(control.path, "bug")
    assert ask(control.path, "about")["port"] == 80


def test_only_its_own_user_may_write_to_it(control: ControlSocket) -> None:
    assert control.path.stat().st_mode & 0o777 == 0o600


def test_another_user_is_not_heard_even_where_the_mode_lets_it(control: ControlSocket) -> None:
    control.path.chmod(0o666)
    script = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        'try:\n    s.sendall(b\'{"ask": "about"}\\n\')\n    print(s.recv(100))\n'
        "except ConnectionError:\n    print(b'')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(control.path)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "b''\n", done.stderr


@pytest.mark.parametrize("sent", [b"", b"nonsense\n", b"[]\n", b"x" * LINE_BYTES + b"\n", b'{"ask": 5}\n'])
def test_what_is_no_request_does_no_harm(control: ControlSocket, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(control.path))
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(LINE_BYTES)
        except ConnectionError:
            pass
    assert ask(control.path, "about")["interface"] == "eth7"


def test_peers_that_say_nothing_are_bounded(control: ControlSocket) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    try:
        for peer in silent:
            peer.connect(str(control.path))
        with pytest.raises((OSError, ValueError)):
            ask(control.path, "about", timeout_s=2)
    finally:
        for peer in silent:
            peer.close()
    for _ in range(100):
        try:
            assert ask(control.path, "about", timeout_s=5)["interface"] == "eth7"
            return
        except (OSError, ValueError):
            threading.Event().wait(0.1)
    raise AssertionError("it does not recover")


def test_the_server_is_found_by_interface_and_port(folder: Path, control: ControlSocket) -> None:
    assert find_server(folder).path == control.path
    other = _open(folder, "eth8", 8080)
    try:
        assert len(running_servers(folder)) == 2
        assert find_server(folder, "eth8").path == other.path
        assert find_server(folder, port=80).path == control.path
        with pytest.raises(UnavailableError, match="2 servers are running: eth7 port 80"):
            find_server(folder)
        with pytest.raises(UnavailableError, match="no running server on eth9"):
            find_server(folder, "eth9")
    finally:
        other.close()


def test_what_a_killed_server_left_is_no_server(folder: Path) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "eth0.80.1.sock"))
    with pytest.raises(UnavailableError, match="no running server"):
        find_server(folder)


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnavailableError, match="others may write"):
        _open(tmp_path / "open", "eth0")


def test_where_the_socket_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert runtime_folder() == Path("/run/bypass")
    assert runtime_folder("/run/mine") == Path("/run/mine")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
    assert runtime_folder() == Path("/run/a")
