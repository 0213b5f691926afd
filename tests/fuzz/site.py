"""The site that is served to hostile clients: one of everything that an answer can depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bypass.site.errorpages import redirect
from bypass.site.heads import etag
from bypass.site.mime import content_type
from bypass.site.resource import (
    Area,
    CorsPolicy,
    Host,
    Representation,
    RequestRule,
    Resource,
    Site,
    Wild,
    area_salt,
    credential_digest,
)

_STAR, _NAME = Wild("splat", star=True), Wild("name")
_SALT = area_salt("", b"/in/", "fuzz")


def describe_files(files: Mapping[str, bytes]) -> Site:
    """Two hosts: the default one with rules, an area, policies and pages, and one by name without."""
    resources = {b"/" + name.encode(): _page(name.encode(), content) for name, content in files.items()}
    resources[b"/"] = resources[b"/index.html"]
    resources[b"/sub/"] = resources[b"/sub/index.html"]
    resources[b"/sub"] = redirect("/sub/")
    resources[b"/forms"] = Resource(
        (
            Representation(b"plain" * 300),
            Representation(b"gz" * 300, "gzip"),
            Representation(b"b" * 500, "br"),
        ),
        "text/html",
        modified=1,
    )
    resources[b"/packed"] = Resource((Representation(b"gz" * 900, "gzip"),), "text/plain")
    resources[b"/in/x"] = _page(b"x", b"inside" * 40)
    default = Host(
        resources=resources,
        rules=(
            RequestRule((b"/old/", _STAR), ("/new/", _STAR), 301),
            RequestRule(
                (b"/u/", _NAME, b".html"), ("https://a.example/", _NAME), 302, query=(("q", Wild("v")),)
            ),
            RequestRule((b"/sub/deep/", _STAR), ("/", _STAR), 200, forced=True),
            RequestRule((b"/gone/", _STAR), ("/index.html",), 410),
        ),
        errors={(404, b"/"): _error(404), (404, b"/sub/deep/"): _error(404), (412, b"/"): _error(412)},
        areas=(Area(b"/in/", "fuzz", _SALT, (credential_digest(_SALT, "u", "p"),)),),
        cors=(CorsPolicy(b"/sub/", ("*",)), CorsPolicy(b"/in/", ("https://a.example",), credentials=True)),
    )
    named = Host(
        ("h.example", "*.h.example"),
        False,
        {b"/": resources[b"/"], b"/only": _page(b"only", b"of the named host" * 30)},
        cors=(CorsPolicy(b"/", ("https://a.example", "https://b.example")),),
    )
    return Site((default, named), files=len(files))


def bodies(site: Site) -> list[bytes]:
    """Every content that a 200 or 206 without Content-Encoding may carry."""
    found = {
        form.source: None
        for host in site.hosts
        for resource in host.resources.values()
        for form in resource.representations
        if resource.status == 200 and form.coding == "" and isinstance(form.source, bytes)
    }
    return list(found)


def tags(site: Site) -> list[str]:
    """Their entity tags."""
    return [etag(hashlib.sha256(body).digest()) for body in bodies(site)]


def _page(name: bytes, content: bytes) -> Resource:
    return Resource((Representation(content),), content_type(name), modified=1_000_000)


def _error(status: int) -> Resource:
    return Resource((Representation(b"%d" % status * 90),), "text/html", status)
