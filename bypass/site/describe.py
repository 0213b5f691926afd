"""From folders and settings to a Site: scans, reads the rules files, and applies everything in its order.

The order, later before earlier where both speak of one path: files, indexes, clean URLs, listings, redirects
to the slash; then redirect rules, which come before a file only where they are forced; then the single-page
fallback. Header fields: preset, Cache-Control, [site] tables, `_headers`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from bypass.errors import SiteError
from bypass.site.files.areas import Lying, areas_of, guard, guarded_maker, policies_of
from bypass.site.files.fields import FieldRules
from bypass.site.files.forms import Forms, Step, make_forms
from bypass.site.files.moved import apply_rules
from bypass.site.files.pages import error_pages, with_presets
from bypass.site.files.paths import (
    add_clean_urls,
    add_files,
    add_indexes,
    add_listings,
    add_slashes,
    file_maker,
)
from bypass.site.files.recall import Recall
from bypass.site.heads import encode_path
from bypass.site.mime import ContentTypes
from bypass.site.resource import Host, RequestRule, Resource, Site
from bypass.site.rules.headers import HeaderRule, parse_headers
from bypass.site.rules.lines import MOST_FILE_BYTES
from bypass.site.rules.pattern import Pattern
from bypass.site.rules.redirects import RedirectRule, make_rule, parse_redirects
from bypass.site.rules.settings import RedirectTable, RewriteTable, SiteConfig, SiteSettings
from bypass.site.scan import Scan, ScanPolicy, scan
from bypass.site.skipped import Skipped

NOTHING_SET = SiteConfig()
_Rule = TypeVar("_Rule", RedirectRule, HeaderRule)


@dataclass(slots=True)
class Account:
    """What making the site came to, for people. saved_bytes and variants: by coding."""

    skipped: Skipped = field(default_factory=Skipped)
    saved_bytes: dict[str, int] = field(default_factory=dict)
    variants: dict[str, int] = field(default_factory=dict)
    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    redirects: int = 0
    rules: int = 0
    listings: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is served, under which settings and names."""

    root: Path
    settings: SiteSettings
    names: tuple[str, ...]
    default: bool


@dataclass(slots=True)
class _Work:
    """What is the same for all hosts of one run."""

    recall: Recall
    step: Step
    threads: int
    now_s: int
    folder: Path
    account: Account = field(default_factory=Account)


def places_of(root: Path | None, config: SiteConfig) -> list[Place]:
    """The folder `root` by [site], and those of every [[host]]. Raises SiteError.

    root: answers every name that no host has; None where hosts are all."""
    default = root is not None and not any(host.default for host in config.hosts)
    places = [Place(root, config.site, (), True)] if root is not None and default else []
    for host in config.hosts:
        names = tuple(_host_name(name) for name in host.names)
        places.append(Place(config.folder / host.root, host, names, host.default))
    if not places:
        raise SiteError("no site is named", remedy="Name a folder, or write [[host]] tables")
    return places


def scan_place(place: Place, exclude: Collection[tuple[int, int]] = (), last: Scan | None = None) -> Scan:
    """exclude: (device, inode) of files to leave out. last: of the same place and `exclude`."""
    return scan(place.root, exclude=exclude, policy=_policy(place.settings), last=last)


def rules_stamp(places: Iterable[Place], folder: Path) -> tuple[object, ...]:
    """Differs when a file differs that says what becomes of others."""
    found: list[object] = []
    for place in places:
        settings = place.settings
        names = [place.root / name for name in (settings.redirects_file, settings.headers_file) if name]
        names += [folder / table.users_file for table in settings.auth if table.users_file]
        for name in names:
            try:
                about = name.stat()
                times = about.st_mtime_ns, about.st_ctime_ns
                found.append((about.st_dev, about.st_ino, about.st_size, *times))
            except OSError:
                found.append(None)
    return tuple(found)


def check_rules(places: Iterable[Place]) -> list[SiteError]:
    """What is wrong with the rules files of these folders: of each file the first mistake."""
    found: list[SiteError] = []
    for place in places:
        root, settings = place.root, place.settings
        readers: list[Callable[[], object]] = [
            partial(_redirects, root, settings),
            partial(_rules_file, root, settings.headers_file, parse_headers),
        ]
        for read in readers:
            try:
                read()
            except SiteError as error:
                found.append(error)
    return found


def describe(
    places: Iterable[Place],
    scans: Iterable[Scan],
    *,
    folder: Path = Path(),
    recall: Recall | None = None,
    step: Step = lambda _, __: None,
    threads: int = 0,
    now_s: int | None = None,
) -> tuple[Site, Account]:
    """The site of these folders and what is in them. Raises SiteError.

    folder: what names of users files start from. step: called as forms of files get ready."""
    now_s = int(time.time()) if now_s is None else now_s
    work = _Work(recall or Recall(), step, threads, now_s, folder)
    hosts: list[Host] = []
    files = 0
    for place, found in zip(places, scans, strict=True):
        hosts += _hosts(work, place, found)
        files += len(found.assets)
    return Site(tuple(hosts), files), work.account


