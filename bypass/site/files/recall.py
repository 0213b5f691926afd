"""What was found out about files last time: digests, which variants they have, and where their octets lie.

An unchanged file costs a stat: its content and its variants are taken from the image made last time. A file
counts as unchanged when device, inode, size, mtime and ctime are the same; one that changed shortly before it
was looked at counts as changed the next time, because a second change might show the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from bypass.site.resource import Coding
from bypass.site.rules.settings import Compression
from bypass.site.scan import Asset, Scan
from bypass.site.source import Tick, digest, fingerprint

RACY_NS = 2 * 10**9
"""Some file systems count time in steps of two seconds."""

Stamp = tuple[int, int, int, int, int]
UNSETTLED: Stamp = (0, 0, 0, -1, -1)
"""Of a file that counts as changed next time, whatever it looks like."""


class Variant(msgspec.Struct, frozen=True, gc=False):
    """A compressed form. octets: empty where they lie in the image made last."""

    digest: bytes
    size: int
    octets: bytes = b""


class FileFacts(msgspec.Struct, frozen=True):
    """key: of the settings and neighbours that this holds for, empty for a file that has one form. refused:
    why a compressed file beside it is not used."""

    key: bytes
    digest: bytes
    variants: dict[Coding, Variant] = {}
    refused: dict[Coding, str] = {}


class Memory(msgspec.Struct):
    """facts: by path. bodies: digest -> offset and size in the image. shared: digests of bodies that come
    from more than one source. unsettled: paths of files that count as changed next time. outside: digest ->
    checks of the windows of bodies that are not in the image."""

    facts: dict[bytes, tuple[Stamp, FileFacts]] = {}
    bodies: dict[bytes, tuple[int, int]] = {}
    shared: set[bytes] = set()
    unsettled: set[bytes] = set()
    outside: dict[bytes, bytes] = {}


class Recall:
    """Looks into the memory of the last time, and makes that of this one."""

    def __init__(
        self, last: Memory | None = None, image: memoryview | None = None, large_bytes: int = 0
    ) -> None:
        """image: the one that `last` speaks of. large_bytes: files of so much stay outside, 0: none."""
        self.last = last or Memory()
        self._large_bytes = large_bytes
        self._checks: dict[bytes, bytes] = {}
        self._image = image
        self._learned: dict[bytes, FileFacts] = {}
        self._by_file: dict[tuple[int, int], bytes] = {}
        self.made = Memory()

    def digest_of(self, asset: Asset) -> bytes | None:
        """SHA-256 of an unchanged file whose octets are at hand or not needed, None otherwise."""
        known = self.last.facts.get(asset.path)
        if known is None or known[0] != stamp(asset):
            return None
        found = known[1].digest
        return found if found in (self.last.outside if self.is_large(asset) else self.last.bodies) else None

    def is_large(self, source: Asset | bytes) -> bool:
        """Whether it stays out of the image."""
        return self._large_bytes > 0 and isinstance(source, Asset) and source.size >= self._large_bytes

    def read_digest(self, asset: Asset, tick: Tick) -> bytes:
        """SHA-256 of the file; of a large one the checks are learned on the same way. Raises SiteError."""
        if not self.is_large(asset):
            return digest(asset, tick)
        found, self._checks[found] = fingerprint(asset, tick)
        return found

    def checks_of(self, digest: bytes | None) -> bytes | None:
        """Of a large file's windows, where they are known."""
        if digest is None:
            return None
        return self._checks.get(digest) or self.last.outside.get(digest)

    def forms_of(self, asset: Asset, key: bytes) -> FileFacts | None:
        known = self.last.facts.get(asset.path)
        if known is None or known[0] != stamp(asset) or known[1].key != key:
            return None
        at_hand = all(variant.digest in self.last.bodies for variant in known[1].variants.values())
        return known[1] if at_hand else None

    def octets_of(self, variant: Variant) -> bytes:
        kept = self.kept(variant.digest)
        assert kept is not None
        return bytes(kept)

    def kept(self, digest: bytes | None) -> memoryview | None:
        """The octets with this digest, where the last image has them."""
        place = self.last.bodies.get(digest) if digest is not None else None
        if place is None or self._image is None:
            return None
        return self._image[place[0] : place[0] + place[1]]

    def learn(self, asset: Asset, facts: FileFacts) -> None:
        self._learned[asset.path] = facts

    def settle(
        self,
        bodies: dict[bytes, tuple[int, int]],
        by_file: dict[tuple[int, int], bytes],
        shared: set[bytes],
        outside: dict[bytes, bytes],
    ) -> None:
        """From the compiler: where everything lies in the new image. by_file: (device, inode) -> digest."""
        self.made = Memory(bodies=bodies, shared=shared, outside=outside)
        self._by_file = by_file

    def remember(self, scans: Iterable[Scan], now_ns: int) -> Memory:
        """The memory for the next time. now_ns: when the files were looked at."""
        for found in scans:
            for asset in found.assets:
                digest = self._by_file.get((asset.device, asset.inode))
                if digest is None:
                    continue
                facts = self._learned.get(asset.path)
                plain = FileFacts(b"", digest) if facts is None else _without_octets(facts)
                seen = settled_stamp(asset, now_ns)
                self.made.facts[asset.path] = seen, plain
                if seen is UNSETTLED:
                    self.made.unsettled.add(asset.path)
        return self.made

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
    return asset.device, asset.inode, asset.size, asset.mtime_ns, asset.ctime_ns


def settled_stamp(asset: Asset, now_ns: int) -> Stamp:
    """Tells later whether the file is unchanged; UNSETTLED where a change after `now_ns` may not show."""
    return stamp(asset) if asset.mtime_ns < now_ns - RACY_NS else UNSETTLED


def _without_octets(facts: FileFacts) -> FileFacts:
    if not any(variant.octets for variant in facts.variants.values()):
        return facts
    variants = {coding: Variant(each.digest, each.size) for coding, each in facts.variants.items()}
    return FileFacts(facts.key, facts.digest, variants, facts.refused)
