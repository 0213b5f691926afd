"""A client behind a router whose far link takes smaller packets than ours.

The client's end of a pair becomes the router; the client has a namespace of its own behind it. Its own link
is set to 1500, so that its MSS promises more than the way to it takes.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bypass.serve.vethpair import VethPair

_numbers = itertools.count()


@contextmanager
def far_client(pair: VethPair, mtu_bytes: int) -> Iterator[str]:
    """The name of the client's network namespace. 203.0.113.2 and 2001:db8:f::2 reach the pair's networks."""
    far = f"bypass-{os.getpid()}-{next(_numbers)}-far"
    near = pair.client.namespace
    inside_near, inside_far = ("-n", str(near)), ("-n", far)
    with ExitStack() as undo:
        _ip("netns", "add", far)
        undo.callback(_ip, "netns", "del", far)
        link = ("link", "add", "far0", "mtu", str(mtu_bytes), "type", "veth")
        _ip(*inside_near, *link, "peer", "name", "near0", "mtu", "1500", "netns", far)
        for namespace, device, host in ((inside_near, "far0", 1), (inside_far, "near0", 2)):
            _ip(*namespace, "addr", "add", f"203.0.113.{host}/24", "dev", device)
            _ip(*namespace, "addr", "add", f"2001:db8:f::{host}/64", "dev", device, "nodad")
            _ip(*namespace, "link", "set", device, "up")
        _ip(*inside_far, "route", "add", "default", "via", "203.0.113.1")
        _ip(*inside_far, "-6", "route", "add", "default", "via", "2001:db8:f::1")
        with pair.inside_client():
            for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", setting).write_text("1")
        yield far


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