def _host_name(name: str) -> str:
    name = name.lower()
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _hosts(work: _Work, place: Place, found: Scan) -> list[Host]:
    """The host of one folder, and one more for each name that only its rules files know."""
    root, settings, names, default = place.root, place.settings, place.names, place.default
    redirects = _redirects(root, settings)
    headers = _rules_file(root, settings.headers_file, parse_headers)
    work.account.skipped.add(found.skipped)
    types = ContentTypes(settings.types, settings.charset)
    forms = make_forms(found.assets, types, settings.compression, work.recall, work.step, work.threads)
    _count(work.account, forms, types)
    others = sorted(({rule.host for rule in redirects} | {rule.host for rule in headers}) - {"", *names})
    made = []
    for extra in [names, *((other,) for other in others)]:
        mine = set(extra)
        made.append(
            _host(
                work,
                found,
                forms,
                types,
                settings,
                [rule for rule in redirects if not rule.host or rule.host in mine],
                [rule for rule in headers if not rule.host or rule.host in mine],
                names=extra,
                default=default and extra == names,
                root=root,
            )
        )
    return made


def _host(
    work: _Work,
    found: Scan,
    forms: Forms,
    types: ContentTypes,
    settings: SiteSettings,
    redirects: list[RedirectRule],
    headers: list[HeaderRule],
    *,
    names: tuple[str, ...],
    default: bool,
    root: Path,
) -> Host:
    fields = FieldRules(settings, headers)
    work.account.warnings += fields.warnings
    areas = areas_of(settings, headers, names[0] if names else "", work.folder)
    make = file_maker(fields, types, forms.by_url, forms.plain, work.now_s)
    if areas:
        make = guarded_maker(make, areas, Lying(found, forms.plain, areas))
    paths: dict[bytes, Resource] = {}
    add_files(paths, forms.by_url, make)
    add_indexes(paths, settings.index, make)
    if settings.clean_urls:
        add_clean_urls(paths, settings.index, make)
    if settings.listing:
        work.account.listings += add_listings(paths, found.assets, settings, fields, work.now_s)
    add_slashes(paths)
    moved = apply_rules(redirects, paths, settings.dialect == "netlify")
    paths.update(moved.resources)
    guard(paths, areas)
    rules = [*moved.rules, *_fallback(settings, paths, str(root))]
    pages = error_pages(forms.by_url, settings, make, str(root))
    work.account.redirects += sum(bool(page.location) for page in paths.values())
    work.account.rules += len(rules)
    return Host(
        names=names,
        default=default,
        resources=paths,
        rules=tuple(rules),
        errors=with_presets(pages, fields),
        areas=areas,
        cors=policies_of(settings),
    )


def _fallback(settings: SiteSettings, paths: dict[bytes, Resource], where: str) -> list[RequestRule]:
    """The page of a single-page application, for every path that nothing else answers."""
    if not settings.spa:
        return []
    page = settings.spa.encode("utf-8")
    if page not in paths:
        raise SiteError(f"{where}: spa = {settings.spa!r}", why="the site has no such file")
    if location := paths[page].location:  # a clean URL stands for it
        page = unquote_to_bytes(location)
    return [RequestRule(Pattern.parse("/*").parts, (encode_path(page),), 200)]


def _redirects(root: Path, settings: SiteSettings) -> list[RedirectRule]:
    tables: list[RedirectTable | RewriteTable] = [*settings.redirect, *settings.rewrite]
    rules = [
        make_rule(table.source, table.target, table.status, force=table.force, query=table.query.items())
        for table in tables
    ]
    dialect = settings.dialect
    return rules + _rules_file(
        root, settings.redirects_file, lambda text, name: parse_redirects(text, name, dialect)
    )


def _rules_file(root: Path, name: str, parse: Callable[[bytes, str], list[_Rule]]) -> list[_Rule]:
    """What a rules file at the top of the folder says, nothing where there is none."""
    if not name:
        return []
    path = root / name
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return []
    except OSError as error:
        raise SiteError(f"{path}: cannot be read", why=error.strerror or str(error)) from None
    return parse(content, str(path))


def _policy(settings: SiteSettings) -> ScanPolicy:
    patterns = [Pattern.parse(text) for text in settings.exclude]
    names = frozenset(
        name.encode("utf-8") for name in (settings.redirects_file, settings.headers_file) if name
    )
    leave_out = (lambda url: any(pattern.matches(url) for pattern in patterns)) if patterns else None
    return ScanPolicy(settings.hidden, settings.symlinks, names, leave_out)


def _count(account: Account, forms: Forms, types: ContentTypes) -> None:
    account.warnings += forms.warnings
    for coding, saved in forms.saved_bytes.items():
        account.saved_bytes[coding] = account.saved_bytes.get(coding, 0) + saved
    for coding, number in forms.variants.items():
        account.variants[coding] = account.variants.get(coding, 0) + number
    for url, asset in forms.plain.items():
        kind = types.of(url).partition(";")[0]
        files, octets = account.types.get(kind, (0, 0))
        account.types[kind] = files + 1, octets + asset.size
