"""Who may see, and who may read from elsewhere: areas with a password, and cross-origin policies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bypass.errors import SiteError
from bypass.site.resource import Area, CorsPolicy, area_salt, credential_digest
from bypass.site.rules.headers import HeaderRule
from bypass.site.rules.lines import lines_of
from bypass.site.rules.settings import SiteSettings
from bypass.site.rules.tables import area_prefix


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
