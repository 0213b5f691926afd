"""The site to serve: an image copied, or a folder compiled, into memory that nobody else can change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bypass.site.compile import Progress
from bypass.site.describe import NOTHING_SET
from bypass.site.image import SiteImage, is_image, open_image
from bypass.site.large import copy_small
from bypass.site.output import compile_to_memfd, copy_to_memfd
from bypass.site.outside import LargeFiles
from bypass.site.rules.settings import SiteConfig


def load_site(
    path: Path | None,
    max_bytes: int | None,
    progress: Progress | None = None,
    config: SiteConfig = NOTHING_SET,
    large_bytes: int = 0,
) -> SiteImage:
    """A checked, mapped image; the caller closes it. path: a folder or an image, None where the hosts of
    `config` are all. max_bytes: largest one to compile, None: half of the memory available. large_bytes:
    bodies of so much and more stay on disk (SiteImage.large), 0: none.

    Raises SiteError: missing, empty, unreadable, too large.
    """
    if path is not None and is_image(path):
        return _copied(path, max_bytes, large_bytes)
    return _compiled(path, max_bytes, progress, config, large_bytes)


@contextmanager
def open_site(
    path: Path | None,
    max_bytes: int | None,
    progress: Progress | None = None,
    config: SiteConfig = NOTHING_SET,
    large_bytes: int = 0,
) -> Iterator[SiteImage]:
    """load_site(), closed on exit."""
    image = load_site(path, max_bytes, progress, config, large_bytes)
    try:
        yield image
    finally:
        # What an engine still maps goes away with the engine.
        with suppress(BufferError):
            image.close()


def _copied(image: Path, max_bytes: int | None, large_bytes: int) -> SiteImage:
    large = None
    if large_bytes:
        fd, large = copy_small(image, large_bytes=large_bytes, max_bytes=max_bytes)
    else:
        fd = copy_to_memfd(image, max_bytes=max_bytes)
    try:
        found = open_image(fd, str(image), made_here=bool(large_bytes), huge=True)
        found.large = large
        return found
    finally:
        os.close(fd)


def _compiled(
    root: Path | None, max_bytes: int | None, progress: Progress | None, config: SiteConfig, large_bytes: int
) -> SiteImage:
    fd, summary = compile_to_memfd(
        root, config=config, max_bytes=max_bytes, progress=progress, large_bytes=large_bytes
    )
    try:
        large = LargeFiles(summary.large) if summary.large else None
        image = open_image(fd, made_here=True, huge=True)
        image.large = large
        return image
    finally:
        os.close(fd)
