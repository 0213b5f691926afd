"""IPv4 headers (RFC 791). Options are skipped; fragments are told apart, never reassembled."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from cython_ext.wire.bytes cimport load_be16, store_be16, store_u16, store_u32
from cython_ext.wire.checksum cimport sum_octets

cdef enum:
    IPV4_BYTES = 20
    IPV4_FLAG_DF = 0x4000
    IPV4_FRAGMENT_MASK = 0x3fff     # MF and offset
    IP_PROTOCOL_ICMP = 1
    IP_PROTOCOL_TCP = 6
    IP_PROTOCOL_ICMPV6 = 58
    IP_TTL = 64
    ECN_ECT0 = 2                    # RFC 3168 5
    ECN_CE = 3

cdef enum IpVerdict:
    IP_OK
    IP_BAD_HEADER
    IP_BAD_LENGTH
    IP_FRAGMENT
    IP_OTHER_PROTOCOL

cdef struct IpPacket:
    const uint8_t *source           # 4 or 16 octets
    const uint8_t *destination
    const uint8_t *payload          # the segment or message
    uint32_t payload_bytes
    uint8_t ecn                     # RFC 3168 code point
    uint8_t protocol                # IP_PROTOCOL_*
    uint8_t hop_limit


cdef inline IpVerdict ipv4_parse(const uint8_t *ip, uint32_t octets, IpPacket *packet) noexcept nogil:
    """`octets` from the header to the end of the frame, padding included. A packet that is sound but
    carries something else than TCP is filled in, too, and IP_OTHER_PROTOCOL."""
    cdef uint32_t header_bytes, total_bytes
    if octets < IPV4_BYTES:
        return IP_BAD_LENGTH
    header_bytes = (ip[0] & 15) * 4
    if ip[0] >> 4 != 4 or header_bytes < IPV4_BYTES:
        return IP_BAD_HEADER
    total_bytes = load_be16(ip + 2)
    if total_bytes < header_bytes or total_bytes > octets:
        return IP_BAD_LENGTH
    if sum_octets(ip, header_bytes) != 0xffff:
        return IP_BAD_HEADER
    if load_be16(ip + 6) & IPV4_FRAGMENT_MASK:
        return IP_FRAGMENT
    packet.source = ip + 12
    packet.destination = ip + 16
    packet.payload = ip + header_bytes
    packet.payload_bytes = total_bytes - header_bytes
    packet.ecn = ip[1] & 3
    packet.protocol = ip[9]
    packet.hop_limit = ip[8]
    return IP_OK if packet.protocol == IP_PROTOCOL_TCP else IP_OTHER_PROTOCOL


cdef inline void ipv4_emit(
    uint8_t *ip, uint32_t source, uint32_t destination, uint32_t payload_bytes, uint8_t ecn
) noexcept nogil:
    """The header of a TCP segment; addresses as they lie in memory."""
    ipv4_emit_protocol(ip, source, destination, payload_bytes, IP_PROTOCOL_TCP, ecn)


cdef inline void ipv4_emit_protocol(
    uint8_t *ip, uint32_t source, uint32_t destination, uint32_t payload_bytes, uint8_t protocol, uint8_t ecn
) noexcept nogil:
    """Identification 0 with DF is atomic (RFC 6864 4.1)."""
    ip[0] = 0x45
    ip[1] = ecn
    store_be16(ip + 2, <uint16_t>(IPV4_BYTES + payload_bytes))
    store_u16(ip + 4, 0)
    store_be16(ip + 6, IPV4_FLAG_DF)
    ip[8] = IP_TTL
    ip[9] = protocol
    store_u16(ip + 10, 0)
    store_u32(ip + 12, source)
    store_u32(ip + 16, destination)
    store_u16(ip + 10, <uint16_t>~sum_octets(ip, IPV4_BYTES))
