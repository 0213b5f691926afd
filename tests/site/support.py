"""What the tests of the site compiler share: writing small sites, and an ordinary user's eyes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bypass.site.image import SiteImage

NOBODY = 65534

SiteMaker = Callable[[Mapping[str, bytes]], Path]
Compiler = Callable[[Path], SiteImage]


def write_site(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Without root's right to read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
