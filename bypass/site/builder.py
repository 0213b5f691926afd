"""Builds the image of one site, the first time and every time after: what has not changed costs a stat.

Three ways, the quickest that will do: where only contents of some files changed, the last image is patched
(patch.py); else everything is described and compiled anew, and what is known of unchanged files is taken from
the last time (files/recall.py). All of them give the same octets.
"""

from __future__ import annotations

import hashlib
import mmap
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from bypass.site.compile import Progress, SiteSummary, compile_description
from bypass.site.describe import NOTHING_SET, Place, describe, places_of, rules_stamp, scan_place
from bypass.site.files.areas import secret_files
from bypass.site.files.compress import SUFFIXES, compress
from bypass.site.files.recall import UNSETTLED, FileFacts, Memory, Recall, Variant, settled_stamp
from bypass.site.limits import default_limit_bytes
from bypass.site.patch import MOST_CHANGES, CannotPatch, Change, Patched, patch
from bypass.site.resource import Coding
from bypass.site.rules.settings import SiteConfig
from bypass.site.scan import Asset, Scan
from bypass.site.source import read_small


class SiteBuilder:
    """One site. memory, image: of an image made earlier, by another process."""

    def __init__(
        self,
        root: Path | None,
        *,
        max_bytes: int | None = None,
        threads: int = 0,
        memory: Memory | None = None,
        image: memoryview | None = None,
        large_bytes: int = 0,
    ) -> None:
        """root: None where the hosts of the configuration are all. threads: that compress, 0: one a CPU.
        large_bytes: files of so much and more stay where they are (SiteSummary.large), 0: none."""
        self._root = root
        self._large_bytes = large_bytes
        self._max_bytes = max_bytes
        self._threads = threads
        self._memory = memory
        self._image = image
        self._mapped: mmap.mmap | None = None
        self._config: SiteConfig | None = None
        self._rules: tuple[object, ...] = ()
        self._left_out: set[tuple[int, int]] = set()
        self._scans: list[Scan] = []
        self._summary: SiteSummary | None = None
        self.patched = False

    @property
    def image(self) -> memoryview | None:
        """The image made last."""
        return self._image

    @property
    def memory(self) -> Memory:
        """What is known of the image made last."""
        return self._memory or Memory()

    def distrust(self, files: Collection[tuple[int, int]]) -> None:
        """Has files, by (device, inode), read anew the next time, whatever their times say."""
        facts, unsettled = self.memory.facts, self.memory.unsettled
        for asset in (asset for found in self._scans for asset in found.assets):
            if (asset.device, asset.inode) in files and asset.path in facts:
                facts[asset.path] = UNSETTLED, facts[asset.path][1]
                unsettled.add(asset.path)

    def build(
        self,
        fd: int,
        config: SiteConfig = NOTHING_SET,
        *,
        progress: Progress | None = None,
        exclude: Collection[tuple[int, int]] = (),
    ) -> SiteSummary:
        """Writes the image into `fd`, a regular file or memfd that nobody changes afterwards.

        exclude: (device, inode) of files to leave out. Raises SiteError, and then what was known stays known.
        """
        started, now_ns = time.monotonic(), time.time_ns()
        places = places_of(self._root, config)
        rules = rules_stamp(places, config.folder)
        left_out = {*exclude, *secret_files((place.settings for place in places), config)}
        same = (config, rules, left_out) == (self._config, self._rules, self._left_out)
        last = self._scans if same else [None] * len(places)
        scans = [scan_place(place, left_out, old) for place, old in zip(places, last, strict=True)]
        try:
            if not same:
                raise CannotPatch
            summary = self._patch(fd, places, scans, now_ns)
            self.patched = True
        except CannotPatch:
            summary = self._compile(fd, config, places, scans, now_ns, progress)
            self.patched = False
        self._config, self._rules, self._left_out, self._scans = config, rules, left_out, scans
        summary = replace(summary, seconds=time.monotonic() - started)
        self._summary = summary
        self._hold(fd)
        return summary

    def _compile(
        self,
        fd: int,
        config: SiteConfig,
        places: list[Place],
        scans: list[Scan],
        now_ns: int,
        progress: Progress | None,
    ) -> SiteSummary:
        recall = Recall(self._memory, self._image, self._large_bytes)
        step = progress or (lambda _, __: None)
        site, account = describe(
            places,
            scans,
            folder=config.folder,
            recall=recall,
            step=step,
            threads=self._threads,
            now_s=now_ns // 10**9,
        )
        name = str(self._root) if self._root is not None else "site"
        summary = compile_description(
            site, fd, name=name, max_bytes=self._max_bytes, progress=progress, recall=recall
        )
        self._memory = recall.remember(scans, now_ns)
        return replace(summary, account=account)

    def _hold(self, fd: int) -> None:
        """Keeps the image at hand for the next time. The one before goes with its last view."""
        self._image = None
        if self._mapped is not None:
            with suppress(BufferError):
                self._mapped.close()
        self._mapped = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        self._image = memoryview(self._mapped)

    # ---- only contents changed ----

    def _patch(self, fd: int, places: list[Place], scans: list[Scan], now_ns: int) -> SiteSummary:
        last, image = self._memory, self._image
        if last is None or image is None or self._summary is None:
            raise CannotPatch
        changed = _changed(self._scans, scans, last.unsettled)
        if any(places[number].settings.listing for number, _ in changed):
            raise CannotPatch  # sizes and times stand in pages
        facts: dict[bytes, FileFacts] = {}
        changes: list[Change] = []
        for number, asset in changed:
            facts[asset.path] = self._change(asset, places[number], last, changes, now_ns)
        self._check_size(image, changes)
        patched = patch(image, changes, fd)
        summary = self._summary
        self._memory = _moved(last, patched, changes, facts, [asset for _, asset in changed], now_ns)
        grown = sum(len(change.content) - change.size for change in changes)
        return replace(summary, body_bytes=summary.body_bytes + grown, image_bytes=patched.image_bytes)

    def _check_size(self, image: memoryview, changes: list[Change]) -> None:
        limit = default_limit_bytes() if self._max_bytes is None else self._max_bytes
        if len(image) + sum(2 * len(change.content) for change in changes) > limit:
            raise CannotPatch  # the compiler says so in words

    def _change(
        self, asset: Asset, place: Place, last: Memory, changes: list[Change], now_ns: int
    ) -> FileFacts:
        """Adds what has to change for one file: its body, and those of its variants."""
        known = last.facts.get(asset.path)
        dot = asset.url.rfind(b".")
        beside = [asset.path + suffix for suffix in SUFFIXES if asset.path + suffix in last.facts]
        if known is None or beside or known[1].refused or asset.url[dot:] in SUFFIXES:
            raise CannotPatch
        if known[1].digest in last.outside or 0 < self._large_bytes <= asset.size:
            raise CannotPatch
        facts = known[1]
        content = read_small(asset, lambda _: None)
        digest = hashlib.sha256(content).digest()
        modified = asset.mtime_ns // 10**9
        if not 0 < modified <= min(now_ns // 10**9, 2**32 - 1):
            modified = 0
        changes.append(_change_of(last, changes, facts.digest, content, digest, modified))
        variants: dict[Coding, Variant] = {}
        settings = place.settings.compression
        if facts.key and not settings.minimum_bytes <= asset.size <= settings.largest_bytes:
            raise CannotPatch
        if not facts.key and settings.codings:
            raise CannotPatch  # it may have some now
        for coding in settings.codings if facts.key else ():
            packed = compress(coding, content, settings)
            if (packed is None) != (coding not in facts.variants):
                raise CannotPatch  # a variant comes or goes
            if packed is not None:
                packed_digest = hashlib.sha256(packed).digest()
                old = facts.variants[coding].digest
                changes.append(_change_of(last, changes, old, packed, packed_digest, modified))
                variants[coding] = Variant(packed_digest, len(packed))
        return FileFacts(facts.key, digest, variants)


def _changed(old: list[Scan], new: list[Scan], unsettled: Collection[bytes]) -> list[tuple[int, Asset]]:
    """Number of the place, and the file; unsettled ones too. CannotPatch where files came or went."""
    changed: list[tuple[int, Asset]] = []
    if len(old) != len(new):
        raise CannotPatch
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        if after.changed is None:
            raise CannotPatch
        places = set(after.changed)
        if unsettled:
            places.update(place for place, asset in enumerate(after.assets) if asset.path in unsettled)
        if len(changed) + len(places) > MOST_CHANGES:
            raise CannotPatch
        for place in sorted(places):
            if before.assets[place].path != after.assets[place].path:
                raise CannotPatch
            changed.append((number, after.assets[place]))
    return changed


def _change_of(
    last: Memory, changes: list[Change], old: bytes, content: bytes, digest: bytes, modified: int
) -> Change:
    """CannotPatch for a body that is, or becomes, another's as well."""
    if old in last.shared or old not in last.bodies:
        raise CannotPatch
    if (digest != old and digest in last.bodies) or any(change.digest == digest for change in changes):
        raise CannotPatch
    offset, size = last.bodies[old]
    return Change(offset, size, content, digest, modified, old)


def _moved(
    last: Memory,
    patched: Patched,
    changes: list[Change],
    facts: dict[bytes, FileFacts],
    assets: list[Asset],
    now_ns: int,
) -> Memory:
    """The memory of the patched image."""
    if patched.is_in_place:
        bodies = dict(last.bodies)
    else:
        offsets = patched.places_of([offset for offset, _ in last.bodies.values()])
        sizes = [size for _, size in last.bodies.values()]
        bodies = dict(zip(last.bodies, zip(offsets, sizes, strict=True), strict=True))
    for change in changes:
        place, _ = bodies.pop(change.old)
        bodies[change.digest] = place, len(change.content)
    known, unsettled = dict(last.facts), last.unsettled.copy()
    for asset in assets:
        seen = settled_stamp(asset, now_ns)
        known[asset.path] = seen, facts[asset.path]
        (unsettled.add if seen is UNSETTLED else unsettled.discard)(asset.path)
    return Memory(known, bodies, last.shared, unsettled, last.outside)


def compile_site(root: Path, output: BinaryIO, *, max_bytes: int | None = None) -> SiteSummary:
    """Compiles the folder `root` once, without settings, into a file open for reading and writing."""
    return SiteBuilder(root, max_bytes=max_bytes).build(output.fileno())
