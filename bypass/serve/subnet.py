"""Networks for a demonstration that clash with nothing: 198.18.0.0/15 (RFC 2544) and fd00::/8 (RFC 4193)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar

from pyroute2 import IPRoute

from bypass.errors import UnavailableError

Network = IPv4Network | IPv6Network
Kind = TypeVar("Kind", IPv4Network, IPv6Network)

_BENCHMARK = IPv4Network("198.18.0.0/15")
_TRIES = 64


@dataclass(frozen=True, slots=True)
class Subnets:
    """One network of each version."""

    v4: IPv4Network
    v6: IPv6Network


def free_subnets(taken: Iterable[Network], choose: random.Random) -> Subnets:
    """Two networks that overlap none of `taken`. UnavailableError when none was found."""
    used = list(taken)
    return Subnets(
        v4=_first_free((_random_v4(choose) for _ in range(_TRIES)), used),
        v6=_first_free((_random_v6(choose) for _ in range(_TRIES)), used),
    )


def routed_networks() -> list[Network]:
    """Where this network namespace has routes to, default routes left out."""
    with IPRoute() as route:
        return [
            ip_network((record.get("dst"), record["dst_len"]))
            for record in route.get_routes()
            if record.get("dst") and record["dst_len"]
        ]


def _random_v4(choose: random.Random) -> IPv4Network:
    subnets = 1 << (24 - _BENCHMARK.prefixlen)
    return IPv4Network((int(_BENCHMARK.network_address) + (choose.randrange(subnets) << 8), 24))


def _random_v6(choose: random.Random) -> IPv6Network:
    return IPv6Network(((0xFD << 120) | (choose.getrandbits(40) << 80), 64))


def _first_free(candidates: Iterable[Kind], used: list[Network]) -> Kind:
    for candidate in candidates:
        same_version = [other for other in used if isinstance(other, type(candidate))]
        if not any(candidate.overlaps(other) for other in same_version):
            return candidate
    raise UnavailableError("no free network was found for the demonstration")
