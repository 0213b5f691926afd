"""Frames that are no TCP to us: what they ask, checked before anything believes it.

For addresses that are ours alone, ARP, neighbour discovery and echo are answered (net/reply.pxd). An ICMP
error about the path MTU becomes a PathMtu; whether a connection believes it is TCP's to say.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from cython_ext.base.counters cimport (
    C_DROP_CONTROL, C_DROP_NOT_IP, C_DROP_NOT_TCP, C_DROP_OTHER_MAC, count,
)
from cython_ext.net.address cimport (
    ADDRESS_BYTES, LOCAL_NONE, Local, address_from_v4, local_find_v4, local_find_v6, v4_is_bad_source,
    v6_is_bad_source,
)
from cython_ext.net.reply cimport (
    Control, Replies, defend_v4, defend_v6, reply_arp, reply_echo_v4, reply_echo_v6, reply_solicitation,
)
from cython_ext.wire.arp cimport ARP_REQUEST, Arp, arp_parse
from cython_ext.wire.bytes cimport load_be16, load_be32, load_u32, load_u64
from cython_ext.wire.ethernet cimport ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ethernet_parse
from cython_ext.wire.icmp cimport (
    ICMP_BYTES, ICMP_ECHO_REQUEST, ICMP_FRAGMENTATION_NEEDED, ICMP_UNREACHABLE, ICMPV6_ECHO_REQUEST,
    ICMPV6_PACKET_TOO_BIG, QuotedTcp, icmp_is_sound, icmpv6_pseudo, quoted_parse_v4, quoted_parse_v6,
)
from cython_ext.wire.ipv4 cimport (
    IP_OTHER_PROTOCOL, IP_PROTOCOL_ICMP, IP_PROTOCOL_ICMPV6, IPV4_BYTES, IpVerdict, ipv4_parse,
)
from cython_ext.wire.ipv6 cimport ipv6_parse
from cython_ext.wire.ndp cimport (
    NDP_ADVERTISEMENT, NDP_HOP_LIMIT, Neighbour, is_solicited_node, ndp_parse,
)

cdef enum ControlVerdict:
    CONTROL_NOTHING             # the frame is free
    CONTROL_REPLY               # the frame holds an answer
    CONTROL_PATH_MTU            # see PathMtu; the frame is free

cdef struct PathMtu:
    uint8_t peer_address[ADDRESS_BYTES]     # IPv4 mapped: whom the quoted segment was for
    uint16_t peer_port
    uint8_t local               # number of our address
    uint32_t mtu                # octets of an IP packet
    uint32_t seq                # of the quoted segment


cdef inline ControlVerdict control_input(Replies *replies, Control *control, PathMtu *hint) noexcept nogil:
    """`control`: all but eth and packet are filled in. Counts what it does not take."""
    cdef bint to_us = memcmp(control.frame.data, control.mac, 6) == 0
    if not ethernet_parse(control.frame.data, control.frame.bytes, &control.eth):
        return CONTROL_NOTHING
    if control.eth.ethertype == ETHERTYPE_ARP:
        return control_arp(replies, control, to_us)
    if control.eth.ethertype == ETHERTYPE_IPV4:
        return control_ipv4(replies, control, hint, to_us)
    if control.eth.ethertype == ETHERTYPE_IPV6:
        return control_ipv6(replies, control, hint, to_us)
    count(control.counters, C_DROP_NOT_IP)
    return CONTROL_NOTHING


cdef inline ControlVerdict nothing(Control *control) noexcept nogil:
    count(control.counters, C_DROP_CONTROL)
    return CONTROL_NOTHING


cdef inline ControlVerdict no_control(Control *control, bint to_us) noexcept nogil:
    """Neither ARP nor ICMP: counted as what it is."""
    count(control.counters, C_DROP_NOT_TCP if to_us else C_DROP_OTHER_MAC)
    return CONTROL_NOTHING


cdef inline bint is_own(const Local *local, uint8_t number) noexcept nogil:
    return number != LOCAL_NONE and local.address[number].own


# ---- ARP ----

cdef inline ControlVerdict control_arp(Replies *replies, Control *control, bint to_us) noexcept nogil:
    cdef Arp arp
    cdef uint8_t number
    cdef bint answered
    if not arp_parse(
        control.frame.data + control.eth.bytes, control.frame.bytes - control.eth.bytes, &arp
    ) or memcmp(arp.sender_mac, control.mac, 6) == 0:
        return nothing(control)
    number = local_find_v4(control.local, arp.sender)
    if is_own(control.local, number):
        answered = defend_v4(replies, control, number)
        return CONTROL_REPLY if answered else CONTROL_NOTHING
    number = local_find_v4(control.local, arp.target)
    if arp.operation != ARP_REQUEST or not is_own(control.local, number):
        return nothing(control)
    if load_u32(arp.sender) != 0 and v4_is_bad_source(arp.sender):
        return nothing(control)
    answered = reply_arp(replies, control, &arp, number)
    return CONTROL_REPLY if answered else CONTROL_NOTHING


# ---- ICMP ----

cdef inline ControlVerdict control_ipv4(
    Replies *replies, Control *control, PathMtu *hint, bint to_us
) noexcept nogil:
    cdef const uint8_t *ip = control.frame.data + control.eth.bytes
    cdef IpVerdict verdict = ipv4_parse(ip, control.frame.bytes - control.eth.bytes, &control.packet)
    cdef const uint8_t *icmp = control.packet.payload
    cdef uint8_t number
    cdef bint answered
    if verdict != IP_OTHER_PROTOCOL or control.packet.protocol != IP_PROTOCOL_ICMP or not to_us:
        return no_control(control, to_us)
    if (
        v4_is_bad_source(control.packet.source)
        or local_find_v4(control.local, control.packet.source) != LOCAL_NONE
        or not icmp_is_sound(icmp, control.packet.payload_bytes, 0)
    ):
        return nothing(control)
    number = local_find_v4(control.local, control.packet.destination)
    if number == LOCAL_NONE:
        return nothing(control)
    if icmp[0] == ICMP_UNREACHABLE and icmp[1] == ICMP_FRAGMENTATION_NEEDED:
        return path_mtu_v4(control, number, hint)
    if (
        icmp[0] != ICMP_ECHO_REQUEST or icmp[1] != 0 or not control.local.address[number].own
        or icmp - ip != IPV4_BYTES
    ):
        return nothing(control)
    answered = reply_echo_v4(replies, control)
    return CONTROL_REPLY if answered else CONTROL_NOTHING


cdef inline ControlVerdict path_mtu_v4(Control *control, uint8_t number, PathMtu *hint) noexcept nogil:
    cdef const uint8_t *icmp = control.packet.payload
    cdef QuotedTcp quoted
    if not quoted_parse_v4(icmp + ICMP_BYTES, control.packet.payload_bytes - ICMP_BYTES, &quoted):
        return nothing(control)
    if load_u32(quoted.source) != load_u32(control.packet.destination):
        return nothing(control)
    address_from_v4(hint.peer_address, quoted.destination)
    hint.mtu = load_be16(icmp + 6)
    if hint.mtu == 0:
        hint.mtu = plateau_below(quoted.packet_bytes)
    return path_mtu_take(control, number, &quoted, hint)


cdef inline ControlVerdict path_mtu_take(
    Control *control, uint8_t number, const QuotedTcp *quoted, PathMtu *hint
) noexcept nogil:
    if quoted.source_port != control.local.port:
        return nothing(control)
    hint.peer_port = quoted.destination_port
    hint.local = number
    hint.seq = quoted.seq
    return CONTROL_PATH_MTU


cdef inline uint32_t plateau_below(uint32_t packet_bytes) noexcept nogil:
    """The next smaller MTU in use, for routers that name none (RFC 1191 5 and 7)."""
    if packet_bytes > 8166:
        return 8166
    if packet_bytes > 4352:
        return 4352
    if packet_bytes > 2002:
        return 2002
    if packet_bytes > 1492:
        return 1492
    return 1006 if packet_bytes > 1006 else 552


# ---- ICMPv6 ----

cdef inline ControlVerdict control_ipv6(
    Replies *replies, Control *control, PathMtu *hint, bint to_us
) noexcept nogil:
    cdef const uint8_t *ip = control.frame.data + control.eth.bytes
    cdef IpVerdict verdict = ipv6_parse(ip, control.frame.bytes - control.eth.bytes, &control.packet)
    cdef const uint8_t *icmp = control.packet.payload
    cdef uint32_t octets = control.packet.payload_bytes
    cdef Neighbour neighbour
    if verdict != IP_OTHER_PROTOCOL or control.packet.protocol != IP_PROTOCOL_ICMPV6:
        return no_control(control, to_us)
    if not icmp_is_sound(icmp, octets, icmpv6_pseudo(control.packet.source, control.packet.destination, octets)):
        return nothing(control)
    if ndp_parse(icmp, octets, &neighbour):
        return control_neighbour(replies, control, &neighbour)
    if not to_us:
        return no_control(control, to_us)
    return control_icmpv6(replies, control, hint)


cdef inline ControlVerdict control_icmpv6(Replies *replies, Control *control, PathMtu *hint) noexcept nogil:
    """Echo and "packet too big", both to one of our addresses."""
    cdef const uint8_t *icmp = control.packet.payload
    cdef uint8_t number = local_find_v6(control.local, control.packet.destination)
    cdef QuotedTcp quoted
    cdef bint answered
    if (
        number == LOCAL_NONE or icmp[1] != 0 or v6_is_bad_source(control.packet.source)
        or local_find_v6(control.local, control.packet.source) != LOCAL_NONE
    ):
        return nothing(control)
    if icmp[0] == ICMPV6_PACKET_TOO_BIG:
        if not quoted_parse_v6(icmp + ICMP_BYTES, control.packet.payload_bytes - ICMP_BYTES, &quoted):
            return nothing(control)
        if memcmp(quoted.source, control.packet.destination, 16) != 0:
            return nothing(control)
        memcpy(hint.peer_address, quoted.destination, 16)
        hint.mtu = load_be32(icmp + 4)
        return path_mtu_take(control, number, &quoted, hint)
    if icmp[0] != ICMPV6_ECHO_REQUEST or not control.local.address[number].own:
        return nothing(control)
    answered = reply_echo_v6(replies, control, number)
    return CONTROL_REPLY if answered else CONTROL_NOTHING


cdef inline ControlVerdict control_neighbour(
    Replies *replies, Control *control, const Neighbour *neighbour
) noexcept nogil:
    cdef const uint8_t *source = control.packet.source
    cdef const uint8_t *destination = control.packet.destination
    cdef uint8_t number = local_find_v6(control.local, neighbour.target)
    cdef bint unspecified = load_u64(source) == 0 and load_u64(source + 8) == 0
    cdef bint to_group, answered
    if (
        control.packet.hop_limit != NDP_HOP_LIMIT or not is_own(control.local, number)
        or memcmp(control.frame.data + 6, control.mac, 6) == 0 or control.frame.data[6] & 1
    ):
        return nothing(control)
    if neighbour.kind == NDP_ADVERTISEMENT:
        answered = defend_v6(replies, control, number)
        return CONTROL_REPLY if answered else CONTROL_NOTHING
    to_group = is_solicited_node(destination, neighbour.target)
    if not to_group and memcmp(destination, neighbour.target, 16) != 0:
        return nothing(control)
    if unspecified and (not to_group or neighbour.has_source_link):
        return nothing(control)
    if not unspecified and (
        v6_is_bad_source(source) or local_find_v6(control.local, source) != LOCAL_NONE
    ):
        return nothing(control)
    answered = reply_solicitation(replies, control, number, unspecified)
    return CONTROL_REPLY if answered else CONTROL_NOTHING
