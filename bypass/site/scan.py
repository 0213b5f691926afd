"""Finds the files of a document root: what is served, under which URL path, and what is left out.

Names are raw octets: a file name need not be UTF-8. The order is that of the URL paths' octets, so
the same folder gives the same list on every machine. Reads no file contents; a file costs one stat. A folder
in which nothing changed since the last scan costs no more than that: what was found in it is taken over.
"""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Literal

import msgspec

from bypass._engine import folder_entries
from bypass.errors import SiteError
from bypass.site.skipped import Skipped
from bypass.site.text import printable

_DOT = ord(".")
_ENTRY = struct.Struct("=QQqqqH")  # of folder_entries()
_URL = attrgetter("url")
_NOTHING = Skipped()
WELL_KNOWN = b".well-known"  # RFC 8615: the one dotted name that is meant to be served


class Asset(msgspec.Struct, frozen=True, gc=False):
    """One regular file to be served.

    url: absolute URL path, not percent-encoded. path: where to open it, symlinks resolved.
    device, inode, mtime_ns, size: what the file was when it was found; source.py holds it to that. ctime_ns:
    when anything about it changed last, which nobody can set.
    """

    url: bytes
    path: bytes
    size: int
    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """What is left out. hidden: names with a dot in front; "well-known" serves that one folder. symlinks:
    "inside" the document root, "follow" wherever they lead, or "none". names: of files in the root itself
    that are read and not served. leave_out: whether a URL path is excluded."""

    hidden: Literal["well-known", "serve", "none"] = "well-known"
    symlinks: Literal["inside", "follow", "none"] = "inside"
    names: frozenset[bytes] = frozenset()
    leave_out: Callable[[bytes], bool] | None = None


@dataclass(frozen=True, slots=True)
class _About:
    """What is known of a file, or of a folder (size -1)."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Scan:
    """All assets of a document root, sorted by URL path. changed: places of those that are not as in the scan
    before; None where there was none, or files came or went. seen: by URL path of the folder."""

    root: Path
    assets: list[Asset]
    skipped: Skipped
    changed: list[int] | None = None
    seen: dict[bytes, _Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be read. ancestors: (device, inode) of it and all folders around it."""

    path: bytes
    url: bytes
    ancestors: frozenset[tuple[int, int]]


