"""What was found out about files last time: digests, which variants they have, and where their octets lie.

An unchanged file costs a stat: its content, its variants and their sums are taken from the image made last
time. A file counts as unchanged when device, inode, size and time of change are the same; one that changed
shortly before it was looked at is not remembered, because a second change might show the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from bypass.site.resource import Coding
from bypass.site.rules.settings import Compression
from bypass.site.scan import Asset

RACY_NS = 2 * 10**9
"""Some file systems count time in steps of two seconds."""

Stamp = tuple[int, int, int, int]


class Variant(msgspec.Struct, frozen=True, gc=False):
    """A compressed form. octets: empty where they lie in the image made last."""

    digest: bytes
    size: int
    octets: bytes = b""


class FileFacts(msgspec.Struct, frozen=True):
    """key: of the settings and neighbours that this holds for. refused: why a compressed file beside it is
    not used."""

    key: bytes
    digest: bytes
    variants: dict[Coding, Variant] = {}
    refused: dict[Coding, str] = {}


class Recall:
    """Facts by path of the file. An empty one remembers nothing."""

    def __init__(
        self,
        facts: dict[bytes, tuple[Stamp, FileFacts]] | None = None,
        image: memoryview | None = None,
        bodies: dict[bytes, tuple[int, int]] | None = None,
    ) -> None:
        """bodies: digest -> offset and size in `image`."""
        self._facts = facts or {}
        self._image = image
        self.bodies = bodies or {}
        self.learned: dict[bytes, tuple[Stamp, FileFacts]] = {}

    def digest_of(self, asset: Asset) -> bytes | None:
        """SHA-256 of an unchanged file whose octets are at hand, None otherwise."""
        known = self._facts.get(asset.path)
        if known is None or known[0] != stamp(asset) or known[1].digest not in self.bodies:
            return None
        return known[1].digest

    def forms_of(self, asset: Asset, key: bytes) -> FileFacts | None:
        known = self._facts.get(asset.path)
        if known is None or known[0] != stamp(asset) or known[1].key != key:
            return None
        at_hand = all(variant.digest in self.bodies for variant in known[1].variants.values())
        return known[1] if at_hand else None

    def octets_of(self, variant: Variant) -> bytes:
        offset, size = self.bodies[variant.digest]
        assert self._image is not None
        return bytes(self._image[offset : offset + size])

    def learn(self, asset: Asset, facts: FileFacts) -> None:
        self.learned[asset.path] = (stamp(asset), facts)

    @staticmethod
    def key(codings: Iterable[Coding], settings: Compression, beside: Iterable[Asset]) -> bytes:
        """What a file's forms depend on besides its content."""
        parts = [
            ",".join(codings),
            f"{settings.minimum_gain} {settings.brotli_level} {settings.zstd_level} {settings.gzip_level}",
            *(f"{asset.path!r} {stamp(asset)}" for asset in beside),
        ]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).digest()


def stamp(asset: Asset) -> Stamp:
    return asset.device, asset.inode, asset.size, asset.mtime_ns
