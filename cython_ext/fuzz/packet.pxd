"""Reads a TCP segment out of a frame, in other words than the engine's: its answers are judged by it.

Sums octet by octet, takes nothing from cython_ext.wire but the order of octets.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.wire.bytes cimport load_be16, load_be32

cdef struct Packet:
    uint32_t version            # 4 or 6
    uint32_t ip                 # offset of the IP header
    uint32_t ip_bytes           # of the IP header
    uint32_t tcp                # offset of the TCP header
    uint32_t end                # offset behind the IP packet, by its own length field
    const uint8_t *source       # 4 or 16 octets
    const uint8_t *destination
    uint32_t address_bytes
    uint16_t source_port
    uint16_t destination_port
    uint32_t seq
    uint32_t ack
    uint32_t flags
    uint32_t window
    uint32_t header_bytes       # of the TCP header
    uint32_t payload_bytes


cdef inline bint packet_read(const uint8_t *frame, uint32_t octets, Packet *packet) noexcept nogil:
    """False when there is no TCP header to be found within the frame. Checks no sums."""
    cdef uint32_t at = 12
    cdef uint32_t kind
    if octets < 14:
        return False
    kind = load_be16(frame + at)
    if (kind == 0x8100 or kind == 0x88a8) and octets >= 18:
        at += 4
        kind = load_be16(frame + at)
    packet.ip = at + 2
    if kind == 0x0800 and octets >= packet.ip + 20:
        packet_read_v4(frame + packet.ip, packet)
    elif kind == 0x86dd and octets >= packet.ip + 40:
        packet_read_v6(frame + packet.ip, packet)
    else:
        return False
    packet.tcp = packet.ip + packet.ip_bytes
    if packet.end > octets or packet.tcp + 20 > packet.end:
        return False
    return packet_read_tcp(frame + packet.tcp, packet)


cdef inline void packet_read_v4(const uint8_t *ip, Packet *packet) noexcept nogil:
    packet.version = 4
    packet.ip_bytes = (ip[0] & 15) * 4
    packet.end = packet.ip + load_be16(ip + 2)
    packet.source = ip + 12
    packet.destination = ip + 16
    packet.address_bytes = 4


cdef inline void packet_read_v6(const uint8_t *ip, Packet *packet) noexcept nogil:
    packet.version = 6
    packet.ip_bytes = 40
    packet.end = packet.ip + 40 + load_be16(ip + 4)
    packet.source = ip + 8
    packet.destination = ip + 24
    packet.address_bytes = 16


cdef inline bint packet_read_tcp(const uint8_t *tcp, Packet *packet) noexcept nogil:
    packet.header_bytes = (tcp[12] >> 4) * 4
    if packet.header_bytes < 20 or packet.tcp + packet.header_bytes > packet.end:
        return False
    packet.source_port = load_be16(tcp)
    packet.destination_port = load_be16(tcp + 2)
    packet.seq = load_be32(tcp + 4)
    packet.ack = load_be32(tcp + 8)
    packet.flags = tcp[13]
    packet.window = load_be16(tcp + 14)
    packet.payload_bytes = packet.end - packet.tcp - packet.header_bytes
    return True


cdef inline uint64_t plain_sum(const uint8_t *data, uint32_t octets) noexcept nogil:
    """The sum of RFC 1071 in network order, unfolded."""
    cdef uint64_t total = 0
    cdef uint32_t i
    for i in range(octets):
        total += data[i] if i & 1 else <uint64_t>data[i] << 8
    return total


cdef inline uint32_t plain_fold(uint64_t total) noexcept nogil:
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return <uint32_t>total


cdef inline uint64_t packet_sum(const uint8_t *frame, const Packet *packet) noexcept nogil:
    """Of pseudo-header and segment: folds to 0xffff when the checksum is right."""
    cdef uint32_t octets = packet.end - packet.tcp
    return (
        plain_sum(packet.source, packet.address_bytes) + plain_sum(packet.destination, packet.address_bytes)
        + 6 + octets + plain_sum(frame + packet.tcp, octets)
    )
