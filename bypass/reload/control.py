"""The socket on which a running server is asked for things: one in the file system for each server.

Both ends. A request and its answer are one line of JSON each. Only root and the server's own user are heard
(SO_PEERCRED), whatever the file's mode says.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bypass import errors
from bypass.errors import BypassError, PrivilegeError, UnavailableError

LINE_BYTES = 1 << 16
_SUFFIX = ".sock"
_HELD_MOST = 8
_SLOW_S = 5.0

Facts = dict[str, object]
Handler = Callable[[], Facts]


def runtime_folder(chosen: str = "") -> Path:
    """Where the sockets are: what was chosen, what systemd gave, /run/bypass, or the user's own."""
    if chosen:
        return Path(chosen)
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/run/bypass")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "bypass"


class ControlSocket:
    """Answers requests from entry to exit, each in a thread. handlers: by the name of what is asked.

    UnavailableError when the folder or the socket cannot be made.
    """

    def __init__(self, folder: Path, name: str, handlers: Mapping[str, Handler]) -> None:
        self.path = folder / f"{name}.{os.getpid()}{_SUFFIX}"
        self._handlers = handlers
        self._held = threading.BoundedSemaphore(_HELD_MOST)
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            _require_private(folder)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()  # of an earlier process with our number
            before = os.umask(0o177)
            try:
                self._listener.bind(str(self.path))
            finally:
                os.umask(before)
            self._listener.listen(_HELD_MOST)
        except OSError as error:
            raise UnavailableError(
                f"{self.path}: no control socket", why=error.strerror or str(error)
            ) from None
        self._thread = threading.Thread(target=self._accept, name="bypass-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer = self._listener.accept()[0]
            except OSError:
                return
            if not self._held.acquire(blocking=False):
                peer.close()
                continue
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, contextlib.suppress(OSError, ValueError):
                if _user_of(peer) not in (0, os.geteuid()):
                    return
                peer.settimeout(_SLOW_S)
                asked = json.loads(_line(peer))
                name = asked.get("ask") if isinstance(asked, dict) else None
                peer.sendall(_encoded(self._answer(str(name))))
        finally:
            self._held.release()

    def _answer(self, name: str) -> Facts:
        handler = self._handlers.get(name)
        if handler is None:
            return _failure(
                BypassError(f"no such request: {name}", why=f"known: {', '.join(self._handlers)}")
            )
        try:
            return handler()
        except BypassError as error:
            return _failure(error)
        except Exception as error:  # the asker hears of a bug of ours, the server goes on
            return _failure(BypassError(f"{name} failed", why=f"{type(error).__name__}: {error}"))


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its socket, and what it says of itself."""

    path: Path
    about: Facts

    def __str__(self) -> str:
        return f"{self.about['interface']} port {self.about['port']} (process {self.about['pid']})"


def running_servers(folder: Path) -> list[Running]:
    """Those whose socket is in the folder and answers. A socket that nobody listens on is none."""
    found = []
    denied = False
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found.append(Running(path, ask(path, "about", timeout_s=_SLOW_S)))
        except PermissionError:
            denied = True
        except (OSError, ValueError):
            continue
    if denied and not found:
        raise PrivilegeError(f"{folder}: the running server is another user's", remedy="Run it as root: sudo")
    return found


def find_server(folder: Path, interface: str = "", port: int = 0) -> Running:
    """The one that is meant; UnavailableError when none is, or more than one."""
    servers = [
        server
        for server in running_servers(folder)
        if interface in ("", server.about.get("interface")) and port in (0, server.about.get("port"))
    ]
    if not servers:
        meant = f" on {interface}" if interface else ""
        raise UnavailableError(
            f"no running server{meant} found in {folder}", remedy="Start one with 'bypass serve'"
        )
    if len(servers) > 1:
        raise UnavailableError(
            f"{len(servers)} servers are running: {', '.join(map(str, servers))}",
            remedy="Say which with --interface, and --port",
        )
    return servers[0]


def ask(path: Path, what: str, timeout_s: float | None = None) -> Facts:
    """The answer of the server at `path`; the BypassError that it answers. OSError when it does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout_s)
        channel.connect(str(path))
        channel.sendall(_encoded({"ask": what}))
        answer = json.loads(_line(channel))
    if "error" in answer:
        facts = answer["error"]
        error = getattr(errors, facts["kind"], BypassError)(
            facts["what"], why=facts["why"], remedy=facts["remedy"]
        )
        assert isinstance(error, BypassError)
        raise error
    assert isinstance(answer, dict)
    return answer


def _require_private(folder: Path) -> None:
    """Where others may write, they could put a socket of their own in the place of ours."""
    about = os.stat(folder)
    if about.st_uid not in (0, os.geteuid()) or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(0, "others may write to this folder")


def _user_of(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _line(channel: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = channel.recv(LINE_BYTES)
        if not part or len(received) + len(part) > LINE_BYTES:
            raise ConnectionError("no whole line")
        received += part
    return received


def _encoded(facts: Mapping[str, object]) -> bytes:
    return json.dumps(facts).encode() + b"\n"


def _failure(error: BypassError) -> Facts:
    facts = {"kind": type(error).__name__, "what": error.what, "why": error.why, "remedy": error.remedy}
    return {"error": facts}
