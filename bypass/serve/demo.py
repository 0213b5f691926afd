"""The demonstration: a pair of virtual links, a client in a network namespace, and a proof by comparison.

Owns what is fetched and what it is held against. Serving itself is that of bypass/serve/server.py.
"""

from __future__ import annotations

import http.client
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import quote_from_bytes

from bypass.errors import BypassError, SiteError, UnavailableError
from bypass.serve.fetch import fetch
from bypass.serve.privileges import effective_capabilities, require_capabilities
from bypass.serve.subnet import free_subnets, routed_networks
from bypass.serve.vethpair import VethPair, remove_stale
from bypass.site.image import SiteImage


@dataclass(frozen=True, slots=True)
class Proof:
    """One page that arrived as it lies on disk."""

    url: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The page that is fetched: its URL path, and the octets that it must have."""

    url_path: str
    body: bytes


@contextmanager
def demo_network() -> Iterator[VethPair]:
    """A pair whose networks clash with no route of this machine. Removed on exit, whatever happens."""
    require_capabilities(effective_capabilities(), "bypass demo")
    remove_stale()
    networks = free_subnets(routed_networks(), random.SystemRandom())
    v4, v6 = networks.v4, networks.v6
    assert isinstance(v4, IPv4Network)
    assert isinstance(v6, IPv6Network)
    with VethPair(v4=v4, v6=v6) as pair:
        yield pair


def choose_sample(site: Path, image: SiteImage) -> Sample:
    """The front page if there is one, else the first page by name; from disk where `site` is a folder."""
    found = image.lookup(b"/")
    path = b"/"
    if found is None or found.status != 200:
        pages = sorted(path for path, response in image if response.status == 200)
        if not pages:
            raise SiteError(f"{site}: there is no page to fetch")
        path = pages[0]
        found = image.lookup(path)
    assert found is not None
    on_disk = Path(str(site) + path.decode("utf-8", "surrogateescape"))
    if path == b"/":
        on_disk = site / "index.html"
    body = on_disk.read_bytes() if on_disk.is_file() else bytes(found.body)
    return Sample(quote_from_bytes(path), body)


def prove(pair: VethPair, urls: tuple[str, ...], sample: Sample) -> list[Proof]:
    """Fetches the sample from the client's namespace over every URL. BypassError unless all octets match."""
    assert pair.client.namespace is not None
    return [_prove_one(pair.client.namespace, url.rstrip("/") + sample.url_path, sample) for url in urls]


def _prove_one(namespace: str, url: str, sample: Sample) -> Proof:
    try:
        page = fetch(url, namespace)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{url}: no answer", why=str(error) or type(error).__name__) from error
    if page.status != 200:
        raise BypassError(f"{url}: status {page.status} where 200 was expected")
    if page.body != sample.body:
        raise BypassError(
            f"{url}: the page differs from the file",
            why=f"{len(page.body)} bytes arrived, the file has {len(sample.body)}",
        )
    return Proof(url, len(page.body))
