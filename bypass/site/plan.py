"""From a Site to what its image is made of: bodies, responses, resources. Everything but the octets.

Equal contents share one body, and one response where everything else about them is equal too. Only
files of equal size can be equal, so only those are read here; the rest are read when they are written.
bypass/site/hosts.py goes on with what each host consists of.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bypass.errors import SiteError
from bypass.site.errorpages import Page, bare_redirect
from bypass.site.files.recall import Recall
from bypass.site.heads import REASONS, Front, divide_fields, make_front
from bypass.site.layout import CODINGS, NONE, RESPONSE_CARE, RESPONSE_CLOSE, ResourceRecord
from bypass.site.resource import Representation, Resource, Site
from bypass.site.scan import Asset
from bypass.site.source import Tick, read_small
from bypass.site.text import printable

_HELD_BYTES = 256 << 20
"""So much of files that were read to find equal ones is kept until it is written, the rest is read again."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Body:
    """Octets to be stored once. digest: SHA-256 where it is known already, to be held to. is_file: whether a
    file is behind them, even where they were read already. is_large: they stay in that file."""

    source: Asset | bytes
    size: int
    digest: bytes | None = None
    is_file: bool = False
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """front, body: their numbers in the plan. length: Content-Length, None without content. modified:
    Last-Modified, seconds since 1970, 0 without one. resource: number of what has more to say about it."""

    status: int
    flags: int
    front: int
    body: int
    length: int | None
    modified: int = 0
    coding: int = 0
    resource: int = NONE


@dataclass(slots=True)
class Plan:
    """What is said about contents, by number. The first responses are those of ErrorSlot."""

    fronts: list[Front] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    resources: list[ResourceRecord] = field(default_factory=list)
    texts: bytearray = field(default_factory=bytearray)
    deduplicated_bytes: int = 0

    @property
    def body_bytes(self) -> int:
        return sum(body.size for body in self.bodies)

    def add_text(self, octets: bytes) -> int:
        """Where it lies within the texts section."""
        self.texts += octets
        return len(self.texts) - len(octets)


def representations(site: Site) -> Iterable[Representation]:
    """All of a site, those that several paths share each time."""
    for host in site.hosts:
        for resource in (*host.resources.values(), *host.errors.values()):
            yield from resource.representations


def assets(site: Site) -> dict[tuple[int, int], Asset]:
    """Every file of the site once, by device and inode."""
    found = (each.source for each in representations(site) if isinstance(each.source, Asset))
    return {(asset.device, asset.inode): asset for asset in found}


def reread_bytes(site: Site) -> int:
    """How many octets are read to find equal files."""
    sizes = Counter(asset.size for asset in assets(site).values())
    return sum(size * count for size, count in sizes.items() if count > 1)


