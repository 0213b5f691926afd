"""From the tables of the configuration file to settings: errors name file, key and value, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from bypass.errors import ConfigError
from bypass.site.rules.headers import make_setting
from bypass.site.rules.pattern import Pattern
from bypass.site.rules.redirects import PAGES, REDIRECTS, make_rule
from bypass.site.rules.settings import (
    TABLES,
    HostSettings,
    RedirectTable,
    RewriteTable,
    SiteConfig,
    SiteSettings,
    Table,
)
from bypass.text import did_you_mean

_T = TypeVar("_T", bound=Table)
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.S)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_PROBLEM = "it must be {}"


def read_site_tables(document: Mapping[str, object], file: Path) -> SiteConfig:
    """Settings out of a parsed file. ConfigError for the first that is wrong."""
    table = document.get("site", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: site = {table!r}", why="it must be a table", remedy="Write [site]")
    site = _converted(file, "site", table, SiteSettings)
    _check_rules(file, "site", site)
    hosts = document.get("host", [])
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        raise ConfigError(f"{file}: host = {hosts!r}", why="it must be a list of tables", remedy="Write [[host]]")
    made = []
    for number, host in enumerate(hosts):
        key = f"host[{number}]"
        settings = _converted(file, key, {**table, **host}, HostSettings)
        _check_rules(file, key, settings)
        made.append(settings)
    _check_hosts(file, made)
    return SiteConfig(site=site, hosts=tuple(made), folder=file.parent)


def _converted(file: Path, key: str, table: Mapping[str, object], kind: type[_T]) -> _T:
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _explained(file, key, table, kind, str(error)) from None


def _explained(file: Path, key: str, table: Mapping[str, object], kind: type[Table], text: str) -> ConfigError:
    """The error in words of the file. `text` is msgspec's, with a path such as `$.cors[0].max-age`."""
    found = _WHERE.match(text)
    assert found is not None
    what, where = found["what"], (found["where"] or "$").removeprefix("$")
    if unknown := _UNKNOWN.search(what):
        inner = TABLES.get(where.lstrip(".").partition("[")[0], kind) if where else kind
        known = [field.encode_name for field in msgspec.structs.fields(inner)]
        name = f"{key}{where}.{unknown['name']}"
        value = _at(table, f"{where}.{unknown['name']}")
        return ConfigError(
            f"{file}: {name} = {value!r}",
            why="no such setting",
            remedy=did_you_mean(unknown["name"], known) or f"Known here: {', '.join(known)}",
        )
    if missing := _MISSING.search(what):
        return ConfigError(f"{file}: {key}{where}", why=f"{missing['name']} is missing")
    allowed = _described(kind, where)
    why = _PROBLEM.format(allowed) if allowed else what[:1].lower() + what[1:]
    return ConfigError(f"{file}: {key}{where} = {_at(table, where)!r}", why=why)


def _at(table: object, where: str) -> object:
    """The value at a path such as ".cors[0].max-age", as far as it can be followed."""
    value = table
    for name, index in re.findall(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]", where):
        if name and isinstance(value, Mapping):
            value = value.get(name)
        elif index.isdigit() and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
    return value


def _described(kind: type[Table], where: str) -> str:
    """The description of the setting at `where`, or nothing."""
    names = [name for name in re.findall(r"\.([^.\[\]]+)", where) if name != "..."]
    for name in names:
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        if name not in fields:
            return ""
        hint = get_type_hints(kind, include_extras=True)[fields[name]]
        if name in TABLES:
            kind = TABLES[name]
            continue
        return _description(hint, where.endswith("]"))
    return ""


def _description(hint: Any, is_item: bool = False) -> str:
    arguments = get_args(hint)
    own = [meta.description for meta in arguments if isinstance(meta, msgspec.Meta) and meta.description]
    inner = [_description(argument, is_item) for argument in arguments if not isinstance(argument, msgspec.Meta)]
    within = next((text for text in reversed(inner) if text), "")
    return within if within and (is_item or not own) else str(own[0]) if own else ""


def _check_rules(file: Path, key: str, settings: SiteSettings) -> None:
    """What types do not say: patterns, fields, targets, statuses."""
    for name in ("header", "cache", "auth", "cors"):
        for number, table in enumerate(getattr(settings, name)):
            _pattern(file, f"{key}.{name}[{number}].path", table.path)
    for number, text in enumerate(settings.exclude):
        _pattern(file, f"{key}.exclude[{number}]", text)
    for number, text in enumerate(settings.compression.exclude):
        _pattern(file, f"{key}.compression.exclude[{number}]", text)
    for number, header in enumerate(settings.header):
        where = f"{key}.header[{number}]"
        for field, value in header.set.items():
            _checked(file, f"{where}.set.{field} = {value!r}", lambda f=field, v=value: make_setting(f, v))
        for field in header.remove:
            _checked(file, f"{where}.remove = {field!r}", lambda f=field: make_setting(f, None))
    for name, allowed in (("redirect", REDIRECTS), ("rewrite", PAGES)):
        for number, rule in enumerate(getattr(settings, name)):
            _check_rule(file, f"{key}.{name}[{number}]", rule, allowed)
    for status in settings.error_pages:
        if not (status.isdigit() and 400 <= int(status) <= 599):
            raise ConfigError(
                f"{file}: {key}.error-pages.{status}", why="the keys are statuses from 400 to 599"
            )
    for number, auth in enumerate(settings.auth):
        _check_users(file, f"{key}.auth[{number}]", dict(auth.users), auth.users_file)


def _check_users(file: Path, where: str, users: dict[str, str], users_file: str) -> None:
    if not users and not users_file:
        raise ConfigError(f"{file}: {where}", why="no user is named", remedy="Write users or users-file")
    for user, password in users.items():
        if not user or ":" in user or not password:
            raise ConfigError(f"{file}: {where}.users", why=f"{user!r}: a name has no colon, a password is not empty")


def _check_rule(file: Path, where: str, rule: RedirectTable | RewriteTable, allowed: frozenset[int]) -> None:
    if rule.status not in allowed:
        listed = ", ".join(map(str, sorted(allowed)))
        raise ConfigError(f"{file}: {where}.status = {rule.status}", why=f"it must be one of {listed}")
    _checked(
        file,
        f"{where} = {rule.source!r} to {rule.target!r}",
        lambda: make_rule(rule.source, rule.target, rule.status, query=rule.query.items()),
    )


def _pattern(file: Path, where: str, text: str) -> None:
    _checked(file, f"{where} = {text!r}", lambda: Pattern.parse(text))


def _checked(file: Path, where: str, make: Any) -> None:
    try:
        make()
    except ValueError as error:
        raise ConfigError(f"{file}: {where}", why=str(error)) from None


def _check_hosts(file: Path, hosts: list[HostSettings]) -> None:
    seen: dict[str, int] = {}
    for number, host in enumerate(hosts):
        for name in host.names:
            if name.lower() in seen:
                raise ConfigError(
                    f"{file}: host[{number}].names = {name!r}",
                    why=f"host[{seen[name.lower()]}] has that name already",
                )
            seen[name.lower()] = number
    defaults = [number for number, host in enumerate(hosts) if host.default]
    if len(defaults) > 1:
        raise ConfigError(f"{file}: host[{defaults[1]}].default = True", why=f"host[{defaults[0]}] is the default already")
