"""The order of a reload, and that nothing that fails touches what is served."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.errors import BypassError, SiteError, UnavailableError
from bypass.reload.outcome import Reloaded
from bypass.reload.reloader import Reloader
from bypass.reload.watch import Watcher
from bypass.site.image import SiteImage, open_image
from bypass.site.output import compile_to_memfd

DEADLINE_S = 30.0


class FakeServer:
    def __init__(self) -> None:
        self.offered: list[memoryview] = []
        self.places = 100
        self.takes = True

    def offer_image(self, image: memoryview, large: object = None) -> bool:
        if self.places == 0:
            return False
        self.places -= 1
        self.offered.append(image)
        return True

    @property
    def image_taken(self) -> bool:
        return self.takes

    def images_held(self) -> int:
        return 8


class Bench:
    """A reloader with its fake server; `make` may be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = FakeServer()
        self.outcomes: list[Reloaded | BypassError] = []
        self.wanted = threading.Event()
        self.make: Callable[[], SiteImage] = self.compile
        self.reloader = Reloader(
            self.server,
            self.compile(),
            lambda: self.make(),
            self.outcomes.append,
            self.wanted,
            taken_s=0.2,
        )

    def compile(self) -> SiteImage:
        fd, _ = compile_to_memfd(self.folder)
        try:
            return open_image(fd)
        finally:
            os.close(fd)

    def wait_for(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "index.html").write_text("<p>one")
    made = Bench(tmp_path)
    yield made
    made.reloader.close()


def test_the_new_image_is_handed_over(bench: Bench) -> None:
    (bench.folder / "more.html").write_text("<p>two")
    outcome = bench.reloader.reload()
    assert outcome.files == 2
    assert outcome.image_bytes == len(bench.server.offered[0])
    assert 0 <= outcome.making_s <= outcome.seconds


def test_a_failed_build_offers_nothing(bench: Bench) -> None:
    (bench.folder / "index.html").unlink()
    with pytest.raises(SiteError):
        bench.reloader.reload()
    assert bench.server.offered == []


def test_a_server_without_a_place_is_waited_for_and_then_said(bench: Bench) -> None:
    bench.server.places = 0
    with pytest.raises(UnavailableError, match="8 earlier ones are still being sent"):
        bench.reloader.reload()
    threading.Timer(0.05, setattr, (bench.server, "places", 1)).start()
    bench.reloader.reload()
    assert len(bench.server.offered) == 1


def test_a_worker_that_takes_nothing_up_is_said(bench: Bench) -> None:
    bench.server.takes = False
    with pytest.raises(UnavailableError, match="does not take it up"):
        bench.reloader.reload()


def test_requests_that_come_together_are_one(bench: Bench) -> None:
    gate = threading.Event()
    made: list[int] = []

    def slow() -> SiteImage:
        made.append(1)
        assert gate.wait(DEADLINE_S)
        return bench.compile()

    bench.make = slow
    bench.reloader.request()
    bench.wait_for(lambda: made)
    for _ in range(5):
        bench.reloader.request()  # while the first is under way: one more, which sees all changes
    gate.set()
    bench.wait_for(lambda: len(bench.outcomes) == 2)
    time.sleep(0.1)
    assert len(bench.outcomes) == len(made) == 2


def test_whatever_fails_is_reported_and_the_next_one_works(bench: Bench) -> None:
    def broken() -> SiteImage:
        raise ZeroDivisionError("oh")

    bench.make = broken
    bench.reloader.request()
    bench.wait_for(lambda: bench.outcomes)
    assert "ZeroDivisionError" in str(bench.outcomes[0])
    bench.make = bench.compile
    bench.reloader.request()
    bench.wait_for(lambda: len(bench.outcomes) == 2)
    assert isinstance(bench.outcomes[1], Reloaded)


def test_a_service_manager_is_told(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        bench.reloader.reload()
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096) == b"READY=1"


def test_after_close_nothing_is_reloaded(bench: Bench) -> None:
    bench.reloader.close()
    with pytest.raises(UnavailableError, match="stopping"):
        bench.reloader.reload()


def test_a_burst_of_changes_is_one_reload(tmp_path: Path) -> None:
    calls: list[float] = []
    watcher = Watcher(tmp_path, lambda: calls.append(time.monotonic()))
    try:
        time.sleep(0.5)  # until it watches
        (tmp_path / "deep").mkdir()
        for number in range(20):
            (tmp_path / f"{number}.html").write_text("x")
        until = time.monotonic() + DEADLINE_S
        while not calls:
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(1.5)
        assert len(calls) <= 2
        before = len(calls)
        time.sleep(0.5)
        (tmp_path / "deep" / "late.html").write_text("y")
        while len(calls) == before:
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        watcher.close()


def test_an_image_file_is_watched_for_its_replacement_alone(tmp_path: Path) -> None:
    image = tmp_path / "site.img"
    image.write_bytes(b"1")
    changed = threading.Event()
    watcher = Watcher(image, changed.set)
    try:
        time.sleep(0.5)
        (tmp_path / "other").write_bytes(b"1")
        assert not changed.wait(1.5)
        (tmp_path / "new.img").write_bytes(b"2")
        (tmp_path / "new.img").rename(image)
        assert changed.wait(DEADLINE_S)
    finally:
        watcher.close()
