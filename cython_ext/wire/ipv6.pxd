"""IPv6 headers (RFC 8200). Extension headers are not followed: XDP leaves them to the kernel."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from cython_ext.wire.bytes cimport load_be16, store_be16, store_be32
from cython_ext.wire.ipv4 cimport (
    IP_BAD_HEADER, IP_BAD_LENGTH, IP_FRAGMENT, IP_OK, IP_OTHER_PROTOCOL, IP_PROTOCOL_TCP, IP_TTL, IpPacket,
    IpVerdict,
)

cdef enum:
    IPV6_BYTES = 40
    IPV6_FRAGMENT_HEADER = 44


cdef inline IpVerdict ipv6_parse(const uint8_t *ip, uint32_t octets, IpPacket *packet) noexcept nogil:
    """As ipv4_parse."""
    cdef uint32_t payload_bytes
    if octets < IPV6_BYTES:
        return IP_BAD_LENGTH
    if ip[0] >> 4 != 6:
        return IP_BAD_HEADER
    payload_bytes = load_be16(ip + 4)
    if payload_bytes > octets - IPV6_BYTES:
        return IP_BAD_LENGTH
    if ip[6] == IPV6_FRAGMENT_HEADER:
        return IP_FRAGMENT
    packet.source = ip + 8
    packet.destination = ip + 24
    packet.payload = ip + IPV6_BYTES
    packet.payload_bytes = payload_bytes
    packet.ecn = (ip[1] >> 4) & 3
    packet.protocol = ip[6]
    packet.hop_limit = ip[7]
    return IP_OK if packet.protocol == IP_PROTOCOL_TCP else IP_OTHER_PROTOCOL


cdef inline void ipv6_emit(
    uint8_t *ip, const uint8_t *source, const uint8_t *destination, uint32_t payload_bytes, uint8_t ecn
) noexcept nogil:
    """The header of a TCP segment. The addresses lie outside the header."""
    ipv6_emit_next(ip, source, destination, payload_bytes, IP_PROTOCOL_TCP, IP_TTL, ecn)


cdef inline void ipv6_emit_next(
    uint8_t *ip, const uint8_t *source, const uint8_t *destination, uint32_t payload_bytes,
    uint8_t next_header, uint8_t hop_limit, uint8_t ecn,
) noexcept nogil:
    """Flow label 0."""
    store_be32(ip, 0x60000000 | (<uint32_t>ecn << 20))
    store_be16(ip + 4, payload_bytes)
    ip[6] = next_header
    ip[7] = hop_limit
    memcpy(ip + 8, source, 16)
    memcpy(ip + 24, destination, 16)
