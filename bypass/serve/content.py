"""The site to serve: an image copied, or a folder compiled, into memory that nobody else can change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bypass.site.compile import Progress
from bypass.site.image import SiteImage, is_image, open_image
from bypass.site.output import compile_to_memfd, copy_to_memfd


def load_site(path: Path, max_bytes: int | None, progress: Progress | None = None) -> SiteImage:
    """A checked, mapped image; the caller closes it. max_bytes: largest one to compile, None: half of
    the memory available.

    Raises SiteError: missing, empty, unreadable, too large.
    """
    return _copied(path, max_bytes) if is_image(path) else _compiled(path, max_bytes, progress)


@contextmanager
def open_site(path: Path, max_bytes: int | None, progress: Progress | None = None) -> Iterator[SiteImage]:
    """load_site(), closed on exit."""
    image = load_site(path, max_bytes, progress)
    try:
        yield image
    finally:
        # What an engine still maps goes away with the engine.
        with suppress(BufferError):
            image.close()


def _copied(image: Path, max_bytes: int | None) -> SiteImage:
    fd = copy_to_memfd(image, max_bytes=max_bytes)
    try:
        return open_image(fd, str(image))
    finally:
        os.close(fd)


def _compiled(root: Path, max_bytes: int | None, progress: Progress | None) -> SiteImage:
    fd, _ = compile_to_memfd(root, max_bytes=max_bytes, progress=progress)
    try:
        return open_image(fd)
    finally:
        os.close(fd)
