"""What the tests under loss set on a pair: offloads off, so that a drop takes one packet; CUBIC for a
kernel's server; random loss by nftables at the client's end.
"""

from __future__ import annotations

from bypass.serve.vethpair import VethPair

RULES = """
table inet loss {{
    chain arriving {{
        type filter hook prerouting priority -300;
        iifname "{ifname}" numgen random mod 100 < {percent} counter drop
    }}
    chain leaving {{
        type filter hook output priority -300;
        oifname "{ifname}" numgen random mod 100 < {percent} counter drop
    }}
}}
"""


def must(pair: VethPair, *command: str, server: bool = False, text: str | None = None) -> str:
    """Runs a command at one end; its output."""
    done = pair.run(command, server=server, input=text)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return str(done.stdout)


def no_offloads(pair: VethPair, *more: str) -> None:
    """On both ends. `more`: names of further offloads."""
    words = [word for name in ("tso", "gso", "gro", *more) for word in (name, "off")]
    must(pair, "ethtool", "-K", pair.client.ifname, *words)
    must(pair, "ethtool", "-K", pair.server.ifname, *words, server=True)


def lose(pair: VethPair, percent: int) -> None:
    """Of packets to and from the client, at random."""
    must(pair, "nft", "-f", "-", text=RULES.format(ifname=pair.client.ifname, percent=percent))


def dropped(pair: VethPair) -> list[int]:
    """Packets that each of the two chains dropped."""
    words = must(pair, "nft", "list", "table", "inet", "loss").split()
    return [int(words[place + 1]) for place, word in enumerate(words) if word == "packets"]


def cubic(pair: VethPair) -> None:
    """For connections that the kernel takes at the server's end. By route, for the setting of a namespace
    knows only what the machine's administrator has allowed to all."""
    network = next(
        line.split()[0]
        for line in must(pair, "ip", "-4", "route", server=True).splitlines()
        if "scope link" in line
    )
    source = str(pair.server.v4)
    route = ["ip", "route", "replace", network, "dev", pair.server.ifname, "src", source, "proto", "kernel"]
    must(pair, *route, "scope", "link", "congctl", "cubic", server=True)
