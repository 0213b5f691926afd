"""Answers about addresses that are ours alone: a received frame is turned around in place.

ARP (RFC 826, RFC 5227), neighbour discovery (RFC 4861, RFC 4862), echo (RFC 792, RFC 4443). Each answer
goes to the station that the frame came from, that to an ARP request to the sender it names, so none is
larger in number than what was asked; token buckets bound them besides. What the frame holds was checked by
the caller (net/control.pxd).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.base.bucket cimport Bucket, bucket_init, bucket_take
from cython_ext.base.counters cimport (
    C_ADDRESS_CONFLICTS, C_ADDRESS_DEFENDED, C_ARP_REPLIES, C_ECHO_REPLIES, C_ND_REPLIES, C_REPLIES_LIMITED,
    Counters, count,
)
from cython_ext.base.frame cimport Frame
from cython_ext.net.address cimport LOCAL_ADDRESSES_MOST, Local
from cython_ext.wire.arp cimport ARP_BYTES, ARP_REPLY, ARP_REQUEST, Arp, arp_emit
from cython_ext.wire.bytes cimport load_u32
from cython_ext.wire.ethernet cimport (
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, ethernet_emit,
)
from cython_ext.wire.icmp cimport (
    ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY, icmp_set_type, icmp_store_checksum, icmpv6_pseudo,
)
from cython_ext.wire.ipv4 cimport (
    IP_PROTOCOL_ICMP, IP_PROTOCOL_ICMPV6, IP_TTL, IPV4_BYTES, IpPacket, ipv4_emit_protocol,
)
from cython_ext.wire.ipv6 cimport IPV6_BYTES, ipv6_emit_next
from cython_ext.wire.ndp cimport (
    NDP_ADVERTISEMENT_BYTES, NDP_HOP_LIMIT, NDP_OVERRIDE, NDP_SOLICITED, ndp_emit_advertisement,
)

cdef enum:
    LINK_REPLIES_PER_S = 2000       # ARP and neighbour advertisements
    LINK_REPLIES_BURST = 500
    ECHO_REPLIES_PER_S = 1000
    ECHO_REPLIES_BURST = 250

cdef extern from *:
    """
    #define DEFEND_INTERVAL_NS 10000000000ull
    """
    const uint64_t DEFEND_INTERVAL_NS   # RFC 5227 1.1

cdef struct Replies:
    Bucket link
    Bucket echo
    uint64_t defended_ns[LOCAL_ADDRESSES_MOST]      # last announcement against a conflict, 0 for never

cdef struct Control:
    Frame *frame
    const Local *local
    const uint8_t *mac              # our own
    Counters *counters
    uint64_t now_ns
    Ethernet eth
    IpPacket packet                 # where the frame holds one


cdef inline void replies_init(Replies *replies) noexcept nogil:
    memset(replies, 0, sizeof(Replies))
    bucket_init(&replies.link, LINK_REPLIES_PER_S, LINK_REPLIES_BURST)
    bucket_init(&replies.echo, ECHO_REPLIES_PER_S, ECHO_REPLIES_BURST)


cdef inline bint reply_is_allowed(Bucket *bucket, Control *control) noexcept nogil:
    if bucket_take(bucket, control.now_ns):
        return True
    count(control.counters, C_REPLIES_LIMITED)
    return False


cdef inline bint defence_is_due(Replies *replies, Control *control, uint8_t number) noexcept nogil:
    """Another station claims our address: we keep it, and say so once in DEFEND_INTERVAL
    (RFC 5227 2.4 (c); for IPv6 likewise, RFC 4861 7.2.6)."""
    count(control.counters, C_ADDRESS_CONFLICTS)
    if (
        replies.defended_ns[number] != 0
        and control.now_ns - replies.defended_ns[number] < DEFEND_INTERVAL_NS
    ):
        return False
    replies.defended_ns[number] = control.now_ns
    count(control.counters, C_ADDRESS_DEFENDED)
    return True


# ---- ARP ----

cdef inline void arp_frame(
    Control *control, uint8_t number, uint16_t operation, const uint8_t *to,
    const uint8_t *target_mac, const uint8_t *target,
) noexcept nogil:
    """Fills the frame; the arguments lie outside it."""
    cdef Ethernet *eth = &control.eth
    cdef uint8_t *frame = control.frame.data
    cdef uint32_t offset = ethernet_emit(frame, to, control.mac, ETHERTYPE_ARP, eth.tag_type, eth.tag)
    cdef const uint8_t *ours = &control.local.address[number].octets[0]
    arp_emit(frame + offset, operation, control.mac, ours, target_mac, target)
    control.frame.bytes = offset + ARP_BYTES


cdef inline bint reply_arp(Replies *replies, Control *control, const Arp *arp, uint8_t number) noexcept nogil:
    """Who has it? We. Also to a probe, whose sender address is 0 (RFC 5227 2.5)."""
    cdef uint8_t peer_mac[6]
    cdef uint8_t peer[4]
    if not reply_is_allowed(&replies.link, control):
        return False
    memcpy(peer_mac, arp.sender_mac, 6)
    memcpy(peer, arp.sender, 4)
    arp_frame(control, number, ARP_REPLY, peer_mac, peer_mac, peer)
    count(control.counters, C_ARP_REPLIES)
    return True


cdef inline bint defend_v4(Replies *replies, Control *control, uint8_t number) noexcept nogil:
    """An ARP announcement to all (RFC 5227 2.3), now and then."""
    cdef uint8_t everyone[6]
    cdef uint8_t nobody[6]
    if not defence_is_due(replies, control, number):
        return False
    memset(everyone, 0xff, 6)
    memset(nobody, 0, 6)
    arp_frame(
        control, number, ARP_REQUEST, everyone, nobody, &control.local.address[number].octets[0]
    )
    return True


# ---- neighbour discovery ----

cdef inline void advertisement_frame(
    Control *control, uint8_t number, const uint8_t *to_mac, const uint8_t *to, uint8_t flags
) noexcept nogil:
    """Fills the frame; the arguments lie outside it."""
    cdef Ethernet *eth = &control.eth
    cdef uint8_t *frame = control.frame.data
    cdef uint32_t offset = ethernet_emit(frame, to_mac, control.mac, ETHERTYPE_IPV6, eth.tag_type, eth.tag)
    cdef const uint8_t *ours = &control.local.address[number].octets[0]
    cdef uint8_t *icmp = frame + offset + IPV6_BYTES
    ipv6_emit_next(
        frame + offset, ours, to, NDP_ADVERTISEMENT_BYTES, IP_PROTOCOL_ICMPV6, NDP_HOP_LIMIT, 0
    )
    ndp_emit_advertisement(icmp, ours, control.mac, flags)
    icmp_store_checksum(icmp, NDP_ADVERTISEMENT_BYTES, icmpv6_pseudo(ours, to, NDP_ADVERTISEMENT_BYTES))
    control.frame.bytes = offset + IPV6_BYTES + NDP_ADVERTISEMENT_BYTES


cdef inline void advertise_to_all(Control *control, uint8_t number) noexcept nogil:
    """To ff02::1, which no single station asked for."""
    cdef uint8_t everyone_mac[6]
    cdef uint8_t everyone[16]
    memset(everyone_mac, 0, 6)
    everyone_mac[0] = 0x33
    everyone_mac[1] = 0x33
    everyone_mac[5] = 1
    memset(everyone, 0, 16)
    everyone[0] = 0xff
    everyone[1] = 2
    everyone[15] = 1
    advertisement_frame(control, number, everyone_mac, everyone, NDP_OVERRIDE)


cdef inline bint reply_solicitation(
    Replies *replies, Control *control, uint8_t number, bint for_all
) noexcept nogil:
    """for_all: the solicitation came from ::, that is from a station that tries the address
    (RFC 4862 5.4.3, RFC 4861 7.2.4)."""
    cdef uint8_t peer_mac[6]
    cdef uint8_t peer[16]
    if not reply_is_allowed(&replies.link, control):
        return False
    count(control.counters, C_ND_REPLIES)
    if for_all:
        advertise_to_all(control, number)
        return True
    memcpy(peer_mac, control.frame.data + 6, 6)
    memcpy(peer, control.packet.source, 16)
    advertisement_frame(control, number, peer_mac, peer, NDP_SOLICITED | NDP_OVERRIDE)
    return True


cdef inline bint defend_v6(Replies *replies, Control *control, uint8_t number) noexcept nogil:
    if not defence_is_due(replies, control, number):
        return False
    advertise_to_all(control, number)
    return True


# ---- echo ----

cdef inline bint reply_echo_v4(Replies *replies, Control *control) noexcept nogil:
    """The message stays where it is: only headers without options come here."""
    cdef uint8_t peer_mac[6]
    cdef Ethernet *eth = &control.eth
    cdef IpPacket *packet = &control.packet
    cdef uint8_t *ip = control.frame.data + eth.bytes
    if not reply_is_allowed(&replies.echo, control):
        return False
    memcpy(peer_mac, control.frame.data + 6, 6)
    ethernet_emit(control.frame.data, peer_mac, control.mac, ETHERTYPE_IPV4, eth.tag_type, eth.tag)
    ipv4_emit_protocol(
        ip, load_u32(packet.destination), load_u32(packet.source), packet.payload_bytes, IP_PROTOCOL_ICMP,
        0,
    )
    icmp_set_type(ip + IPV4_BYTES, ICMP_ECHO_REPLY)
    control.frame.bytes = eth.bytes + IPV4_BYTES + packet.payload_bytes
    count(control.counters, C_ECHO_REPLIES)
    return True


cdef inline bint reply_echo_v6(Replies *replies, Control *control, uint8_t number) noexcept nogil:
    cdef uint8_t peer_mac[6]
    cdef uint8_t peer[16]
    cdef Ethernet *eth = &control.eth
    cdef uint32_t octets = control.packet.payload_bytes
    cdef uint8_t *ip = control.frame.data + eth.bytes
    if not reply_is_allowed(&replies.echo, control):
        return False
    memcpy(peer_mac, control.frame.data + 6, 6)
    memcpy(peer, control.packet.source, 16)
    ethernet_emit(control.frame.data, peer_mac, control.mac, ETHERTYPE_IPV6, eth.tag_type, eth.tag)
    ipv6_emit_next(
        ip, &control.local.address[number].octets[0], peer, octets, IP_PROTOCOL_ICMPV6, IP_TTL, 0
    )
    icmp_set_type(ip + IPV6_BYTES, ICMPV6_ECHO_REPLY)
    control.frame.bytes = eth.bytes + IPV6_BYTES + octets
    count(control.counters, C_ECHO_REPLIES)
    return True
