"""Finds the files of a document root: what is served, under which URL path, and what is left out.

Names are raw octets: a file name need not be UTF-8. The order is that of the URL paths' octets, so
the same folder gives the same list on every machine. Reads no file contents; a file costs one stat.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Literal

import msgspec

from bypass.errors import SiteError
from bypass.site.text import printable

_DOT = ord(".")
_TYPE = stat.S_IFMT(0xFFFF)
_URL = attrgetter("url")
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


@dataclass(slots=True)
class Skipped:
    """How many directory entries were left out, by reason. A directory counts once."""

    hidden: int = 0
    symlinks_outside: int = 0
    symlinks_broken: int = 0
    symlink_loops: int = 0
    special: int = 0
    images: int = 0
    symlinks_refused: int = 0
    excluded: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, name) for name in _REASONS)

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in _REASONS}

    def messages(self) -> list[str]:
        """One line for each reason that occurred."""
        return [f"{getattr(self, name)} {text}" for name, text in _REASONS.items() if getattr(self, name)]


_REASONS = {
    "hidden": "hidden (the name starts with a dot)",
    "symlinks_outside": "symlinks left out: they lead out of the document root",
    "symlinks_broken": "symlinks left out: their target does not exist",
    "symlink_loops": "symlinks left out: they lead back to a folder that contains them",
    "special": "left out: neither file nor folder (pipe, device or socket)",
    "images": "left out: the image being written",
    "symlinks_refused": "symlinks left out, as configured",
    "excluded": "left out, as configured",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """All assets of a document root, sorted by URL path."""

    root: Path
    assets: list[Asset]
    skipped: Skipped


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder still to be read. ancestors: (device, inode) of it and all folders around it."""

    path: bytes
    url: bytes
    ancestors: frozenset[tuple[int, int]]


@dataclass(slots=True)
class _Walk:
    """The state of one scan."""

    root: bytes
    exclude: Collection[tuple[int, int]]
    policy: ScanPolicy
    assets: list[Asset] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    pending: list[_Folder] = field(default_factory=list)


def scan(root: Path, *, exclude: Collection[tuple[int, int]] = (), policy: ScanPolicy = ScanPolicy()) -> Scan:
    """Lists what `root` serves. `exclude`: (device, inode) of files that are not part of the site.

    Raises SiteError when root is missing, not a folder, unreadable, or holds nothing to serve.
    """
    walk = _Walk(os.path.realpath(os.fsencode(root)), exclude, policy)
    about = _root_stat(root)
    walk.pending.append(_Folder(walk.root, b"/", frozenset({(about.st_dev, about.st_ino)})))
    while walk.pending:
        _read_folder(walk, walk.pending.pop())
    if not walk.assets:
        left_out = "; ".join(walk.skipped.messages())
        raise SiteError(
            f"{root}: no file to serve",
            why=left_out or "the folder is empty",
            remedy="Put an index.html there, or name the folder that holds the site.",
        )
    walk.assets.sort(key=_URL)
    return Scan(root, walk.assets, walk.skipped)


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


def _read_folder(walk: _Walk, folder: _Folder) -> None:
    try:
        with os.scandir(folder.path) as entries:
            _read_entries(walk, folder, entries)
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


def _read_entries(walk: _Walk, folder: _Folder, entries: Iterable[os.DirEntry[bytes]]) -> None:
    """The ordinary file is dealt with here, all else by _take(): with 100,000 files it makes a difference."""
    policy, url, take = walk.policy, folder.url, walk.assets.append
    special = bool(walk.exclude) or policy.leave_out is not None or (url == b"/" and bool(policy.names))
    for entry in entries:
        name = entry.name
        if special or name[0] == _DOT:
            _take(walk, folder, entry)
            continue
        about = entry.stat(follow_symlinks=False)
        if about.st_mode & _TYPE == stat.S_IFREG:
            device, inode, size = about.st_dev, about.st_ino, about.st_size
            take(Asset(url + name, entry.path, size, device, inode, about.st_mtime_ns, about.st_ctime_ns))
        else:
            _take(walk, folder, entry)


def _take(walk: _Walk, folder: _Folder, entry: os.DirEntry[bytes]) -> None:
    """Judges one directory entry."""
    name = entry.name
    if name[0] == _DOT and _is_hidden(walk.policy, name):
        walk.skipped.hidden += 1
        return
    path, about = entry.path, entry.stat(follow_symlinks=False)
    mode = about.st_mode
    if stat.S_ISLNK(mode):
        target = _target(walk, path)
        if target is None:
            return
        path, about = target
        mode = about.st_mode
    url = folder.url + name
    if stat.S_ISDIR(mode):
        _descend(walk, folder, path, url + b"/", about)
    elif not stat.S_ISREG(mode):
        walk.skipped.special += 1
    elif walk.exclude and (about.st_dev, about.st_ino) in walk.exclude:
        walk.skipped.images += 1
    elif walk.policy.leave_out is not None and any(map(walk.policy.leave_out, (url, plain_name(url)))):
        walk.skipped.excluded += 1
    elif folder.url != b"/" or plain_name(name) not in walk.policy.names:
        device, inode, size = about.st_dev, about.st_ino, about.st_size
        walk.assets.append(Asset(url, path, size, device, inode, about.st_mtime_ns, about.st_ctime_ns))


def plain_name(name: bytes) -> bytes:
    """What a compressed file stands for: whoever may not have that may not have it packed."""
    return name.removesuffix(b".gz").removesuffix(b".br").removesuffix(b".zst")


def _is_hidden(policy: ScanPolicy, name: bytes) -> bool:
    return policy.hidden == "none" or (policy.hidden == "well-known" and name != WELL_KNOWN)


def _target(walk: _Walk, link: bytes) -> tuple[bytes, os.stat_result] | None:
    """Where a symlink leads, or None (counted) when that is outside of the root or nowhere.

    A target may have a hidden name: the link that shows it was made on purpose, and mounted
    configuration volumes link every file to a dotted folder beside it.
    """
    if walk.policy.symlinks == "none":
        walk.skipped.symlinks_refused += 1
        return None
    target = os.path.realpath(link)
    inside = walk.policy.symlinks == "inside"
    if inside and target != walk.root and not target.startswith(walk.root.rstrip(b"/") + b"/"):
        walk.skipped.symlinks_outside += 1
        return None
    try:
        about = os.stat(target)
    except PermissionError:
        raise
    except OSError:  # no such target, or symlinks that lead to each other (ELOOP)
        walk.skipped.symlinks_broken += 1
        return None
    return target, about


def _descend(walk: _Walk, folder: _Folder, path: bytes, url: bytes, about: os.stat_result) -> None:
    if walk.policy.leave_out is not None and walk.policy.leave_out(url):
        walk.skipped.excluded += 1
        return
    identity = (about.st_dev, about.st_ino)
    if identity in folder.ancestors:
        walk.skipped.symlink_loops += 1
        return
    walk.pending.append(_Folder(path, url, folder.ancestors | {identity}))


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _name(error: OSError, folder: _Folder) -> str:
    """The file or folder that `error` is about."""
    return printable(os.fsencode(error.filename or folder.path))