class Planner:
    """Adds to a plan, each thing once. recall: knows which files are large, and digests.

    by_file: number of the body of each file, by device and inode. shared: numbers of bodies that come from
    more than one source."""

    def __init__(self, site: Site, tick: Tick, recall: Recall) -> None:
        self.plan = Plan()
        self._recall = recall
        self._tick = tick
        self._sizes = Counter(asset.size for asset in assets(site).values())
        self._sizes.update(
            len(each.source) for each in representations(site) if isinstance(each.source, bytes)
        )
        self._room_bytes = _HELD_BYTES
        self.by_file: dict[tuple[int, int], int] = {}
        self.shared: set[int] = set()
        self._owners: dict[int, int] = {}
        self._by_digest: dict[bytes, int] = {}
        self._by_meaning: dict[tuple[object, ...], int] = {}
        self._fronts: dict[Front, int] = {}
        self._front_of: dict[tuple[object, ...], int] = {}
        self._bare: dict[tuple[object, ...], int] = {}

    def page(self, page: Page) -> int:
        """A response of our own; its number."""
        body = self._body(Representation(page.body))
        flags = RESPONSE_CLOSE if page.closes else 0
        return self._respond(Response(page.status, flags, self._front(page.front), body, page.length))

    def resource(self, resource: Resource, where: bytes, *, area: int = NONE, closes: bool = False) -> int:
        """The number of a resource's first response. where: its path, for errors."""
        check_resource(resource, where)
        bodies = tuple(self._body(each) for each in resource.representations)
        codings = tuple(each.coding for each in resource.representations)
        key = (
            bodies,
            codings,
            resource.content_type,
            resource.status,
            resource.modified,
            resource.fields,
            resource.location,
            resource.keeps_query,
            area,
            closes,
        )
        number = self._by_meaning.get(key)
        if number is None:
            number = self._by_meaning[key] = self._add(resource, bodies, area, RESPONSE_CLOSE * closes)
        return number

    def bare(self, status: int, fields: tuple[tuple[str, str], ...] = ()) -> int:
        """The response of a redirect whose Location is made when it is asked for."""
        key = (status, fields)
        if key not in self._bare:
            self._bare[key] = self.page(bare_redirect(status, fields))
        return self._bare[key]

    def _add(self, resource: Resource, bodies: tuple[int, ...], area: int, flags: int) -> int:
        codings = [each.coding for each in resource.representations]
        queries = resource.location != "" and resource.keeps_query
        bare = self.bare(resource.status, resource.fields) if queries else NONE
        first, own = len(self.plan.responses), NONE
        if codings != [""] or area != NONE or queries:
            location = resource.location.encode("ascii") if queries else b""
            own = len(self.plan.resources)
            self.plan.resources.append(
                ResourceRecord(first, len(bodies), area, bare, self.plan.add_text(location), len(location))
            )
            flags |= RESPONSE_CARE
        modified = resource.modified if resource.status == 200 else 0
        for coding, body in zip(codings, bodies, strict=True):
            front = self._front_for(resource, coding, negotiated=codings != [""])
            size = self.plan.bodies[body].size
            number = CODINGS.index(coding)
            self._respond(Response(resource.status, flags, front, body, size, modified, number, own))
        return first

    def _front_for(self, resource: Resource, coding: str, *, negotiated: bool) -> int:
        status, kind, fields = resource.status, resource.content_type, resource.fields
        key = status, kind, fields, resource.location, coding, negotiated
        number = self._front_of.get(key)
        if number is None:
            number = self._front_of[key] = self._front(_front(resource, coding, negotiated=negotiated))
        return number

    def _front(self, front: Front) -> int:
        number = self._fronts.setdefault(front, len(self.plan.fronts))
        if number == len(self.plan.fronts):
            self.plan.fronts.append(front)
        return number

    def _respond(self, response: Response) -> int:
        self.plan.responses.append(response)
        return len(self.plan.responses) - 1

    def _body(self, representation: Representation) -> int:
        """The number of its body."""
        source = representation.source
        if isinstance(source, bytes):
            known = representation.digest or hashlib.sha256(source).digest()
            same = self._share(Body(source, len(source), known))
            if self._owners.setdefault(same, id(source)) != id(source):
                self.shared.add(same)
            return same
        identity = source.device, source.inode
        number = self.by_file.get(identity)
        if number is None:
            number = self.by_file[identity] = self._file_body(source, representation.digest)
        return number

    def _file_body(self, source: Asset, known: bytes | None) -> int:
        large = self._recall.is_large(source)
        if self._sizes[source.size] == 1:  # nothing else can be equal, known digest or not
            self.plan.bodies.append(Body(source, source.size, known, is_file=True, is_large=large))
            return len(self.plan.bodies) - 1
        kept: Asset | bytes = source
        if known is None and source.size <= self._room_bytes and not large:
            kept = read_small(source, self._tick)
            known = hashlib.sha256(kept).digest()
        known = known or self._recall.read_digest(source, self._tick)
        body = Body(kept, source.size, known, is_file=True, is_large=large)
        shared = body.digest in self._by_digest
        number = self._share(body)
        self._owners[number] = -1
        if shared:
            self.shared.add(number)
            self.plan.deduplicated_bytes += source.size
        elif isinstance(kept, bytes):
            self._room_bytes -= len(kept)
        return number

    def _share(self, body: Body) -> int:
        assert body.digest is not None
        number = self._by_digest.get(body.digest, len(self.plan.bodies))
        if number == len(self.plan.bodies):
            self.plan.bodies.append(body)
            self._by_digest[body.digest] = number
        return number


def _front(resource: Resource, coding: str, *, negotiated: bool) -> Front:
    repeated, others = divide_fields(resource.fields, negotiated)
    describing = [("Content-Encoding", coding)] if coding else []
    if resource.status == 200:
        describing.append(("Accept-Ranges", "bytes"))
    if resource.location:
        describing.append(("Location", resource.location))
    return make_front(resource.status, resource.content_type, describing + others, repeated)


def check_resource(resource: Resource, where: bytes) -> None:
    """SiteError for what a front must not hand over."""
    codings = [each.coding for each in resource.representations]
    if not codings or len(set(codings)) < len(codings) or any(each not in CODINGS for each in codings):
        raise _refused(where, f"its representations have the codings {codings}")
    if "" in codings and codings[0]:
        raise _refused(where, "the identity representation is not the first")
    if resource.status not in REASONS or resource.status < 200 or resource.status in (204, 206, 304):
        raise _refused(where, f"status {resource.status} is no answer for a path")
    if (resource.status in REDIRECTS) != bool(resource.location):
        raise _refused(where, "a redirect has a location, and nothing else has")
    if resource.location and codings != [""]:
        raise _refused(where, "a redirect has one representation, identity")
    if not resource.location.isascii() or any(ord(char) < 33 for char in resource.location):
        raise _refused(where, f"the location {resource.location!r} is not percent-encoded")
    if resource.content_type is None:
        raise _refused(where, "it has no content type")


def _refused(where: bytes, why: str) -> SiteError:
    return SiteError(f"{printable(where)}: cannot be answered", why=why)
