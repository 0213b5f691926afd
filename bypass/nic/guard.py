"""Whether a person may be cut off: the default route, and the SSH session that the command runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from bypass.errors import BypassError

_UPPERS = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec"})
_MOST_ANCESTORS = 64


def reasons_to_keep(ifname: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Why the interface, or the bond or bridge that it belongs to, must not fail; none: it may."""
    environment = os.environ if environment is None else environment
    with IPRoute() as route:
        links = {int(link["index"]): link for link in route.get_links()}
        start = next((index for index, link in links.items() if link.get("ifname") == ifname), None)
        if start is None:
            return ()
        mine = carried(start, links)
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


def carried(index: int, links: Mapping[int, Any]) -> set[int]:
    """The interface and all that would fall with it: the bond or bridge that it is a port of, and what
    stands on it (VLAN, macvlan), also in turn."""
    found: set[int] = set()
    left = [index]
    while left:
        current = left.pop()
        if current in found or current not in links:
            continue
        found.add(current)
        master = links[current].get("master")
        left += [number for number, link in links.items() if number == master or _stands_on(link, current)]
    return found


def _stands_on(link: Any, index: int) -> bool:
    """A veth names its other end in the same attribute, which is no part of it."""
    info = link.get("linkinfo")
    here = link.get("link_netnsid") is None
    return info is not None and info.get("kind") in _UPPERS and here and link.get("link") == index


def ssh_connection(environment: Mapping[str, str]) -> str:
    """SSH_CONNECTION, of this process or of the nearest ancestor that has it: sudo takes it out. Or empty."""
    text = environment.get("SSH_CONNECTION", "")
    process = os.getppid()
    for _ in range(_MOST_ANCESTORS):
        if text or process <= 1:
            break
        folder = Path("/proc", str(process))
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            process = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        prefix = b"SSH_CONNECTION="
        text = next(
            (one[len(prefix) :].decode(errors="replace") for one in variables if one.startswith(prefix)), ""
        )
    return text


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
    words = ssh_connection(environment).split()
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
