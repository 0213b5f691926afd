"""Header fields of an answer by its path: presets, [site] tables and `_headers`, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bypass.site.rules.fingerprint import is_fingerprinted
from bypass.site.rules.headers import HeaderRule, Setting, effective_fields, make_setting
from bypass.site.rules.pattern import Pattern
from bypass.site.rules.settings import SiteSettings

IMMUTABLE = "public, max-age=31536000, immutable"

_BASIC = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
_STRICT = (
    *_BASIC,
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'self'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
PRESETS: dict[str, tuple[tuple[str, str], ...]] = {"off": (), "basic": _BASIC, "strict": _STRICT}
"""security-headers -> fields. Left to whoever ends TLS, because browsers ignore them over HTTP, one with an
error: Strict-Transport-Security and Cross-Origin-Opener-Policy."""

Fields = tuple[tuple[str, str], ...]
_POLICY_FIELDS = frozenset(
    {"access-control-allow-credentials", "access-control-allow-origin", "access-control-expose-headers"}
)
"""What [[site.cors]] says by itself, for each origin what is right for it."""


class FieldRules:
    """The fields of a path. Rules without placeholders are worked out once for each set that matches."""

    def __init__(self, settings: SiteSettings, headers: Iterable[HeaderRule] = ()) -> None:
        self._rules = [*table_rules(settings), *headers]
        self.warnings: list[str] = []
        if settings.cors:
            self._leave_to_policies()
        self._preset = PRESETS[settings.security_headers]
        self._cache_control = settings.cache_control
        self._immutable = settings.immutable
        self._known: dict[tuple[bool, tuple[int, ...]], Fields] = {}

    def of(self, url: bytes) -> Fields:
        """The fields of a file's answer."""
        if not self._rules and not self._immutable:
            return self._worked_out(url, (), fresh=False)
        matched = tuple(number for number, rule in enumerate(self._rules) if rule.pattern.matches(url))
        return self._worked_out(url, matched, self._immutable and is_fingerprinted(url))

    def _leave_to_policies(self) -> None:
        """Said twice, or differently by two, browsers refuse the answer (Fetch standard 4.9)."""
        taken: set[str] = set()
        for number, rule in enumerate(self._rules):
            kept = tuple(each for each in rule.settings if each.name.lower() not in _POLICY_FIELDS)
            taken |= {each.name for each in rule.settings} - {each.name for each in kept}
            self._rules[number] = replace(rule, settings=kept)
        if taken:
            names = ", ".join(sorted(taken))
            self.warnings.append(f"{names} of the rules for headers: left to [[site.cors]] in the whole host")

    @property
    def preset(self) -> Fields:
        return self._preset

    def _worked_out(self, url: bytes, matched: tuple[int, ...], fresh: bool) -> Fields:
        found = self._known.get((fresh, matched))
        if found is not None:
            return found
        rules = [self._rules[number] for number in matched]
        fields = tuple(effective_fields(rules, url, self._defaults(fresh)))
        if not any(_depends(setting) for rule in rules for setting in rule.settings):
            self._known[fresh, matched] = fields
        return fields

    def _defaults(self, fresh: bool) -> Fields:
        value = IMMUTABLE if fresh else self._cache_control
        return (*self._preset, ("Cache-Control", value)) if value else self._preset


def table_rules(settings: SiteSettings) -> list[HeaderRule]:
    """[[site.cache]] and [[site.header]] as rules."""
    rules = [
        _rule(
            table.path,
            [("Cache-Control", table.value)] if table.value else [],
            [] if table.value else ["Cache-Control"],
        )
        for table in settings.cache
    ]
    return rules + [_rule(table.path, table.set.items(), table.remove) for table in settings.header]


def _rule(path: str, fields: Iterable[tuple[str, str]], remove: Sequence[str]) -> HeaderRule:
    pattern = Pattern.parse(path)
    settings = [make_setting(name, None) for name in remove]
    settings += [make_setting(name, value, pattern.names) for name, value in fields]
    return HeaderRule(pattern, tuple(settings))


def _depends(setting: Setting) -> bool:
    return setting.value is not None and bool(setting.value.names)


def take_content_type(fields: Fields, kind: str) -> tuple[str, Fields]:
    """Content-Type stands apart from the other fields: a rule's one, or `kind`, and the rest."""
    for number, (name, value) in enumerate(fields):
        if name.lower() == "content-type":
            return value, fields[:number] + fields[number + 1 :]
    return kind, fields
