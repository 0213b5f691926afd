"""Stop requests: drained by one, cut short by two, never torn apart in a start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bypass.errors import UnavailableError
from bypass.serve.lifecycle import Summary, serve_until_stopped
from bypass.serve.notify import notify
from bypass.serve.parts import Notice
from bypass.serve.server import QueueTotals, open_server
from bypass.serve.signals import StopRequest
from tests.serve.conftest import FakeParts, plan_for

IMAGE = memoryview(b"image")


class _Stop(StopRequest):
    """Says when signals are attended to."""

    def __init__(self) -> None:
        super().__init__()
        self.attended = threading.Event()

    def attend(self) -> None:
        super().attend()
        self.attended.set()

    def __enter__(self) -> _Stop:
        super().__enter__()
        return self


def _signal() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(
    fake: FakeParts, *meanwhile: Callable[[], object], drain_timeout_s: float = 60.0, warn: Notice = print
) -> Summary:
    """meanwhile: called by another thread once signals are attended to. What has to wait for something looks
    at it, so nothing depends on how long a step takes."""
    with _Stop() as stop, open_server(plan_for(), IMAGE, fake.parts()) as server:
        other = threading.Thread(target=lambda: stop.attended.wait(60) and [step() for step in meanwhile])
        other.start()
        try:
            return serve_until_stopped(server, stop, drain_timeout_s, warn=warn)
        finally:
            other.join()


def _until(condition: Callable[[], object]) -> Callable[[], None]:
    def wait() -> None:
        end = time.monotonic() + 60
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)

    return wait


def _draining(fake: FakeParts) -> Callable[[], None]:
    return _until(lambda: fake.draining)


def test_sigterm_drains_and_returns_what_was_done(fake: FakeParts) -> None:
    summary = _serve(fake, _signal)
    assert fake.draining
    assert (summary.requests, summary.sent_bytes, summary.left_open) == (12, 3400, 0)
    kept_out = {words: many for words, many in summary.refused.items() if many}
    assert kept_out == {
        "packets of blocked sources": 7,
        "connections beyond --connections-per-source": 2,
    }
    assert summary.queues == (QueueTotals(0, 10, 20, 1), QueueTotals(1, 11, 21, 1))


def test_lost_packet_buffers_are_in_the_summary(fake: FakeParts) -> None:
    fake.lost = 3
    assert _serve(fake, _signal).frames_lost == 3


def test_a_queue_without_socket_is_warned_of_once(fake: FakeParts) -> None:
    fake.unserved_queues = {5: 17}
    warnings: list[str] = []
    _serve(fake, _until(lambda: warnings), lambda: time.sleep(2.5), _signal, warn=warnings.append)
    assert len(warnings) == 1
    assert warnings[0].startswith("eth7 queue 5: packets for us arrive there")


def test_draining_ends_when_the_last_connection_does(fake: FakeParts) -> None:
    fake.connections = 3
    end = partial(setattr, fake, "connections", 0)
    assert _serve(fake, _signal, _draining(fake), end, drain_timeout_s=600).left_open == 0


def test_draining_ends_at_its_timeout(fake: FakeParts) -> None:
    fake.connections = 3
    assert _serve(fake, _signal, drain_timeout_s=0.2).left_open == 3


def test_a_second_signal_ends_draining_at_once(fake: FakeParts) -> None:
    fake.connections = 3
    assert _serve(fake, _signal, _draining(fake), _signal, drain_timeout_s=600).left_open == 3


def test_a_dead_worker_ends_serving_with_its_reason(fake: FakeParts) -> None:
    fake.engine_status = -19
    with pytest.raises(UnavailableError, match="ENODEV"):
        _serve(fake)
    assert fake.log[-2:] == ["unload", "give up"]


def test_an_interface_that_is_gone_ends_serving(fake: FakeParts) -> None:
    with pytest.raises(UnavailableError, match="eth7: the interface went away"):
        _serve(fake, partial(setattr, fake, "interface_usable", False))
    assert fake.log[-2:] == ["unload", "give up"]


def test_a_signal_during_the_start_waits_for_the_end_of_a_step() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            stop.check()


def test_a_second_signal_during_the_start_interrupts() -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


STORM = """
import os, signal, threading, time
from bypass.serve.signals import StopRequest

done = []
with StopRequest({signal.SIGUSR1: lambda: done.append(1)}) as stop:
    stop.attend()

    def storm():
        for number in [signal.SIGUSR1] * 1000 + [signal.SIGTERM] * 1000:
            os.kill(os.getpid(), number)
            time.sleep(0.0002)

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    while thread.is_alive():
        stop.wait(0.001)
    assert stop.urgent and done
"""


def test_signals_at_any_moment_do_not_stop_it_from_looking() -> None:
    """One that arrived while the wait was taking its lock made `bypass serve` deaf to every signal."""
    subprocess.run([sys.executable, "-c", STORM], check=True, timeout=120)


def test_what_another_signal_asks_for_is_done_by_who_waits() -> None:
    done: list[int] = []
    with StopRequest({signal.SIGUSR1: lambda: done.append(1)}) as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not done
        assert not stop.wait(0.01)
        assert done == [1]


def test_the_previous_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeParts) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        _serve(fake, _signal)
        assert manager.recv(4096) == b"READY=1\nSTATUS=serving http://10.0.0.1/ http://[fe80::1]/"
        assert manager.recv(4096) == b"STOPPING=1\nSTATUS=draining"


def test_an_abstract_socket_works_and_none_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"bypass-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert notify(READY="1")
        assert manager.recv(100) == b"READY=1"
    assert not notify(READY="1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not notify(READY="1")
