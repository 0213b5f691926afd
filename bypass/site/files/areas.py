"""Who may see, and who may read from elsewhere: areas with a password, and cross-origin policies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bypass.errors import SiteError
from bypass.site.files.paths import Maker
from bypass.site.resource import Area, CorsPolicy, Resource, area_of, area_salt, credential_digest
from bypass.site.rules.headers import HeaderRule
from bypass.site.rules.lines import lines_of
from bypass.site.rules.settings import SiteConfig, SiteSettings
from bypass.site.rules.tables import area_prefix
from bypass.site.scan import Asset, Scan, plain_name

_SHARED = frozenset({"public", "s-maxage", "must-revalidate"})
"""With one of these a shared cache may keep what came for a password (RFC 9111 3.5)."""


def areas_of(
    settings: SiteSettings, headers: Iterable[HeaderRule], host: str, folder: Path
) -> tuple[Area, ...]:
    """[[site.auth]], and Basic-Auth in `_headers`. folder: what a users file's name starts from."""
    wanted: dict[bytes, tuple[str, list[tuple[str, str]]]] = {}
    for table in settings.auth:
        users = [*table.users.items(), *_users_of(table.users_file, folder)]
        wanted.setdefault(area_prefix(table.path), (table.realm, []))[1].extend(users)
    for rule in headers:
        if rule.basic_auth:
            try:
                prefix = area_prefix(rule.pattern.text)
            except ValueError as error:
                raise SiteError(f"{rule.origin}: {rule.pattern.text}", why=str(error)) from None
            wanted.setdefault(prefix, ("restricted", []))[1].extend(rule.basic_auth)
    return tuple(_area(host, prefix, realm, users) for prefix, (realm, users) in sorted(wanted.items()))


class Lying:
    """Where files really are: behind symlinks, and by other names of the same file."""

    def __init__(self, found: Scan, plain: Mapping[bytes, Asset], areas: Sequence[Area]) -> None:
        """plain: by the path that they answer."""
        self._root = os.path.realpath(os.fsencode(found.root)).rstrip(b"/") + b"/"
        self._plain = plain
        self._areas = areas
        self._held: dict[tuple[int, int], int] = {}
        for asset in found.assets:
            area = self._by_place(asset)
            if area is not None:
                self._held.setdefault((asset.device, asset.inode), area)

    def area_of(self, file: bytes) -> int | None:
        """Of the file at that path: where it lies counts, then where it is seen, then its other names."""
        asset = self._plain[file]
        for area in (self._by_place(asset), area_of(self._areas, plain_name(file))):
            if area is not None:
                return area
        return self._held.get((asset.device, asset.inode))

    def _by_place(self, asset: Asset) -> int | None:
        if not asset.path.startswith(self._root):
            return None
        return area_of(self._areas, b"/" + plain_name(asset.path[len(self._root) :]))


def guarded_maker(make: Maker, areas: Sequence[Area], lying: Lying) -> Maker:
    """A file keeps its area, whatever path it is asked for by: a clean URL, its folder, a symlink."""

    def guarded(url: bytes, file: bytes) -> Resource:
        return replace(make(url, file), area=lying.area_of(file))

    return guarded


def guard(paths: dict[bytes, Resource], areas: Sequence[Area]) -> None:
    """Takes from what lies in an area the leave for shared caches to keep it."""
    if not areas:
        return
    for path, resource in paths.items():
        if resource.area is not None or area_of(areas, path) is not None:
            fields = tuple((name, _unshared(name, value)) for name, value in resource.fields)
            if fields != resource.fields:
                paths[path] = replace(resource, fields=fields)


def _unshared(name: str, value: str) -> str:
    if name.lower() != "cache-control":
        return value
    words = [word.strip() for word in value.split(",")]
    names = {word.partition("=")[0].strip().lower() for word in words}
    if not names & _SHARED or names & {"private", "no-store"}:
        return value
    kept = [word for word in words if word.partition("=")[0].strip().lower() not in ("public", "s-maxage")]
    return ", ".join(["private", *kept])


def secret_files(settings: Iterable[SiteSettings], config: SiteConfig) -> set[tuple[int, int]]:
    """(device, inode) of the files that passwords stand in: never served, wherever they lie."""
    names = [config.folder / table.users_file for each in settings for table in each.auth if table.users_file]
    found = set()
    for name in [*names, *([config.file] if config.file else [])]:
        with suppress(OSError):
            about = name.stat()
            found.add((about.st_dev, about.st_ino))
    return found


def policies_of(settings: SiteSettings) -> tuple[CorsPolicy, ...]:
    """[[site.cors]]."""
    return tuple(
        CorsPolicy(
            area_prefix(table.path),
            table.origins,
            table.methods,
            table.headers,
            table.expose,
            table.max_age,
            table.credentials,
        )
        for table in settings.cors
    )


def _area(host: str, prefix: bytes, realm: str, users: list[tuple[str, str]]) -> Area:
    salt = area_salt(host, prefix, realm)
    digests = tuple(sorted({credential_digest(salt, name, password) for name, password in users}))
    return Area(prefix, realm, salt, digests)


def _users_of(name: str, folder: Path) -> list[tuple[str, str]]:
    """The lines "name:password" of a users file."""
    if not name:
        return []
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SiteError(f"{path}: cannot be read", why=error.strerror or str(error)) from None
    users = []
    for line in lines_of(str(path), content):
        user, colon, password = line.text.partition(":")
        if not colon or not user or not password:
            # The line itself is not shown: it may hold a password.
            raise SiteError(f"{path}:{line.number}", why="it is not of the form name:password")
        if password.startswith(("$2", "$apr1$", "$5$", "$6$", "{SHA}")):
            raise SiteError(
                f"{path}:{line.number}",
                why="the password is hashed already, and not in a way that can be compared quickly enough",
                remedy="Write passwords as they are, and keep the file unreadable for others",
            )
        users.append((user, password))
    return users
