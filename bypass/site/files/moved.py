"""Redirect and rewrite rules: what can be looked up becomes resources, the rest is tried for each request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote_to_bytes

from bypass.errors import SiteError
from bypass.site.errorpages import redirect
from bypass.site.resource import RequestRule, Resource, Wild
from bypass.site.rules.redirects import RedirectRule

_URI_SAFE = "/:@!$&'()*+,;=~?#[]%"


@dataclass(slots=True)
class Moved:
    """resources: by path, to be laid over the site's own. rules: in their order."""

    resources: dict[bytes, Resource] = field(default_factory=dict)
    rules: list[RequestRule] = field(default_factory=list)
    shadowed: int = 0


def apply_rules(rules: Iterable[RedirectRule], site: dict[bytes, Resource], either_slash: bool) -> Moved:
    """What `rules` add to the resources of a host. either_slash: a path also matches with, or without, a
    slash at its end. SiteError for a rewrite to a page that there is not."""
    moved = Moved()
    tried: list[RedirectRule] = []
    for rule in rules:
        literal = rule.source.literal
        if literal is None or not rule.is_static or any(before.source.matches(literal) for before in tried):
            moved.rules += _request_rules(rule, site, either_slash)
            tried.append(rule)
            continue
        answer = _static_answer(rule, site)
        taken = literal in site or literal in moved.resources
        if literal not in moved.resources and (rule.force or literal not in site):
            moved.resources[literal] = answer
        moved.shadowed += taken and not rule.force
        other = _unless_target(_other_slash(literal), rule)
        if either_slash and other and other not in site and other not in moved.resources:
            moved.resources[other] = answer
    return moved


def _static_answer(rule: RedirectRule, site: dict[bytes, Resource]) -> Resource:
    text = rule.target.literal
    assert text is not None
    if rule.is_redirect:
        return redirect(quote(text, safe=_URI_SAFE), rule.status)
    return with_status(page_at(rule, text, site), rule.status)


def page_at(rule: RedirectRule, text: str, site: dict[bytes, Resource]) -> Resource:
    """The page that a rewrite leads to."""
    path = unquote_to_bytes(text.partition("#")[0].partition("?")[0])
    found = site.get(path)
    if found is None or found.location:
        raise SiteError(
            f"{rule.origin or 'rewrite'}: {rule.source.text} to {text}",
            why="the site has no page there",
            remedy="Name the path of a file of the site",
        )
    return found


def with_status(page: Resource, status: int) -> Resource:
    return page if page.status == status else replace(page, status=status, modified=0)


def _request_rules(rule: RedirectRule, site: dict[bytes, Resource], either_slash: bool) -> list[RequestRule]:
    target: tuple[str | Wild, ...] = tuple(
        quote(part, safe=_URI_SAFE) if isinstance(part, str) else part for part in rule.target.parts
    )
    text = rule.target.literal
    if not rule.is_redirect and text is not None:
        page_at(rule, text, site)
    query = tuple((name, Wild(value[1:]) if value.startswith(":") else value) for name, value in rule.query)
    # A query that is a part of the rule is used up by it.
    made = RequestRule(rule.source.parts, target, rule.status, rule.force, not query, query)
    literal = rule.source.literal
    other = _unless_target(_other_slash(literal) if literal is not None else _folder_itself(rule), rule)
    if not either_slash or not other:
        return [made]
    bare = target if literal is not None else tuple(part for part in target if isinstance(part, str))
    return [made, replace(made, pattern=(other,), target=bare)]


def _unless_target(path: bytes, rule: RedirectRule) -> bytes:
    """`path`, or nothing where the rule leads there: /blog/* to /blog does not mean /blog itself."""
    text = "".join(part for part in rule.target.parts if isinstance(part, str))
    leads_there = unquote_to_bytes(text.partition("#")[0].partition("?")[0]) == path
    return b"" if rule.is_redirect and leads_there else path


def _folder_itself(rule: RedirectRule) -> bytes:
    """/blog for /blog/*: that pattern means the folder, too."""
    first, *rest = rule.source.parts
    below = len(rest) == 1 and isinstance(rest[0], Wild) and rest[0].star
    return first[:-1] if below and isinstance(first, bytes) and first.endswith(b"/") else b""


def _other_slash(path: bytes) -> bytes:
    """The same path with a slash at its end, or without; nothing for the root and for names of files."""
    if path == b"/":
        return b""
    if path.endswith(b"/"):
        return path[:-1]
    return b"" if b"." in path.rpartition(b"/")[2] else path + b"/"
