"""The thread that writes lines: whole ones, in order, over rotations, full disks and ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bypass.accesslog.writer import AccessLog, FileSink, sink_for
from bypass.errors import UnavailableError

DEADLINE_S = 30.0


class Source:
    """Lines to be taken; as many at a time as fit."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._lock = threading.Lock()

    def put(self, *lines: bytes) -> None:
        with self._lock:
            self._lines += lines

    def take(self, out: memoryview) -> tuple[int, int]:
        with self._lock:
            text = b"".join(self._lines)
            assert len(text) <= len(out)
            lines, self._lines = len(self._lines), []
        out[: len(text)] = text
        return len(text), lines


class Disk:
    """A sink that can be full: it takes `room` octets, then refuses."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = b""

    def write(self, lines: memoryview) -> int:
        if self.room < len(lines):
            raise OSError(28, "No space left on device")
        self.room -= len(lines)
        self.written += lines
        return len(lines)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def log(source: Source, path: Path) -> Iterator[AccessLog]:
    made = AccessLog(source.take, 100, FileSink(str(path)), print)
    yield made
    made.close()


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_lines_reach_the_file_and_the_rest_at_the_end(source: Source, path: Path, log: AccessLog) -> None:
    source.put(b"one\n", b"two\n")
    wait_for(lambda: path.read_bytes() == b"one\ntwo\n")
    source.put(b"three\n")
    log.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert log.written.lines == 3
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_existing_file_is_appended_to(source: Source, path: Path) -> None:
    path.write_bytes(b"old\n")
    log = AccessLog(source.take, 100, FileSink(str(path)), print)
    source.put(b"new\n")
    log.close()
    assert path.read_bytes() == b"old\nnew\n"


def test_no_line_is_lost_or_torn_over_rotations(source: Source, path: Path, log: AccessLog) -> None:
    wanted = [b"line %d\n" % number for number in range(5000)]
    for number, line in enumerate(wanted):
        source.put(line)
        if number % 1000 == 500:
            moved = path.with_name(f"access.{number}")
            path.rename(moved)
            log.reopen()
            wait_for(path.exists)
    log.close()
    older = sorted(path.parent.glob("access.[0-9]*"), key=lambda file: int(file.suffix[1:]))
    assert len(older) == 5
    assert b"".join(file.read_bytes() for file in [*older, path]) == b"".join(wanted)


def test_a_folder_that_went_away_keeps_the_open_file(source: Source, path: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "logs").mkdir()
    log = AccessLog(source.take, 100, FileSink(str(tmp_path / "logs" / "a")), said.append)
    (tmp_path / "logs").rename(tmp_path / "moved")
    log.reopen()
    wait_for(lambda: said)
    source.put(b"still\n")
    log.close()
    assert (tmp_path / "moved" / "a").read_bytes() == b"still\n"
    assert "No such file" in said[0]


def test_a_full_disk_loses_lines_and_says_so_once(source: Source) -> None:
    said: list[str] = []
    disk = Disk(4)
    log = AccessLog(source.take, 100, disk, said.append)
    source.put(b"one\n")
    wait_for(lambda: log.written.lines == 1)
    source.put(b"two\n")
    wait_for(lambda: log.written.lost == 1)
    source.put(b"three\n")
    log.close()
    assert disk.written == b"one\n"
    assert (log.written.lines, log.written.lost) == (1, 2)
    assert said == ["access log: No space left on device; lines are lost"]


def test_where_nothing_may_be_lost_it_is_tried_again(source: Source) -> None:
    disk = Disk(0)
    said: list[str] = []
    log = AccessLog(source.take, 100, disk, said.append, lossless=True)
    source.put(b"one\n")
    wait_for(lambda: said)
    assert log.written.lost == 0
    disk.room = 100
    wait_for(lambda: disk.written == b"one\n")
    log.close()
    assert log.written.lost == 0


def test_a_torn_line_does_not_tear_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(str(path))
    real = os.write
    allowed = [6]

    def short(fd: int, octets: memoryview) -> int:
        if allowed[0] == 0:
            raise OSError(28, "No space left on device")
        done = real(fd, bytes(octets)[: allowed[0]])
        allowed[0] -= done
        return done

    monkeypatch.setattr(os, "write", short)
    assert sink.write(memoryview(b"one\ntwo\n")) == 4
    allowed[0] = 100
    assert sink.write(memoryview(b"two\n")) == 4
    sink.close()
    assert path.read_bytes() == b"one\ntw\ntwo\n"


def test_a_torn_line_leaves_no_mark_in_the_next_file(path: Path) -> None:
    sink = FileSink(str(path))
    sink._torn = True
    sink.reopen()  # the same file: the line is still to be ended
    sink.write(memoryview(b"one\n"))
    assert path.read_bytes() == b"\none\n"
    sink._torn = True
    path.rename(path.with_name("old"))
    sink.reopen()
    sink.write(memoryview(b"two\n"))
    sink.close()
    assert path.read_bytes() == b"two\n"


def test_a_pipe_that_nobody_reads_does_not_keep_it_from_ending(source: Source, path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    said: list[str] = []
    sink = FileSink(str(path))
    log = AccessLog(source.take, 100, sink, said.append, end_s=0.2)
    try:
        source.put(*[b"%0199d\n" % number for number in range(1000)])  # more than a pipe holds
        wait_for(lambda: not source._lines)
        log.close()
        assert said == ["access log: whatever reads it takes nothing; its last lines are lost"]
    finally:
        os.close(reader)  # the writer's thread gets EPIPE, and ends
    log._thread.join(DEADLINE_S)
    assert not log._thread.is_alive()
    sink.close()


def test_a_pipe_without_a_reader_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(UnavailableError, match=r"a pipe that nobody reads.*Start its reader"):
        FileSink(str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = FileSink(str(path))
    assert os.get_blocking(sink._fd)
    os.close(reader)
    with pytest.raises(OSError, match="No such device"):
        sink.reopen()
    sink.close()


def test_a_function_is_given_whole_lines(source: Source) -> None:
    got: list[bytes] = []
    log = AccessLog(source.take, 100, sink_for(got.append), print)
    source.put(b"a\n", b"b\n")
    log.close()
    assert b"".join(got) == b"a\nb\n"


def test_a_function_that_raises_ends_nothing(source: Source) -> None:
    said: list[str] = []

    def broken(lines: bytes) -> None:
        raise ZeroDivisionError("oh")

    log = AccessLog(source.take, 100, sink_for(broken), said.append)
    source.put(b"a\n")
    wait_for(lambda: log.written.lost)
    log.close()
    assert "ZeroDivisionError" in said[0]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="the access log cannot be written: No such file"):
        sink_for(tmp_path / "absent" / "log")
    with pytest.raises(UnavailableError, match="Is a directory"):
        sink_for(str(tmp_path))
