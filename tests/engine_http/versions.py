"""Sites that differ in every octet of every body, so that a response made of two of them is seen."""

from __future__ import annotations

import re
from pathlib import Path

from bypass.site.image import SiteImage, open_image
from bypass.site.output import build_image_file

BIG_BYTES = 200_000
_MARK = re.compile(rb"<v(\d{4})>")


def body(version: int, octets: int) -> bytes:
    """Of one version alone: its mark again and again."""
    mark = b"<v%04d>" % version
    return (mark * (octets // len(mark) + 1))[:octets]


def write_version(folder: Path, version: int) -> None:
    """The same names in every version; sizes differ, too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "big.bin").write_bytes(body(version, BIG_BYTES + 7 * version))
    (folder / "small.txt").write_bytes(body(version, 70 + version))
    (folder / "index.html").write_bytes(body(version, 700 + version))


def image_of(folder: Path, version: int) -> SiteImage:
    write_version(folder / str(version), version)
    build_image_file(folder / str(version), folder / f"{version}.img")
    return open_image(folder / f"{version}.img")


def version_of(content: bytes) -> int:
    """Of a whole body; AssertionError when it is of none, or of several."""
    found = _MARK.search(content)
    assert found, content[:50]
    assert content == body(int(found[1]), len(content)), "made of two versions"
    return int(found[1])
