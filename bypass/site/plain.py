"""A Site out of the files of a folder alone, where nothing is set: each file under its own path."""

from __future__ import annotations

import time

from bypass.site.errorpages import redirect
from bypass.site.heads import encode_path
from bypass.site.mime import content_type
from bypass.site.resource import Host, Representation, Resource, Site
from bypass.site.scan import Asset, Scan

INDEX_NAMES = (b"index.html", b"index.htm")
"""Names that also answer for their folder, the preferred one first."""


def describe(found: Scan) -> Site:
    """One host for every name, all files of `found`."""
    resources = {asset.url: file_resource(asset) for asset in found.assets}
    add_folders(resources)
    return Site((Host(resources=resources),), files=len(found.assets))


def file_resource(asset: Asset) -> Resource:
    return Resource((Representation(asset),), content_type(asset.url), modified=modified_second(asset))


def modified_second(asset: Asset) -> int:
    """The file's time in seconds, 0 for one that cannot be said or lies ahead (RFC 9110 8.8.2.1)."""
    second = asset.mtime_ns // 10**9
    return second if 0 < second <= min(time.time(), 2**32 - 1) else 0


def add_folders(resources: dict[bytes, Resource]) -> None:
    """Gives each folder with an index its two paths: "/docs/" answers it, "/docs" leads there."""
    for name in reversed(INDEX_NAMES):  # the preferred name comes last and overwrites
        suffix = b"/" + name
        for url in [url for url in resources if url.endswith(suffix)]:
            resources[url.removesuffix(name)] = resources[url]
    for url in sorted(url for url in resources if url.endswith(b"/") and url != b"/"):
        resources[url[:-1]] = redirect(encode_path(url))
