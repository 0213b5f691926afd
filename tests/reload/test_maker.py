"""Images made by a process of its own: sound ones, the compiler's words, what becomes of a lost process."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bypass.errors import BypassError, SiteError
from bypass.reload.maker import ImageMaker
from bypass.reload.reloader import Reloader
from bypass.site.files.recall import RACY_NS
from bypass.site.output import build_image_file, compile_to_memfd
from bypass.site.source import WINDOW_BYTES
from tests.reload.test_reloader import FakeServer


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<p>one")
    return folder


@pytest.fixture
def maker(site: Path) -> Iterator[ImageMaker]:
    with ImageMaker(site, None) as made:
        yield made


def _page(maker: ImageMaker) -> bytes:
    with maker.make() as image:
        found = image.lookup(b"/")
        assert found is not None
        with found.body as body, found.sums:
            return bytes(body)


def test_it_makes_what_the_compiler_makes(maker: ImageMaker, site: Path) -> None:
    fd, _ = compile_to_memfd(site)
    try:
        with maker.make() as image:
            assert bytes(image.buffer) == os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def test_one_process_makes_all_of_them_and_sees_every_change(maker: ImageMaker, site: Path) -> None:
    assert _page(maker) == b"<p>one"
    process = maker._process
    (site / "index.html").write_text("<p>two, which is longer")
    assert _page(maker) == b"<p>two, which is longer"
    assert maker._process is process


def test_an_image_file_is_copied_and_checked(site: Path, tmp_path: Path) -> None:
    build_image_file(site, tmp_path / "site.img")
    with ImageMaker(tmp_path / "site.img", None) as maker:
        assert _page(maker) == b"<p>one"
        damaged = bytearray((tmp_path / "site.img").read_bytes())
        damaged[-1] ^= 1
        (tmp_path / "new.img").write_bytes(damaged)
        (tmp_path / "new.img").rename(tmp_path / "site.img")
        with pytest.raises(SiteError, match="checksum"):
            maker.make()


def test_a_refusal_has_the_compilers_words(maker: ImageMaker, site: Path) -> None:
    (site / "index.html").unlink()
    with pytest.raises(SiteError) as refused:
        maker.make()
    with pytest.raises(SiteError) as itself:
        compile_to_memfd(site)
    assert str(refused.value) == str(itself.value)
    (site / "index.html").write_text("<p>again")
    assert _page(maker) == b"<p>again"


def test_the_limit_is_obeyed(site: Path) -> None:
    with ImageMaker(site, 100) as maker, pytest.raises(SiteError, match="--max-memory"):
        maker.make()


def test_progress_is_passed_on_and_may_end_it(maker: ImageMaker, site: Path) -> None:
    (site / "big.bin").write_bytes(bytes(1 << 20))
    seen: list[tuple[int, int]] = []

    def give_up(done: int, total: int) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maker.make(give_up)
    assert 0 <= seen[0][0] <= seen[0][1]
    assert maker._process is None
    assert _page(maker) == b"<p>one"


def test_a_lost_process_is_said_and_replaced(maker: ImageMaker) -> None:
    assert _page(maker) == b"<p>one"
    assert maker._process is not None
    os.kill(maker._process.pid, signal.SIGSTOP)

    os.kill(maker._process.pid, signal.SIGKILL)
    with pytest.raises(BypassError, match="ended unexpectedly") as lost:
        maker.make()
    assert "signal 9" in str(lost.value)
    assert _page(maker) == b"<p>one"


def test_it_ends_with_its_owner(maker: ImageMaker) -> None:
    assert _page(maker) == b"<p>one"
    process = maker._process
    assert process is not None
    maker._channel.close()  # type: ignore[union-attr]  # as the kernel does when the owner is killed
    assert process.wait(10) == 0


def test_a_making_that_hangs_can_be_cancelled(maker: ImageMaker) -> None:
    """Else a server whose folder is on a dead disk could not be stopped."""
    assert _page(maker) == b"<p>one"
    process = maker._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    timer = threading.Timer(0.2, maker.cancel)
    timer.start()
    with pytest.raises(BypassError, match="ended unexpectedly"):
        maker.make()
    timer.join()
    assert process.returncode == -signal.SIGKILL
    assert _page(maker) == b"<p>one"


def test_a_making_that_hangs_gives_way_to_a_newer_reload(maker: ImageMaker, site: Path) -> None:
    server = FakeServer()
    made = Reloader(
        server,
        maker.make(),
        maker.make,
        print,
        threading.Event(),
        cancel=maker.cancel,
        silent_s=maker.silent_s,
        hung_s=0.5,
    )
    assert maker._process is not None
    os.kill(maker._process.pid, signal.SIGSTOP)
    failed: list[BypassError] = []

    def first() -> None:
        with pytest.raises(BypassError, match="ended unexpectedly") as lost:
            made.reload()
        failed.append(lost.value)

    thread = threading.Thread(target=first)
    thread.start()
    time.sleep(1.5)
    assert thread.is_alive()  # nobody else waits: it may come back
    (site / "more.html").write_text("<p>more")
    assert made.reload().files == 2
    thread.join()
    assert len(failed) == 1
    assert len(server.offered) == 1
    made.close()


def test_one_changed_file_of_100_000_is_made_within_a_second(tmp_path: Path) -> None:
    """Of processor time, so that it means the same on a busy machine; both figures are printed."""
    for number in range(100):
        (tmp_path / f"d{number}").mkdir()
        for other in range(1000):
            path = tmp_path / f"d{number}" / f"{other}.html"
            path.write_bytes(b"<p>%d %d" % (number, other))
            os.utime(path, (1e9, 1e9))  # one that has just changed is read again to be sure
    with ImageMaker(tmp_path, None) as maker:
        maker.make().close()
        assert maker._process is not None
        seen = []
        for number in range(3):
            (tmp_path / "d50" / "500.html").write_text(f"<p>changed {number}")
            used, started = _processor_s(maker._process.pid), time.monotonic()
            with maker.make() as image:
                elapsed_s = time.monotonic() - started
                found = image.lookup(b"/d50/500.html")
                assert found is not None
                with found.body as body, found.sums:
                    assert bytes(body) == b"<p>changed %d" % number
            seen.append((_processor_s(maker._process.pid) - used, elapsed_s))
    print(*(f"reloaded in {elapsed:.2f} s, {used:.2f} s of a processor" for used, elapsed in seen), sep="\n")
    assert min(seen)[0] < 1.0


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_reload_mends_what_was_changed_without_a_trace(site: Path) -> None:
    """Through a mapping whose page was dirty already: no time changes, so only those who serve it notice."""
    path = site / "big.bin"
    path.write_bytes(bytes(WINDOW_BYTES))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        os.utime(path, (1, 1))
        mapped[5] = 1
        before = path.stat()
        with ImageMaker(site, None, large_bytes=WINDOW_BYTES) as maker:
            # As if the last change were long ago: ctime cannot be set.
            time.sleep(RACY_NS / 10**9 + 0.1)
            assert _large_window(maker)[5] == 1
            mapped[5] = 2
            assert (path.stat().st_mtime_ns, path.stat().st_ctime_ns) == (
                before.st_mtime_ns,
                before.st_ctime_ns,
            )
            with pytest.raises(OSError, match="changed in place"):
                _large_window(maker)
            assert _large_window(maker)[5] == 2


def _large_window(maker: ImageMaker) -> bytes:
    target = bytearray(WINDOW_BYTES)
    with maker.make() as image:
        assert image.large is not None
        try:
            image.large.read_into(0, 0, memoryview(target))
        finally:
            image.large.close()
    return bytes(target)


def test_an_image_without_a_descriptor_left_for_it_is_an_error(maker: ImageMaker) -> None:
    assert _page(maker) == b"<p>one"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        with pytest.raises(BypassError, match=r"too many files are open") as refused:
            maker.make()
        assert "ulimit -n" in refused.value.remedy
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert _page(maker) == b"<p>one"
