"""What each virtual host of an image consists of: its index, rules, areas, policies and error pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_to_bytes

from bypass.errors import SiteError
from bypass.site.errorpages import ALLOW, CLOSING, Page, area_page, error_page
from bypass.site.heads import divide_fields, make_front
from bypass.site.index import slots_for
from bypass.site.layout import (
    AREA,
    DIGEST_BYTES,
    KEY_AREA,
    KEY_HOST,
    KEY_PAGE,
    KEY_POLICY,
    KEY_WILD_HOST,
    LINE,
    LINE_BYTES_MOST,
    LINES_MOST,
    NONE,
    POLICY,
    SALT_BYTES,
    ErrorSlot,
    HostFeature,
    HostRecord,
    RuleFlag,
    RuleRecord,
)
from bypass.site.plan import REDIRECTS, Planner
from bypass.site.resource import Area, CorsPolicy, Host, RequestRule, Resource, Site, area_of
from bypass.site.rulecode import compile_rule, rule_text
from bypass.site.text import printable

RULES_MOST = 4096
_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_ERROR_STATUSES = {slot.status: slot for slot in ErrorSlot if slot.status >= 400}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(slots=True)
class Tables:
    """The small sections, record by record, and the keys of every index: host by host, then the names'."""

    keys: list[list[tuple[bytes, int]]] = field(default_factory=list)
    names: list[tuple[bytes, int]] = field(default_factory=list)
    hosts: list[HostRecord] = field(default_factory=list)
    rules: list[bytes] = field(default_factory=list)
    areas: list[bytes] = field(default_factory=list)
    policies: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    default_host: int = NONE
    errors: tuple[int, ...] = ()


def make_tables(site: Site, planner: Planner) -> Tables:
    """Adds all hosts to the plan. The error pages of our own come first."""
    tables = Tables()
    own = tuple(planner.page(error_page(slot)) for slot in ErrorSlot)
    if not site.hosts:
        raise SiteError("the site has no host")
    slots_first = 0
    for number, host in enumerate(site.hosts):
        record = _HostMaker(host, planner, tables, own, slots_first).make()
        tables.hosts.append(record)
        slots_first += record.slots_count
        _name_host(tables, host, number)
    tables.names.sort()
    tables.errors = own if tables.default_host == NONE else tables.hosts[tables.default_host].errors
    return tables


def _name_host(tables: Tables, host: Host, number: int) -> None:
    if host.default:
        if tables.default_host != NONE:
            raise SiteError("two virtual hosts answer for every name", remedy="Let one be the default")
        tables.default_host = number
    elif not host.names:
        raise SiteError("a virtual host has no name, and is not the default: nobody could reach it")
    for name in host.names:
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise SiteError(
                f"{name!r} is no name of a host", remedy="Write it like example.org or *.example.org"
            )
        wild = name.startswith("*.")
        key = KEY_WILD_HOST + name[1:].encode("ascii") if wild else KEY_HOST + name.encode("ascii")
        if any(key == known for known, _ in tables.names):
            raise SiteError(f"two virtual hosts have the name {name}")
        tables.names.append((key, number))


