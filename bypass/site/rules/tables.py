"""From the tables of the configuration file to settings, and every mistake in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from bypass.site.rules.headers import make_setting
from bypass.site.rules.pattern import Pattern
from bypass.site.rules.redirects import PAGES, REDIRECTS, make_rule
from bypass.site.rules.settings import (
    TABLES,
    AuthTable,
    HeaderTable,
    HostSettings,
    SiteConfig,
    SiteSettings,
)
from bypass.text import did_you_mean

Path_ = tuple[str | int, ...]
_S = TypeVar("_S", bound=SiteSettings)
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>[^`]*)`)?$", re.S)
_EXPECTED = re.compile(r"Expected `(?P<kind>[a-z]+)")
_WORDS = {
    "bool": "true or false",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "a table",
}
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One wrong value. path: its keys and numbers from the top of the document."""

    path: Path_
    value: object
    why: str
    remedy: str = ""

    @property
    def key(self) -> str:
        """As people write it: "site.cors[0].max-age"."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")


@dataclass(slots=True)
class _Reading:
    flaws: list[Flaw] = field(default_factory=list)

    def judge(self, path: Path_, value: object, make: Callable[[], object]) -> None:
        try:
            make()
        except ValueError as error:
            self.flaws.append(Flaw(path, value, str(error)))


def read_site_tables(
    document: Mapping[str, object], folder: Path, file: Path | None = None
) -> tuple[SiteConfig, list[Flaw]]:
    """Settings out of a parsed file, and all that is wrong with them. folder: where relative names start."""
    reading = _Reading()
    table = document.get("site", {})
    if not isinstance(table, dict):
        return SiteConfig(), [Flaw(("site",), table, "it must be a table", "Write [site]")]
    site = _settings(reading, ("site",), table, {}, SiteSettings)
    hosts = document.get("host", [])
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        reading.flaws.append(Flaw(("host",), hosts, "it must be a list of tables", "Write [[host]]"))
        hosts = []
    made = [
        _settings(reading, ("host", number), host, table if not reading.flaws else {}, HostSettings)
        for number, host in enumerate(hosts)
    ]
    named = [host for host in made if host is not None]
    _check_hosts(reading, named)
    made_of = SiteConfig(site=site or SiteSettings(), hosts=tuple(named), folder=folder, file=file)
    return made_of, reading.flaws


def _settings(
    reading: _Reading,
    path: Path_,
    table: Mapping[str, object],
    inherited: Mapping[str, object],
    kind: type[_S],
) -> _S | None:
    """The settings, None where one is wrong. Each key is judged by itself, so that all mistakes are found."""
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    before = len(reading.flaws)
    for key, value in table.items():
        if key not in fields:
            remedy = did_you_mean(key, fields) or f"Known here: {', '.join(fields)}"
            reading.flaws.append(Flaw((*path, key), value, "no such setting", remedy))
            continue
        try:
            msgspec.convert(value, hints[fields[key].name], strict=True)
        except msgspec.ValidationError as error:
            reading.flaws.append(_explained((*path, key), value, hints[fields[key].name], str(error)))
    missing = [name for name, about in fields.items() if about.required and name not in table]
    reading.flaws += [Flaw((*path, name), None, "it is missing") for name in missing]
    if len(reading.flaws) > before:
        return None
    settings = msgspec.convert({**inherited, **table}, kind, strict=True)
    _check_rules(reading, path, settings)
    return settings if len(reading.flaws) == before else None


def _explained(path: Path_, value: object, hint: Any, text: str) -> Flaw:
    """The flaw in words of the file. `text` is msgspec's, with a path such as `$[0].max-age`."""
    found = _WHERE.match(text)
    assert found is not None
    what, steps = found["what"], tuple(_steps(found["where"] or ""))
    kind = TABLES.get(str(path[-1]))
    if kind is not None and (unknown := _UNKNOWN.search(what)):
        known = [about.encode_name for about in msgspec.structs.fields(kind)]
        remedy = did_you_mean(unknown["name"], known) or f"Known here: {', '.join(known)}"
        steps = (*steps, unknown["name"])
        return Flaw((*path, *steps), _shown(path, value, steps), "no such setting", remedy)
    if missing := _MISSING.search(what):
        return Flaw((*path, *steps), None, f"{missing['name']} is missing")
    names = [step for step in steps if isinstance(step, str)]
    if kind is not None and names:
        inner = {about.encode_name: about.name for about in msgspec.structs.fields(kind)}
        hint = get_type_hints(kind, include_extras=True).get(inner.get(names[0], ""), hint)
    allowed = _description(hint, is_item=bool(steps) and isinstance(steps[-1], int))
    if not steps and what.startswith(("Expected `array`, got", "Expected `object`, got")):
        allowed = ""
    return Flaw((*path, *steps), _shown(path, value, steps), f"it must be {allowed or _in_words(what)}")


def _shown(path: Path_, value: object, steps: Path_) -> object:
    """The value as a message may show it: no password."""
    return None if path[-1] == "auth" else _at(value, steps)


