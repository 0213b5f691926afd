"""A served image in huge pages: with a million files, finding a page's translation costs as much as the page.

Memory that is shared by descriptor has small pages on most machines
(/sys/kernel/mm/transparent_hugepage/shmem_enabled), memory of one process alone has huge ones for the asking.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from bypass.site.limits import available_memory_bytes

HUGE_PAGE_BYTES = 2 << 20
LEAST_BYTES = 4 << 20  # what is smaller stays in the caches, translations too
SHARE_OF_MEMORY = 4  # a copy takes at most this part of what is available
_PART_BYTES = 64 << 20
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def copy_to_huge_pages(fd: int) -> memoryview | None:
    """A read-only copy of all that is in the memory `fd`; None where it does not pay: little, with holes, or
    too much for the memory that is left, or a kernel that gives no huge pages."""
    about = os.fstat(fd)
    size = about.st_size
    if size < LEAST_BYTES or about.st_blocks * 512 < size or not kernel_has_huge_pages():
        return None
    if size > available_memory_bytes() // SHARE_OF_MEMORY:
        return None
    room = -(-size // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    try:
        mapped = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        mapped.madvise(mmap.MADV_HUGEPAGE)
        with memoryview(mapped) as target:
            _fill(fd, target[:size])
        _protect(mapped)
    except OSError:
        return None
    return memoryview(mapped)[:size].toreadonly()


def kernel_has_huge_pages(enabled: Path = _ENABLED) -> bool:
    """Whether anonymous memory gets transparent huge pages when it asks for them."""
    try:
        return "[never]" not in enabled.read_text()
    except OSError:
        return False


def _fill(fd: int, target: memoryview) -> None:
    """By reading, not by assignment: other threads run meanwhile."""
    done = 0
    while done < len(target):
        count = os.preadv(fd, [target[done : done + _PART_BYTES]], done)
        if count == 0:
            raise OSError("the image ended too early")
        done += count


def _protect(mapped: mmap.mmap) -> None:
    """Nobody writes to it from now on: a stray store ends the process, and changes no answer."""
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    if libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(len(mapped)), mmap.PROT_READ) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