class _HostMaker:
    """Turns one host into its record; what it consists of goes into plan and tables."""

    def __init__(
        self, host: Host, planner: Planner, tables: Tables, own: tuple[int, ...], slots_first: int
    ) -> None:
        self.host, self.planner, self.tables = host, planner, tables
        self.areas_first = len(tables.areas)
        self.errors = list(own)
        self.slots_first = slots_first
        self.keys: dict[bytes, int] = {}
        self.pages = 0
        self.depth = 0

    def make(self) -> HostRecord:
        host = self.host
        self._add_errors()
        for area in host.areas:
            self.tables.areas.append(self._area(area))
        for path, resource in sorted(host.resources.items()):
            if not path.startswith(b"/") or b"\0" in path:
                raise SiteError(f"{printable(path)}: no path", why="a path begins with a slash")
            self.keys[path] = self.planner.resource(resource, path, area=self._area_number(path, resource))
        self._add_policies()
        rules_first = len(self.tables.rules)
        self.tables.rules += [self._rule(rule) for rule in host.rules]
        if len(host.rules) > RULES_MOST:
            raise SiteError(f"a host has {len(host.rules)} rules, allowed are {RULES_MOST}")
        for number, area in enumerate(host.areas, self.areas_first):
            self._add_key(KEY_AREA, area.prefix, number)
        self.tables.keys.append(sorted(self.keys.items()))
        return HostRecord(
            slots_first=self.slots_first,
            slots_count=slots_for(len(self.keys)),
            features=self._features(),
            depth=self.depth,
            rules_first=rules_first,
            rules_count=len(host.rules),
            pages=self.pages,
            errors=tuple(self.errors),
        )

    def _features(self) -> int:
        host = self.host
        return (
            HostFeature.RULES * bool(host.rules)
            | HostFeature.FORCED * any(rule.forced for rule in host.rules)
            | HostFeature.AREAS * bool(host.areas)
            | HostFeature.POLICIES * bool(host.cors)
        )

    def _add_key(self, kind: bytes, prefix: bytes, number: int) -> None:
        """A key for a folder and all below it."""
        if not prefix.startswith(b"/"):
            raise SiteError(f"{printable(prefix)}: no path", why="a path begins with a slash")
        folder = prefix.rstrip(b"/") + b"/"
        if kind + folder in self.keys:
            raise SiteError(f"{printable(prefix)}: said twice")
        self.keys[kind + folder] = number
        self.depth = max(self.depth, folder.count(b"/") - 1)

    def _area_number(self, path: bytes, resource: Resource) -> int:
        if resource.area is not None and not 0 <= resource.area < len(self.host.areas):
            raise SiteError(f"{printable(path)}: its host has no area {resource.area}")
        number = area_of(self.host.areas, path) if resource.area is None else resource.area
        return NONE if number is None else self.areas_first + number

    def _add_errors(self) -> None:
        for (status, folder), resource in sorted(self.host.errors.items(), key=lambda item: item[0]):
            if status == 401:
                continue  # _area() looks for it
            slot = _ERROR_STATUSES.get(status)
            if slot is None or resource.status != status:
                raise SiteError(f"{printable(folder)}: no page for status {status} can be set here")
            fields = (*resource.fields, ALLOW) if status == 405 else resource.fields
            resource = replace(resource, fields=fields)
            number = self._error(resource, folder, closes=status in CLOSING)
            if folder == b"/":
                self.errors[slot] = number
            else:
                self._add_key(KEY_PAGE + bytes([65 + slot]), folder, number)
                self.pages |= 1 << slot

    def _error(self, resource: Resource, folder: bytes, *, closes: bool = False) -> int:
        if resource.representations and resource.representations[0].coding:
            raise SiteError(f"{printable(folder)}: an error page needs its plain form, too")
        return self.planner.resource(resource, folder, closes=closes)

    def _area(self, area: Area) -> bytes:
        if not re.fullmatch(r"[ !\x23-\x5b\x5d-\x7e]+", area.realm):
            raise SiteError(f"{area.realm!r} is no realm", remedy="Use ASCII without quotes and backslashes")
        if len(area.salt) != SALT_BYTES or any(len(each) != DIGEST_BYTES for each in area.digests):
            raise SiteError(f"area {printable(area.prefix)}: its credentials are malformed")
        around = area.prefix.rstrip(b"/") + b"/"
        folders = [
            folder for status, folder in self.host.errors if status == 401 and around.startswith(folder)
        ]
        page = self.host.errors[401, max(folders, key=len)] if folders else area_page()
        challenge = ("WWW-Authenticate", f'Basic realm="{area.realm}", charset="UTF-8"')
        page = replace(page, status=401, fields=(*page.fields, challenge))
        digests = self.planner.plan.add_text(b"".join(sorted(set(area.digests))))
        return AREA.pack(self._error(page, area.prefix), digests, len(set(area.digests)), area.salt)

    # ---- rules ----

    def _rule(self, rule: RequestRule) -> bytes:
        programs = compile_rule(rule)
        plan = self.planner.plan
        pattern, query, target = (
            (plan.add_text(program), len(program))
            for program in (programs.pattern, programs.query, programs.target)
        )
        flags = RuleFlag.FORCED * rule.forced | RuleFlag.KEEPS_QUERY * rule.keeps_query
        if rule.status in REDIRECTS:
            flags |= RuleFlag.REDIRECT
        if any("?" in part for part in rule.target if isinstance(part, str)):
            flags &= ~RuleFlag.KEEPS_QUERY
        answer = self._answer(rule)
        return RuleRecord(*pattern, *target, *query, answer, rule.status, int(flags)).pack()

    def _answer(self, rule: RequestRule) -> int:
        if rule.status in REDIRECTS:
            return self.planner.bare(rule.status)
        literal = len(rule.target) == 1 and isinstance(rule.target[0], str)
        path = unquote_to_bytes(str(rule.target[0])) if literal else b""
        if rule.status == 200:
            return self.keys.get(path, NONE)
        resource = self.host.resources.get(path)
        if resource is None or resource.location:
            raise SiteError(
                f"rule {rule_text(rule)}: cannot be used",
                why=f"status {rule.status} needs a page of the site as its target",
            )
        return self.planner.resource(
            replace(resource, status=rule.status), path, area=self._area_number(path, resource)
        )

    # ---- who else may read ----

    def _add_policies(self) -> None:
        for policy in self.host.cors:
            self._add_key(KEY_POLICY, policy.prefix, len(self.tables.policies))
            self.tables.policies.append(self._policy(policy))

    def _policy(self, policy: CorsPolicy) -> bytes:
        anyone = policy.origins == ("*",)
        if not policy.origins or ("*" in policy.origins and not anyone) or (anyone and policy.credentials):
            raise SiteError(
                f"cross-origin rule for {printable(policy.prefix)}: origins {', '.join(policy.origins)!r}",
                why='either "*", without credentials, or the origins by name',
            )
        first = len(self.tables.lines)
        self._line(_allowed("*", policy) if anyone else [("Vary", "Origin")])
        for origin in () if anyone else policy.origins:
            if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+|null", origin):
                raise SiteError(f"{origin!r} is no origin", remedy="Write it like https://example.org")
            self._text(origin.encode("ascii"))
            self._line([*_allowed(origin, policy), ("Vary", "Origin")])
        if len(self.tables.lines) > LINES_MOST:
            raise SiteError(f"more than {LINES_MOST // 2} origins are allowed to read")
        origins = 0 if anyone else len(policy.origins)
        return POLICY.pack(self._preflight(policy), first, origins, anyone)

    def _preflight(self, policy: CorsPolicy) -> int:
        for name in (*policy.methods, *policy.headers):
            if not _TOKEN.fullmatch(name):
                raise SiteError(f"{name!r} is neither a method nor a header field")
        fields = [ALLOW, ("Access-Control-Allow-Methods", ", ".join(policy.methods))]
        if policy.headers:
            fields.append(("Access-Control-Allow-Headers", ", ".join(policy.headers)))
        fields.append(("Access-Control-Max-Age", str(policy.max_age_s)))
        return self.planner.page(Page(204, make_front(204, None, fields), b"", closes=False))

    def _line(self, fields: list[tuple[str, str]]) -> None:
        divide_fields(fields, negotiated=False)
        self._text("".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii"))

    def _text(self, octets: bytes) -> None:
        if len(octets) > LINE_BYTES_MOST:
            raise SiteError(f"a cross-origin rule needs a line of {len(octets)} octets")
        self.tables.lines.append(LINE.pack(self.planner.plan.add_text(octets), len(octets)))


def _allowed(origin: str, policy: CorsPolicy) -> list[tuple[str, str]]:
    fields = [("Access-Control-Allow-Origin", origin)]
    if policy.credentials:
        fields.append(("Access-Control-Allow-Credentials", "true"))
    if policy.exposed:
        fields.append(("Access-Control-Expose-Headers", ", ".join(policy.exposed)))
    return fields
