"""The site that is served to hostile clients: one of everything that an answer can depend on."""

from __future__ import annotations

from collections.abc import Mapping

from bypass.site.errorpages import redirect
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
    named = Host(("h.example", "*.h.example"), False, {b"/": resources[b"/"]})
    return Site((default, named), files=len(files))


def _page(name: bytes, content: bytes) -> Resource:
    return Resource((Representation(content),), content_type(name), modified=1_000_000)


def _error(status: int) -> Resource:
    return Resource((Representation(b"%d" % status * 90),), "text/html", status)
