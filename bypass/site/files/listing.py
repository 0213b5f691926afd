"""Listings of folders: a page for people, JSON for programs.

The page needs nothing from elsewhere, sorts itself where scripts run, reads well in the dark and without
eyes, and is readable without any script. Names are escaped for where they stand. Its style and script are
allowed by digest, so that a strict Content-Security-Policy can stay.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from bypass.site.heads import encode_path
from bypass.site.text import format_bytes, printable


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. name: its last component as raw octets, without a slash. modified: seconds since 1970."""

    name: bytes
    is_folder: bool
    size: int = 0
    modified: int = 0


def html_listing(folder: bytes, entries: Iterable[Entry]) -> bytes:
    """The page for the folder at the absolute URL path `folder`, which ends with a slash."""
    title = html.escape(printable(folder))
    listed = ordered(entries)
    rows = [_row(entry) for entry in listed]
    if folder != b"/":
        rows.insert(0, _PARENT)
    files = sum(not entry.is_folder for entry in listed)
    total = sum(entry.size for entry in listed)
    folders = len(listed) - files
    summary = f"{_counted(folders, 'folder')}, {_counted(files, 'file')}, {format_bytes(total)}"
    return _PAGE.format(
        title=title,
        crumbs=_crumbs(folder),
        rows="\n".join(rows),
        summary=summary,
        style=_STYLE,
        script=_SCRIPT,
    ).encode("utf-8")


def json_listing(folder: bytes, entries: Iterable[Entry]) -> bytes:
    """The same for programs. url is percent-encoded; a name that is not UTF-8 has backslash escapes."""
    listed = [
        {
            "name": entry.name.decode("utf-8", "backslashreplace"),
            "url": encode_path(folder + entry.name) + ("/" if entry.is_folder else ""),
            "type": "folder" if entry.is_folder else "file",
            **({} if entry.is_folder else {"size": entry.size, "modified": _stamp(entry.modified)}),
        }
        for entry in ordered(entries)
    ]
    page = {"path": encode_path(folder), "entries": listed}
    return json.dumps(page, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Folders first, then by name as people sort; the octets decide between equals."""
    return sorted(entries, key=lambda entry: (not entry.is_folder, entry.name.lower(), entry.name))


def content_security_policy() -> str:
    """What the page needs and no more."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(_STYLE)}'; script-src '{_digest(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _row(entry: Entry) -> str:
    # "./" before the name: a name with a colon is no scheme (RFC 3986 4.2).
    link = html.escape("./" + encode_path(entry.name) + ("/" if entry.is_folder else ""))
    name = html.escape(printable(entry.name))
    if entry.is_folder:
        return (
            f'<tr data-f="0"><th scope="row"><a class="d" href="{link}">{name}/</a></th>'
            '<td data-v="-1"><span class="q">folder</span></td><td data-v="0"></td></tr>'
        )
    stamp = _stamp(entry.modified)
    when = f'<time datetime="{stamp}">{stamp[:10]} {stamp[11:16]}</time>' if entry.modified else ""
    return (
        f'<tr data-f="1"><th scope="row"><a href="{link}">{name}</a></th>'
        f'<td data-v="{entry.size}" title="{entry.size:,} bytes">{format_bytes(entry.size)}</td>'
        f'<td data-v="{entry.modified}">{when}</td></tr>'
    )


def _crumbs(folder: bytes) -> str:
    """The way from the root, each step a link but for the last."""
    steps = [(b"/", "Home")]
    path = b"/"
    for name in folder.strip(b"/").split(b"/"):
        if name:
            path += name + b"/"
            steps.append((path, printable(name)))
    *before, (_, last) = steps
    links = [
        f'<li><a href="{html.escape(encode_path(path))}">{html.escape(name)}</a></li>'
        for path, name in before
    ]
    return "".join([*links, f'<li aria-current="page">{html.escape(last)}</li>'])


def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asset(name: str) -> str:
    return resources.files("bypass").joinpath("data", "listing", name).read_text(encoding="utf-8")


_PAGE = _asset("page.html")
_STYLE = _asset("style.css")
_SCRIPT = _asset("sort.js")
_PARENT = '<tr class="up"><th scope="row"><a class="d" href="../">../</a></th><td></td><td></td></tr>'