def _in_words(what: str) -> str:
    """For msgspec's "Expected `bool`, got `int`"."""
    found = _EXPECTED.match(what)
    return _WORDS.get(found["kind"], found["kind"]) if found else f"otherwise: {what}"


def _steps(where: str) -> Iterator[str | int]:
    for name, index in re.findall(r"\.([^.\[\]]+)|\[([0-9]+)\]", where):
        yield int(index) if index else name


def _at(value: Any, steps: Path_) -> object:
    """The value at the end of `steps`, as far as it can be followed."""
    for step in steps:
        inside = (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int)
        )
        if not inside:
            return value
        value = value[step]
    return value


def _description(hint: Any, is_item: bool) -> str:
    """What is allowed: of a list's items, or of the whole."""
    arguments = get_args(hint)
    own = [meta.description for meta in arguments if isinstance(meta, msgspec.Meta) and meta.description]
    inner = [
        _description(argument, is_item) for argument in arguments if not isinstance(argument, msgspec.Meta)
    ]
    within = next((text for text in reversed(inner) if text), "")
    return within if within and (is_item or not own) else str(own[0]) if own else ""


def _check_rules(reading: _Reading, path: Path_, settings: SiteSettings) -> None:
    """What types do not say: patterns, fields, targets, statuses."""
    _check_patterns(reading, path, settings)
    for number, header in enumerate(settings.header):
        _check_fields(reading, (*path, "header", number), header)
    for name, allowed in (("redirect", REDIRECTS), ("rewrite", PAGES)):
        for number, rule in enumerate(getattr(settings, name)):
            _check_rule(reading, (*path, name, number), rule, allowed)
    for status in settings.error_pages:
        if not (status.isdigit() and 400 <= int(status) <= 599):
            why = "the keys are statuses from 400 to 599"
            reading.flaws.append(Flaw((*path, "error-pages", status), settings.error_pages[status], why))
    for number, auth in enumerate(settings.auth):
        _check_users(reading, (*path, "auth", number), auth)


def _check_patterns(reading: _Reading, path: Path_, settings: SiteSettings) -> None:
    named = {"header": Pattern.parse, "cache": Pattern.parse, "auth": area_prefix, "cors": area_prefix}
    for name, parse in named.items():
        for number, table in enumerate(getattr(settings, name)):
            reading.judge((*path, name, number, "path"), table.path, partial(parse, table.path))
    lists = {("exclude",): settings.exclude, ("compression", "exclude"): settings.compression.exclude}
    for where, texts in lists.items():
        for number, text in enumerate(texts):
            reading.judge((*path, *where, number), text, partial(Pattern.parse, text))


def area_prefix(text: str) -> bytes:
    """The prefix that /private/* or /page stands for: areas are folders or single paths. ValueError."""
    pattern = Pattern.parse(text)
    if pattern.literal is not None:
        return pattern.literal
    first, *rest = pattern.parts
    if not isinstance(first, bytes) or not first.endswith(b"/") or len(rest) != 1 or text[-1:] != "*":
        raise ValueError("an area is a folder, such as /private/*, or a single path")
    return first


def _check_fields(reading: _Reading, path: Path_, header: HeaderTable) -> None:
    for name, value in header.set.items():
        reading.judge((*path, "set", name), value, partial(make_setting, name, value))
    for number, name in enumerate(header.remove):
        reading.judge((*path, "remove", number), name, partial(make_setting, name, None))


def _check_users(reading: _Reading, path: Path_, auth: AuthTable) -> None:
    if not auth.users and not auth.users_file:
        reading.flaws.append(Flaw(path, auth.path, "no user is named", "Write users or users-file"))
    for user, password in auth.users.items():
        if not user or ":" in user or not password:
            why = "a name is not empty and has no colon, a password is not empty"
            reading.flaws.append(Flaw((*path, "users", user), "...", why))


def _check_rule(reading: _Reading, path: Path_, rule: Any, allowed: frozenset[int]) -> None:
    if rule.status not in allowed:
        why = f"it must be one of {', '.join(map(str, sorted(allowed)))}"
        reading.flaws.append(Flaw((*path, "status"), rule.status, why))
        return
    reading.judge(
        (*path, "from"),
        rule.source,
        lambda: make_rule(rule.source, rule.target, rule.status, query=rule.query.items()),
    )


def _check_hosts(reading: _Reading, hosts: list[HostSettings]) -> None:
    seen: dict[str, int] = {}
    for number, host in enumerate(hosts):
        for place, name in enumerate(host.names):
            if name.lower() in seen:
                why = f"host[{seen[name.lower()]}] has that name already"
                reading.flaws.append(Flaw(("host", number, "names", place), name, why))
            seen[name.lower()] = number
    defaults = [number for number, host in enumerate(hosts) if host.default]
    for number in defaults[1:]:
        why = f"host[{defaults[0]}] is the default already"
        reading.flaws.append(Flaw(("host", number, "default"), True, why))
