"""Whether a person may be cut off: the default route, and the SSH session that the command runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from pyroute2 import IPRoute

from bypass.errors import BypassError


def reasons_to_keep(ifname: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Why the interface, or the bond or bridge that it belongs to, must not fail; none: it may."""
    environment = os.environ if environment is None else environment
    with IPRoute() as route:
        links = {int(link["index"]): link for link in route.get_links()}
        start = next((index for index, link in links.items() if link.get("ifname") == ifname), None)
        if start is None:
            return ()
        mine = _with_masters(start, links)
        found = []
        if mine & _default_route_links(route):
            found.append("the default route")
        if mine & _ssh_links(route, environment):
            found.append("this SSH session")
    return tuple(found)


def require_expendable(ifname: str, serves: tuple[str, ...], *, force: bool) -> None:
    """BypassError unless nothing depends on the interface, or the person insists."""
    if serves and not force:
        raise BypassError(
            f"{ifname} carries {' and '.join(serves)}: not changed",
            why="a step can reset the link or leave it without packets",
            remedy="Name another interface, or insist with --force and --rollback-after 30s",
        )


def _with_masters(index: int, links: Mapping[int, Any]) -> set[int]:
    """The interface and those above it: bond, bridge, team."""
    found: set[int] = set()
    current: int | None = index
    while current is not None and current not in found:
        found.add(current)
        link = links.get(current)
        current = link.get("master") if link is not None else None
    return found


def _default_route_links(route: Any) -> set[int]:
    found = set()
    for record in route.get_default_routes(table=254):
        if record.get("oif") is not None:
            found.add(int(record.get("oif")))
        for hop in record.get("multipath") or ():
            found.add(int(hop["oif"]))
    return found


def _ssh_links(route: Any, environment: Mapping[str, str]) -> set[int]:
    """Interfaces that have the address which the session came to (SSH_CONNECTION: peer, port, ours, port)."""
    words = environment.get("SSH_CONNECTION", "").split()
    if len(words) != 4:
        return set()
    found = set()
    with suppress(ValueError):
        ours = ip_address(words[2].partition("%")[0])
        for record in route.get_addr():
            text = record.get("local") or record.get("address")
            if text and ip_address(text) == ours:
                found.add(int(record["index"]))
    return found
