"""What a site must answer, made in Python from the files and the compiled heads."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from bypass.site.image import SiteImage, StoredResponse
from bypass.site.layout import DATE_BYTES, RESPONSE_CLOSE, ErrorSlot

WALL_S = 1_000_000_000
"""The second in which the clients' exchanges take place."""

MODIFIED_S = WALL_S - 5000
"""When the files were last written."""

SIZES = (0, 1, 2, 63, 64, 65, 127, 128, 129, 191, 192, 193, 1000, 1200, 1460, 2920, 4096, 20011, 70001)


def content(size: int) -> bytes:
    """Octets whose sums differ at every place; 0xff runs among them."""
    return bytes((i * i * 31 + i // 7 + size) & 0xFF if i // 50 % 5 else 0xFF for i in range(size))


def files() -> dict[str, bytes]:
    site = {f"sizes/{size}.bin": content(size) for size in SIZES}
    site |= {
        "index.html": b"<!doctype html><title>home</title>" + b"x" * 900,
        "small.txt": b"small\n",
        "docs/index.html": b"<!doctype html><title>docs</title>",
        "a name.txt": b"with a space",
        "deep/er/est/leaf.css": b"*{margin:0}",
        "caf\u00e9.txt": b"coffee",
    }
    return site


@dataclass(frozen=True)
class Site:
    root: Path
    image: SiteImage

    def response(
        self, path: bytes, *, head_only: bool = False, connection: str = "", second: int = WALL_S
    ) -> bytes:
        """The response for a normalised path; `connection` is what its Connection field says."""
        stored = self.image.lookup(path)
        assert stored is not None, path
        return compose(stored, head_only=head_only, connection=connection, second=second)

    def error(
        self, status: int, *, head_only: bool = False, connection: str = "", second: int = WALL_S
    ) -> bytes:
        stored = self.image.error(ErrorSlot[f"ERROR_{status}"])
        assert stored.status == status
        return compose(stored, head_only=head_only, connection=connection, second=second)


def compose(stored: StoredResponse, *, head_only: bool, connection: str, second: int) -> bytes:
    head = bytearray(stored.head)
    start = stored.record.date_offset
    assert bytes(head[start : start + DATE_BYTES]) == bytes(DATE_BYTES)
    head[start : start + DATE_BYTES] = formatdate(second, usegmt=True).encode()
    if stored.record.flags & RESPONSE_CLOSE:
        connection = "close"
    if connection:
        head += f"Connection: {connection}\r\n".encode()
    return bytes(head) + b"\r\n" + (b"" if head_only else bytes(stored.body))