@dataclass(slots=True)
class _Seen:
    """What one folder came to. entries: as they were when they were judged, None: to be judged anew."""

    folder: _Folder
    entries: bytes | None
    assets: list[Asset] = field(default_factory=list)
    folders: list[_Folder] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is the same for all folders of one scan."""

    root: bytes
    exclude: Collection[tuple[int, int]]
    policy: ScanPolicy


def scan(
    root: Path,
    *,
    exclude: Collection[tuple[int, int]] = (),
    policy: ScanPolicy = ScanPolicy(),
    last: Scan | None = None,
) -> Scan:
    """Lists what `root` serves. exclude: (device, inode) of files that are not part of the site. last: the
    scan before, with the same `exclude` and a policy of the same meaning.

    Raises SiteError when root is missing, not a folder, unreadable, or holds nothing to serve.
    """
    walk = _Walk(os.path.realpath(os.fsencode(root)), exclude, policy)
    about = _root_stat(root)
    before = last.seen if last is not None else {}
    seen: dict[bytes, _Seen] = {}
    fresh: list[_Seen] = []
    pending = [_Folder(walk.root, b"/", frozenset({(about.st_dev, about.st_ino)}))]
    while pending:
        folder = pending.pop()
        entries = folder_entries(folder.path)
        known = before.get(folder.url)
        if known is None or entries is None or known.entries != entries or known.folder != folder:
            known = _Seen(folder, entries)
            fresh.append(known)
            _read_folder(walk, known)
        seen[folder.url] = known
        pending += known.folders
    skipped = _total(each.skipped for each in seen.values())
    assets, changed = _merged(last, seen, fresh)
    _require_some(root, assets, skipped)
    return Scan(root, assets, skipped, changed, seen)


def _merged(
    last: Scan | None, seen: dict[bytes, _Seen], fresh: list[_Seen]
) -> tuple[list[Asset], list[int] | None]:
    """All assets in their order; and where those are that changed, if that is all that did."""
    if last is None or last.seen.keys() != seen.keys():
        return sorted((asset for each in seen.values() for asset in each.assets), key=_URL), None
    assets, changed = last.assets.copy(), []
    for each in fresh:
        old = {asset.url: asset for asset in last.seen[each.folder.url].assets}
        if old.keys() != {asset.url for asset in each.assets}:
            return _merged(None, seen, fresh)
        for asset in each.assets:
            if old[asset.url] != asset:
                place = bisect_left(assets, asset.url, key=_URL)
                assets[place] = asset
                changed.append(place)
    return assets, sorted(changed)


def _total(counts: Iterable[Skipped]) -> Skipped:
    total = Skipped()
    for each in counts:
        if each != _NOTHING:
            total.add(each)
    return total


def _require_some(root: Path, assets: list[Asset], skipped: Skipped) -> None:
    if not assets:
        left_out = "; ".join(skipped.messages())
        raise SiteError(
            f"{root}: no file to serve",
            why=left_out or "the folder is empty",
            remedy="Put an index.html there, or name the folder that holds the site.",
        )


def _root_stat(root: Path) -> os.stat_result:
    try:
        about = os.stat(root)
    except FileNotFoundError:
        raise SiteError(
            f"{root}: no such folder", remedy="Name an existing folder or an image made by 'bypass build'."
        ) from None
    except OSError as error:
        raise SiteError(f"{root}: cannot be read", why=_reason(error)) from None
    if not stat.S_ISDIR(about.st_mode):
        raise SiteError(f"{root}: not a folder", remedy="Name the folder that holds the site.")
    return about


def _read_folder(walk: _Walk, seen: _Seen) -> None:
    if seen.entries is not None:
        _judge_entries(walk, seen, seen.entries)
        return
    folder = seen.folder
    try:
        with os.scandir(folder.path) as entries:
            for entry in entries:
                _take(walk, seen, entry.name, entry.path, entry.stat(follow_symlinks=False))
    except PermissionError as error:
        raise SiteError(
            f"{_name(error, folder)}: cannot be read",
            why=_reason(error),
            remedy=f"Make it readable (chmod a+rX), or take it out of {printable(walk.root)}.",
        ) from None
    except FileNotFoundError as error:
        raise SiteError(
            f"{_name(error, folder)}: vanished while the site was being read",
            remedy="Try again when the folder is at rest.",
        ) from None
    except OSError as error:
        raise SiteError(f"{_name(error, folder)}: cannot be read", why=_reason(error)) from None


def _judge_entries(walk: _Walk, seen: _Seen, entries: bytes) -> None:
    """The ordinary file is dealt with here, all else by _take(): with 100,000 files it makes a difference."""
    folder, add, unpack = seen.folder, seen.assets.append, _ENTRY.unpack_from
    url, path = folder.url, folder.path.rstrip(b"/") + b"/"
    policy = walk.policy
    special = bool(walk.exclude) or policy.leave_out is not None or (url == b"/" and bool(policy.names))
    at, end, head = 0, len(entries), _ENTRY.size
    while at < end:
        device, inode, size, mtime_ns, ctime_ns, octets = unpack(entries, at)
        at += head + octets
        name = entries[at - octets : at]
        if size >= 0 and not special and name[0] != _DOT:
            add(Asset(url + name, path + name, size, device, inode, mtime_ns, ctime_ns))
        else:
            about = _About(device, inode, size, mtime_ns, ctime_ns)
            _take(walk, seen, name, path + name, about)


def _take(walk: _Walk, seen: _Seen, name: bytes, path: bytes, found: os.stat_result | _About) -> None:
    """Judges one directory entry."""
    skipped, policy, folder = seen.skipped, walk.policy, seen.folder
    if name[0] == _DOT and _is_hidden(policy, name):
        skipped.hidden += 1
        return
    url = folder.url + name
    about = found if isinstance(found, _About) else _about(found)
    if about is None and isinstance(found, os.stat_result) and stat.S_ISLNK(found.st_mode):
        target = _target(walk, skipped, path)
        if target is None:
            return
        path, about = target[0], _about(target[1])
    if about is None:
        skipped.special += 1
    elif about.size < 0:
        _descend(walk, seen, path, url + b"/", about)
    elif walk.exclude and (about.device, about.inode) in walk.exclude:
        skipped.images += 1
    elif policy.leave_out is not None and any(map(policy.leave_out, (url, plain_name(url)))):
        skipped.excluded += 1
    elif folder.url != b"/" or plain_name(name) not in policy.names:
        asset = Asset(url, path, about.size, about.device, about.inode, about.mtime_ns, about.ctime_ns)
        seen.assets.append(asset)


def _about(found: os.stat_result) -> _About | None:
    """None: neither file nor folder."""
    if stat.S_ISDIR(found.st_mode):
        return _About(found.st_dev, found.st_ino, -1, 0, 0)
    if not stat.S_ISREG(found.st_mode):
        return None
    return _About(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def plain_name(name: bytes) -> bytes:
    """What a compressed file stands for: whoever may not have that may not have it packed."""
    return name.removesuffix(b".gz").removesuffix(b".br").removesuffix(b".zst")


def _is_hidden(policy: ScanPolicy, name: bytes) -> bool:
    return policy.hidden == "none" or (policy.hidden == "well-known" and name != WELL_KNOWN)


def _target(walk: _Walk, skipped: Skipped, link: bytes) -> tuple[bytes, os.stat_result] | None:
    """Where a symlink leads, or None (counted) when that is outside of the root or nowhere.

    A target may have a hidden name: the link that shows it was made on purpose, and mounted
    configuration volumes link every file to a dotted folder beside it.
    """
    if walk.policy.symlinks == "none":
        skipped.symlinks_refused += 1
        return None
    target = os.path.realpath(link)
    inside = walk.policy.symlinks == "inside"
    if inside and target != walk.root and not target.startswith(walk.root.rstrip(b"/") + b"/"):
        skipped.symlinks_outside += 1
        return None
    try:
        about = os.stat(target)
    except PermissionError:
        raise
    except OSError:  # no such target, or symlinks that lead to each other (ELOOP)
        skipped.symlinks_broken += 1
        return None
    return target, about


def _descend(walk: _Walk, seen: _Seen, path: bytes, url: bytes, about: _About) -> None:
    if walk.policy.leave_out is not None and walk.policy.leave_out(url):
        seen.skipped.excluded += 1
        return
    identity = (about.device, about.inode)
    if identity in seen.folder.ancestors:
        seen.skipped.symlink_loops += 1
        return
    seen.folders.append(_Folder(path, url, seen.folder.ancestors | {identity}))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _name(error: OSError, folder: _Folder) -> str:
    """The file or folder that `error` is about."""
    return printable(os.fsencode(error.filename or folder.path))
