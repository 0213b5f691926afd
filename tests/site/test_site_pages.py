"""Served images in huge pages: the same octets, nobody's to write, and only where that pays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bypass.site import pages
from bypass.site.image import open_image
from bypass.site.output import compile_to_memfd
from bypass.site.pages import LEAST_BYTES, copy_to_huge_pages, kernel_has_huge_pages


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose kernel has none, the copy is made all the same."""
    monkeypatch.setattr(pages, "kernel_has_huge_pages", lambda: True)


def _memory(content: bytes) -> int:
    fd = os.memfd_create("test-pages", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(content)
    return fd


@pytest.mark.usefixtures("always")
def test_the_copy_has_the_same_octets_and_cannot_be_written() -> None:
    content = os.urandom(LEAST_BYTES + 12345)
    fd = _memory(content)
    copied = copy_to_huge_pages(fd)
    os.close(fd)
    assert copied is not None
    assert copied == content
    assert copied.readonly
    del copied


def test_a_store_into_the_copy_ends_the_process() -> None:
    program = f"""
import ctypes, os
from bypass.site import pages
pages.kernel_has_huge_pages = lambda: True
fd = os.memfd_create("x")
os.write(fd, b"x" * {LEAST_BYTES})
copied = pages.copy_to_huge_pages(fd)
place = ctypes.c_char.from_buffer(copied.obj)
print("before", flush=True)
ctypes.memset(ctypes.addressof(place), 0, 1)
print("after", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "before\n", done.stderr
    assert done.returncode < 0


@pytest.mark.usefixtures("always")
def test_no_copy_of_little_of_holes_or_of_more_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    little = _memory(b"x" * (LEAST_BYTES - 1))
    assert copy_to_huge_pages(little) is None
    holes = _memory(b"x" * LEAST_BYTES)
    os.ftruncate(holes, 3 * LEAST_BYTES)
    assert copy_to_huge_pages(holes) is None
    much = _memory(b"x" * LEAST_BYTES)
    assert copy_to_huge_pages(much) is not None
    monkeypatch.setattr(pages, "available_memory_bytes", lambda: 4 * LEAST_BYTES - 4)
    assert copy_to_huge_pages(much) is None
    for fd in (little, holes, much):
        os.close(fd)


def test_the_kernels_word(tmp_path: Path) -> None:
    word = tmp_path / "enabled"
    word.write_text("always [madvise] never\n")
    assert kernel_has_huge_pages(word)
    word.write_text("always madvise [never]\n")
    assert not kernel_has_huge_pages(word)
    assert not kernel_has_huge_pages(tmp_path / "missing")


@pytest.mark.usefixtures("always")
def test_an_image_in_huge_pages_is_the_image(tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(os.urandom(LEAST_BYTES))
    (tmp_path / "index.html").write_bytes(b"small")
    fd, _ = compile_to_memfd(tmp_path)
    with open_image(fd) as plain, open_image(fd, huge=True) as huge:
        assert huge.buffer == plain.buffer
        stored = huge.lookup(b"/")
        assert stored is not None
        assert bytes(stored.body) == b"small"
        del stored
    os.close(fd)
