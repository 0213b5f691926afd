"""ICMP (RFC 792) and ICMPv6 (RFC 4443): the header, its checksum, and the segment that an error quotes.

The message lies where its IP header says; `pseudo` is 0 for ICMP, which has no pseudo-header.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.wire.bytes cimport load_be16, load_be32, load_u16, store_u16, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_subtract, sum_wide
from cython_ext.wire.ipv4 cimport IP_PROTOCOL_TCP, IPV4_BYTES
from cython_ext.wire.ipv6 cimport IPV6_BYTES

cdef enum:
    ICMP_BYTES = 8
    ICMP_ECHO_REPLY = 0
    ICMP_UNREACHABLE = 3
    ICMP_FRAGMENTATION_NEEDED = 4       # a code of ICMP_UNREACHABLE
    ICMP_ECHO_REQUEST = 8
    ICMPV6_PACKET_TOO_BIG = 2
    ICMPV6_ECHO_REQUEST = 128
    ICMPV6_ECHO_REPLY = 129
    QUOTED_TCP_BYTES = 8                # ports and sequence number: what RFC 792 promises

cdef struct QuotedTcp:
    const uint8_t *source               # 4 or 16 octets, into the frame
    const uint8_t *destination
    uint16_t source_port
    uint16_t destination_port
    uint32_t seq
    uint32_t packet_bytes               # of the whole packet that was quoted, as its header says


cdef inline uint64_t icmpv6_pseudo(
    const uint8_t *source, const uint8_t *destination, uint32_t octets
) noexcept nogil:
    """Sum of the pseudo-header (RFC 8200 8.1, next header 58)."""
    return sum_wide(source, 16) + sum_wide(destination, 16) + swap_be16(<uint16_t>octets) + swap_be16(58)


cdef inline bint icmp_is_sound(const uint8_t *icmp, uint32_t octets, uint64_t pseudo) noexcept nogil:
    """Long enough, and its checksum is right."""
    return octets >= ICMP_BYTES and sum_fold(pseudo + sum_wide(icmp, octets)) == 0xffff


cdef inline void icmp_put_sum(uint8_t *icmp, uint16_t total) noexcept nogil:
    """0xffff for 0, which is as right for any message, and alone is for one of zeros (RFC 1624 3)."""
    store_u16(icmp + 2, <uint16_t>0xffff if total == 0xffff else <uint16_t>~total)


cdef inline void icmp_set_type(uint8_t *icmp, uint8_t kind) noexcept nogil:
    """Another type and code 0 for a sound message; its checksum follows (RFC 1624)."""
    cdef uint16_t total = sum_subtract(<uint16_t>~load_u16(icmp + 2), load_u16(icmp))
    icmp[0] = kind
    icmp[1] = 0
    icmp_put_sum(icmp, sum_fold(<uint64_t>total + load_u16(icmp)))


cdef inline void icmp_store_checksum(uint8_t *icmp, uint32_t octets, uint64_t pseudo) noexcept nogil:
    store_u16(icmp + 2, 0)
    icmp_put_sum(icmp, sum_fold(pseudo + sum_wide(icmp, octets)))


cdef inline bint quoted_parse_v4(const uint8_t *ip, uint32_t octets, QuotedTcp *quoted) noexcept nogil:
    """The start of an IPv4 packet with TCP, cut anywhere behind the sequence number. Its header
    checksum is not looked at: the router that quotes may have changed the header."""
    cdef uint32_t header_bytes
    if octets < IPV4_BYTES:
        return False
    header_bytes = (ip[0] & 15) * 4
    if ip[0] >> 4 != 4 or header_bytes < IPV4_BYTES or octets < header_bytes + QUOTED_TCP_BYTES:
        return False
    if ip[9] != IP_PROTOCOL_TCP or load_be16(ip + 6) & 0x1fff:
        return False
    quoted.source = ip + 12
    quoted.destination = ip + 16
    quoted.packet_bytes = load_be16(ip + 2)
    quoted_take_ports(ip + header_bytes, quoted)
    return quoted.packet_bytes >= header_bytes + QUOTED_TCP_BYTES


cdef inline bint quoted_parse_v6(const uint8_t *ip, uint32_t octets, QuotedTcp *quoted) noexcept nogil:
    """The start of an IPv6 packet with TCP and no extension header: we send none."""
    if octets < IPV6_BYTES + QUOTED_TCP_BYTES or ip[0] >> 4 != 6 or ip[6] != IP_PROTOCOL_TCP:
        return False
    quoted.source = ip + 8
    quoted.destination = ip + 24
    quoted.packet_bytes = load_be16(ip + 4) + <uint32_t>IPV6_BYTES
    quoted_take_ports(ip + IPV6_BYTES, quoted)
    return quoted.packet_bytes >= IPV6_BYTES + QUOTED_TCP_BYTES


cdef inline void quoted_take_ports(const uint8_t *tcp, QuotedTcp *quoted) noexcept nogil:
    quoted.source_port = load_be16(tcp)
    quoted.destination_port = load_be16(tcp + 2)
    quoted.seq = load_be32(tcp + 4)
