"""Frames of every kind that the engine reads, for the fuzzer to change: each with an octet before it that
says what is to be made right (cython_ext/fuzz/wire.pxd)."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

OURS, PEER, ALL = "02:00:00:00:00:01", "02:77:00:00:00:01", "ff:ff:ff:ff:ff:ff"
V4, OWN_V4, V6, OWN_V6 = "10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"
GROUP, GROUP_MAC = "ff02::1:ff00:2", "33:33:ff:00:00:02"
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]
SACKED = [("NOP", None), ("NOP", None), ("SAck", (1000, 2000, 3000, 4000))]


def _tcp() -> list[Packet]:
    quad = {"sport": 4000, "dport": 80, "seq": 1000}
    return [
        IP(src="10.0.0.9", dst=V4) / TCP(flags="S", options=OPTIONS, **quad),
        IP(src="10.0.0.9", dst=OWN_V4) / TCP(flags="S", **quad),
        IPv6(src="fd00::9", dst=V6) / TCP(flags="S", options=OPTIONS[:1], **quad),
        IP(src="10.0.0.9", dst=V4) / TCP(flags="A", ack=77, options=OPTIONS[2:3], **quad),
        IP(src="10.0.0.9", dst=V4) / TCP(flags="A", ack=77, options=SACKED, **quad),
        IPv6(src="fd00::9", dst=V6) / TCP(flags="PA", ack=77, **quad) / b"GET / HTTP/1.1\r\n\r\n",
        IP(src="10.0.0.9", dst=V4, options=b"\x01" * 8) / TCP(flags="FA", **quad),
        IPv6(src="fd00::9", dst=V6) / IPv6ExtHdrHopByHop() / TCP(flags="S", **quad),
        IP(src="10.0.0.9", dst=V4, flags="MF") / TCP(flags="R", **quad),
    ]


def _control() -> list[Packet]:
    quoted_v4 = IP(src=OWN_V4, dst="10.0.0.9", len=1500) / TCP(sport=80, dport=4000, seq=5)
    quoted_v6 = IPv6(src=OWN_V6, dst="fd00::9", plen=1400) / TCP(sport=80, dport=4000, seq=5)
    return [
        IP(src="10.0.0.9", dst=OWN_V4) / ICMP() / b"echo",
        IP(src="10.0.0.9", dst=OWN_V4) / ICMP(type=3, code=4, nexthopmtu=1300) / quoted_v4,
        IP(src="10.0.0.9", dst=OWN_V4) / ICMP(type=3, code=4, nexthopmtu=0) / quoted_v4,
        IPv6(src="fd00::9", dst=OWN_V6) / ICMPv6EchoRequest(data=b"echo"),
        IPv6(src="fd00::9", dst=OWN_V6) / ICMPv6PacketTooBig(mtu=1280) / quoted_v6,
        IPv6(src="fd00::9", dst=OWN_V6) / ICMPv6DestUnreach() / quoted_v6,
        IPv6(src="fd00::9", dst=OWN_V6, hlim=255)
        / ICMPv6ND_NS(tgt=OWN_V6)
        / ICMPv6NDOptSrcLLAddr(lladdr=PEER),
        IPv6(src="fd00::9", dst=V6, hlim=255) / ICMPv6ND_NA(tgt=OWN_V6) / ICMPv6NDOptDstLLAddr(lladdr=PEER),
    ]


def frame_seeds() -> list[bytes]:
    probe = IPv6(src="::", dst=GROUP, hlim=255) / ICMPv6ND_NS(tgt=OWN_V6)
    frames = [
        *(Ether(src=PEER, dst=OURS) / packet for packet in [*_tcp(), *_control()]),
        *(Ether(src=PEER, dst=OURS) / Dot1Q(vlan=7) / packet for packet in [_tcp()[0], _control()[0]]),
        Ether(src=PEER, dst=GROUP_MAC) / probe,
        Ether(src=PEER, dst=ALL) / ARP(hwsrc=PEER, psrc="10.0.0.9", pdst=OWN_V4),
        Ether(src=PEER, dst=ALL) / ARP(hwsrc=PEER, psrc="0.0.0.0", pdst=OWN_V4),
        Ether(src=PEER, dst=ALL) / ARP(op=2, hwsrc=PEER, psrc=OWN_V4, pdst="10.0.0.9"),
    ]
    return [kind + bytes(frame) for frame in frames for kind in (b"\x01", b"\x02")]
