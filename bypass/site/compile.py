"""Compiles a site into an image: one pass over the files, straight into the mapped output.

Nothing of the site is held in memory but its names and heads. Digests and sums are taken of the
octets that lie in the image, not of what was read. The header is written last, so that an image
whose making was interrupted is never taken for one.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from bypass._engine import body_sums, folded_sum, image_checksum
from bypass.errors import SiteError
from bypass.site.describe import Account
from bypass.site.files.recall import Recall
from bypass.site.heads import make_own
from bypass.site.hosts import Tables, make_tables
from bypass.site.layout import RECORD, RESPONSE, RESPONSE_LARGE, aligned, sums_of
from bypass.site.limits import default_limit_bytes
from bypass.site.outside import LargeFile
from bypass.site.place import Places, find_places
from bypass.site.plan import Body, Plan, Planner, assets, reread_bytes
from bypass.site.resource import Site
from bypass.site.scan import Asset
from bypass.site.sections import HEADER, Header
from bypass.site.skipped import Skipped
from bypass.site.source import WINDOW_BYTES, Tick, changed, read_into
from bypass.site.text import format_bytes, printable

Progress = Callable[[int, int], None]
"""Called with (done_bytes, total_bytes) while files are read."""

_OVERHEAD_PER_FILE = 512  # slot, record, head and padding of a file, roughly
_BIGGEST_SHOWN = 3
_LARGEST_BYTES = WINDOW_BYTES << 32  # windows are numbered in 32 bits (content/window.pxd)


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """What an image holds. body_bytes: of all bodies as stored, equal ones once; deduplicated_bytes:
    what storing them once saved; seconds: how long compiling took; large: files that are not in it."""

    files: int
    responses: int
    body_bytes: int
    image_bytes: int
    deduplicated_bytes: int
    seconds: float
    hosts: int = 1
    large: tuple[LargeFile, ...] = ()
    account: Account = field(default_factory=Account)

    @property
    def skipped(self) -> Skipped:
        return self.account.skipped


def compile_description(
    site: Site,
    output: BinaryIO | int,
    *,
    name: str,
    max_bytes: int | None = None,
    progress: Progress | None = None,
    recall: Recall | None = None,
) -> SiteSummary:
    """Compiles `site` into `output`, a regular file or memfd open for reading and writing.

    The output is overwritten from its start. name: what errors call the site. max_bytes: largest image
    allowed (default: half of the memory available). recall: octets that need not be read from files; it
    learns where they are now, and says which files stay out of the image. Raises SiteError.
    """
    started = time.monotonic()
    limit_bytes = default_limit_bytes() if max_bytes is None else max_bytes
    files = list(assets(site).values())
    recall = recall or Recall()
    inside = [asset for asset in files if not recall.is_large(asset)]
    for asset in files:
        if asset.size > _LARGEST_BYTES:
            raise _too_large(asset)
    _check_size(name, inside, sum(map(_estimate_bytes, inside)), limit_bytes)
    tick = _ticker(progress, reread_bytes(site) + sum(asset.size for asset in files))
    planner = Planner(site, tick, recall)
    tables = make_tables(site, planner)
    plan = planner.plan
    tick(plan.deduplicated_bytes)
    places = find_places(plan, tables)
    _check_size(name, inside, places.sections.image_bytes, limit_bytes)
    fd = output if isinstance(output, int) else output.fileno()
    _allocate(fd, places.sections.image_bytes)
    digests = _write(fd, plan, tables, places, site.files, tick, recall)
    large = _settle(recall, planner, places, digests)
    return SiteSummary(
        files=site.files,
        responses=len(plan.responses),
        body_bytes=plan.body_bytes,
        image_bytes=places.sections.image_bytes,
        deduplicated_bytes=plan.deduplicated_bytes,
        seconds=time.monotonic() - started,
        hosts=len(site.hosts),
        large=large,
    )


def _settle(recall: Recall, planner: Planner, places: Places, digests: list[bytes]) -> tuple[LargeFile, ...]:
    """Has it remember where everything is. Returns the large files."""
    inside: dict[bytes, tuple[int, int]] = {}
    outside: dict[bytes, bytes] = {}
    large = []
    for body, place, digest in zip(planner.plan.bodies, places.bodies, digests, strict=True):
        if not body.is_large:
            inside[digest] = place, body.size
            continue
        source, checks = body.source, recall.checks_of(digest)
        assert isinstance(source, Asset) and checks is not None
        outside[digest] = checks
        large.append(
            LargeFile(source.path, source.device, source.inode, source.size, source.mtime_ns, checks)
        )
    by_file = {identity: digests[number] for identity, number in planner.by_file.items()}
    recall.settle(inside, by_file, {digests[number] for number in planner.shared}, outside)
    return tuple(large)


def _ticker(progress: Progress | None, total_bytes: int) -> Tick:
    done_bytes = 0

    def tick(count: int) -> None:
        nonlocal done_bytes
        done_bytes += count
        if progress is not None:
            progress(done_bytes, total_bytes)

    return tick


def _too_large(asset: Asset) -> SiteError:
    """Before it is read: a sparse file costs nothing, and reading it years."""
    return SiteError(
        f"{printable(asset.path)}: {format_bytes(asset.size)} are too much for one file",
        why=f"the most is {format_bytes(_LARGEST_BYTES)}",
        remedy="Take it out of the site.",
    )


def _estimate_bytes(asset: Asset) -> int:
    """What a file adds to the image, by its size alone; equal files count each time."""
    return aligned(asset.size) + 2 * sums_of(asset.size) + 2 * len(asset.url) + _OVERHEAD_PER_FILE


def _check_size(name: str, files: list[Asset], needed: int, max_bytes: int) -> None:
    if needed <= max_bytes:
        return
    biggest = sorted(files, key=lambda asset: (-asset.size, asset.url))[:_BIGGEST_SHOWN]
    named = ", ".join(f"{printable(asset.url)} ({format_bytes(asset.size)})" for asset in biggest)
    raise SiteError(
        f"{name}: the site needs {format_bytes(needed)}, allowed are {format_bytes(max_bytes)}",
        why=f"{len(files)} files, the biggest: {named}",
        remedy="Allow more with --max-memory, or take big files out of the site.",
    )


def _allocate(fd: int, image_bytes: int) -> None:
    """Gives the output its size and real space: writing to a mapped hole on a full disk would be a signal."""
    try:
        os.ftruncate(fd, 0)
        os.posix_fallocate(fd, 0, image_bytes)
    except OSError as error:
        raise SiteError(
            f"no room for an image of {format_bytes(image_bytes)}",
            why=error.strerror or "cannot be allocated",
            remedy="Choose another place for it, or make room.",
        ) from None


def _write(
    fd: int, plan: Plan, tables: Tables, places: Places, files: int, tick: Tick, recall: Recall
) -> list[bytes]:
    """Returns the digests of all bodies."""
    lie = places.sections
    named = bool(tables.names)
    slots_of_names = places.indexes[-1].slots_count if named else 0
    header = Header(
        lie,
        checksum=0,
        max_probe=max(index.max_probe for index in places.indexes),
        files=files,
        names_first=lie.slots_count - slots_of_names if named else 0,
        names_count=slots_of_names,
        default_host=tables.default_host,
        errors=tables.errors,
    )
    with mmap.mmap(fd, lie.image_bytes) as mapped, memoryview(mapped) as image:
        digests = [
            _write_body(image, places, number, body, tick, recall) for number, body in enumerate(plan.bodies)
        ]
        _write_responses(image, plan, places, digests)
        _write_tables(image, plan, tables, places)
        checksum = image_checksum(header.pack(), image[HEADER.size :])
        image[: HEADER.size] = replace(header, checksum=checksum).pack()
    return digests


def _write_body(
    image: memoryview, places: Places, number: int, body: Body, tick: Tick, recall: Recall
) -> bytes:
    """Stores one body and its sums; returns its SHA-256."""
    if body.is_large:
        return _look_at_large(body, tick, recall)
    start = places.bodies[number]
    with image[start : start + body.size] as stored:
        kept = recall.kept(body.digest) if isinstance(body.source, Asset) else None
        if kept is not None:
            stored[:] = kept
            tick(body.size)
        elif isinstance(body.source, Asset):
            read_into(body.source, stored, tick)
        else:
            stored[:] = body.source
            if body.is_file:
                tick(body.size)
        digest = hashlib.sha256(stored).digest() if kept is None or body.digest is None else body.digest
        if body.digest is not None and isinstance(body.source, Asset) and body.digest != digest:
            raise changed(body.source)
        if not places.is_near(number):
            start = places.sections.sums_offset + 2 * places.sums_first[number]
            with image[start : start + 2 * sums_of(body.size)] as raw, raw.cast("H") as sums:
                body_sums(stored, sums)
    return digest


def _look_at_large(body: Body, tick: Tick, recall: Recall) -> bytes:
    """The SHA-256 of one that stays in its file, which is read unless all is known of it."""
    assert isinstance(body.source, Asset)
    if body.digest is not None and recall.checks_of(body.digest) is not None:
        tick(body.size)
        return body.digest
    digest = recall.read_digest(body.source, tick)
    if body.digest not in (None, digest):
        raise changed(body.source)
    return digest


def _write_responses(image: memoryview, plan: Plan, places: Places, digests: list[bytes]) -> None:
    lie = places.sections
    for start, front in zip(places.fronts, plan.fronts, strict=True):
        first = lie.heads_offset + start
        image[first : first + len(front.octets)] = front.octets
    lines = [front.line_bytes for front in plan.fronts]
    record = lie.responses_offset
    for response, key in zip(plan.responses, places.keys, strict=True):
        body, number = response.body, response.front
        front = plan.fronts[number]
        own = make_own(response.status, digests[body], response.modified, response.length)
        fields = RECORD.pack(  # in the order of RESPONSE_FIELDS
            places.bodies[body],
            plan.bodies[body].size,
            places.fronts[number],
            places.sums_first[body],
            response.modified,
            response.resource,
            len(front.octets),
            front.date_offset,
            lines[number],
            front.meta_first,
            folded_sum(front.octets + own),
            response.status,
            response.flags | RESPONSE_LARGE * plan.bodies[body].is_large,
            response.coding,
            len(own),
            len(key),
        )
        octets = fields + own + key  # its body is there already
        image[record : record + len(octets)] = octets
        record += RESPONSE.size


def _write_tables(image: memoryview, plan: Plan, tables: Tables, places: Places) -> None:
    parts: dict[str, Iterable[bytes]] = {
        "slots_count": (index.slots for index in places.indexes),
        "paths_bytes": (index.paths for index in places.indexes),
        "hosts_count": (host.pack() for host in tables.hosts),
        "resources_count": (resource.pack() for resource in plan.resources),
        "rules_count": tables.rules,
        "areas_count": tables.areas,
        "policies_count": tables.policies,
        "lines_count": tables.lines,
        "texts_bytes": [bytes(plan.texts)],
    }
    for name, records in parts.items():
        image[places.sections.span(name)] = b"".join(records)
