"""Turns the files of a site into bodies, responses and paths: everything but the octets.

Equal files share one body, and one response where their content types and times are equal too. Only files of
equal size can be equal, so only those are read here; the rest are read once, when they are written.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bypass.site.errorpages import Page, error_page, redirect_page
from bypass.site.heads import ETAG_PLACEHOLDER, Head, http_date, make_head
from bypass.site.layout import RESPONSE_CLOSE, ErrorSlot
from bypass.site.mime import content_type
from bypass.site.scan import Asset, Scan
from bypass.site.source import Tick, digest

INDEX_NAMES = (b"index.html", b"index.htm")
"""Names that also answer for their folder, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Body:
    """Octets to be stored once. digest: SHA-256 where it is known already, to be held to."""

    source: Asset | bytes
    size: int
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """body: its number in the plan. modified: Last-Modified, seconds since 1970, 0 without one."""

    status: int
    flags: int
    head: Head
    body: int
    modified: int = 0


@dataclass(slots=True)
class Plan:
    """What goes into an image. The first responses are those of ErrorSlot, in its order.

    paths: absolute URL path and number of its response, sorted by path.
    """

    bodies: list[Body] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    paths: list[tuple[bytes, int]] = field(default_factory=list)
    files: int = 0
    deduplicated_bytes: int = 0

    @property
    def body_bytes(self) -> int:
        return sum(body.size for body in self.bodies)


def reread_bytes(scan: Scan) -> int:
    """How many octets make_plan() reads to find equal files."""
    sizes = Counter(asset.size for asset in scan.assets)
    return sum(size * count for size, count in sizes.items() if count > 1)


def make_plan(scan: Scan, tick: Tick) -> Plan:
    """Plans the image of `scan`. Raises SiteError when a file cannot be read."""
    plan = Plan(files=len(scan.assets))
    for slot in ErrorSlot:
        _add_page(plan, error_page(slot))
    paths: dict[bytes, int] = {}
    by_type: dict[tuple[int, str, int], int] = {}
    for asset, body in zip(scan.assets, _share_bodies(plan, scan.assets, tick), strict=True):
        media_type = content_type(asset.url)
        key = body, media_type, _modified(asset)
        number = by_type.get(key)
        if number is None:
            number = by_type[key] = _add_file(plan, *key)
        paths[asset.url] = number
    _add_folders(plan, paths)
    plan.paths = sorted(paths.items())
    return plan


def _add_page(plan: Plan, page: Page) -> int:
    plan.bodies.append(Body(page.body, len(page.body)))
    flags = RESPONSE_CLOSE if page.closes else 0
    plan.responses.append(Response(page.status, flags, page.head, len(plan.bodies) - 1))
    return len(plan.responses) - 1


def _modified(asset: Asset) -> int:
    """The file's time in seconds, 0 for one that cannot be said or lies ahead (RFC 9110 8.8.2.1)."""
    second = asset.mtime_ns // 10**9
    return second if 0 < second <= min(time.time(), 2**32 - 1) else 0


def _add_file(plan: Plan, body: int, media_type: str, modified: int) -> int:
    meta = [("ETag", ETAG_PLACEHOLDER)]
    if modified:
        meta.append(("Last-Modified", http_date(modified)))
    head = make_head(200, media_type, plan.bodies[body].size, [("Accept-Ranges", "bytes")], meta)
    plan.responses.append(Response(200, 0, head, body, modified))
    return len(plan.responses) - 1


def _add_folders(plan: Plan, paths: dict[bytes, int]) -> None:
    """Gives each folder with an index its two paths: "/docs/" answers it, "/docs" leads there."""
    for name in reversed(INDEX_NAMES):  # the preferred name comes last and overwrites
        suffix = b"/" + name
        for url in [url for url in paths if url.endswith(suffix)]:
            paths[url.removesuffix(name)] = paths[url]
    for url in sorted(url for url in paths if url.endswith(b"/") and url != b"/"):
        paths[url[:-1]] = _add_page(plan, redirect_page(url))


def _share_bodies(plan: Plan, assets: list[Asset], tick: Tick) -> list[int]:
    """Adds the bodies of all assets to the plan; the number of each asset's body."""
    sizes: defaultdict[int, int] = defaultdict(int)
    for asset in assets:
        sizes[asset.size] += 1
    known: dict[bytes, int] = {}
    numbers = []
    for asset in assets:
        found = digest(asset, tick) if sizes[asset.size] > 1 else None
        number = known.get(found) if found is not None else None
        if number is None:
            plan.bodies.append(Body(asset, asset.size, found))
            number = len(plan.bodies) - 1
            if found is not None:
                known[found] = number
        else:
            plan.deduplicated_bytes += asset.size
        numbers.append(number)
    return numbers
