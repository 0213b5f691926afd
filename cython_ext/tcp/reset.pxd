"""RST in answer to a segment that belongs to no connection (RFC 9293 3.10.7.1)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from cython_ext.net.address cimport Local
from cython_ext.net.input cimport Segment
from cython_ext.wire.bytes cimport load_u32, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ethernet cimport ETHERTYPE_IPV4, ETHERTYPE_IPV6, ethernet_emit
from cython_ext.wire.ipv4 cimport IPV4_BYTES, ipv4_emit
from cython_ext.wire.ipv6 cimport IPV6_BYTES, ipv6_emit
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_FIN, TCP_RST, TCP_SYN, tcp_emit_fixed, tcp_store_checksum,
)


cdef inline uint32_t segment_length(const Segment *segment) noexcept nogil:
    """SEG.LEN: payload, SYN and FIN."""
    return (
        segment.payload_bytes
        + (1 if segment.tcp.flags & TCP_SYN else 0)
        + (1 if segment.tcp.flags & TCP_FIN else 0)
    )


cdef inline uint32_t reset_emit(
    const Segment *segment, const Local *local, const uint8_t *mac, uint8_t *frame
) noexcept nogil:
    """Turns the segment's own frame into the RST; returns its size. The caller checked: no RST in."""
    cdef uint8_t peer_mac[6]
    cdef uint32_t offset = segment.eth.bytes
    cdef const uint8_t *ours = &local.address[segment.local].octets[0]
    cdef uint8_t *tcp
    memcpy(peer_mac, segment.peer_mac, 6)
    if segment.version == 6:
        ethernet_emit(frame, peer_mac, mac, ETHERTYPE_IPV6, segment.eth.tag_type, segment.eth.tag)
        ipv6_emit(frame + offset, ours, segment.peer_address, TCP_BYTES, 0)
        offset += IPV6_BYTES
    else:
        ethernet_emit(frame, peer_mac, mac, ETHERTYPE_IPV4, segment.eth.tag_type, segment.eth.tag)
        ipv4_emit(frame + offset, load_u32(ours), load_u32(segment.peer_address + 12), TCP_BYTES, 0)
        offset += IPV4_BYTES
    tcp = frame + offset
    if segment.tcp.flags & TCP_ACK:
        reset_emit_tcp(segment, local, tcp, segment.tcp.ack, 0, TCP_RST)
    else:
        reset_emit_tcp(segment, local, tcp, 0, segment.tcp.seq + segment_length(segment), TCP_RST | TCP_ACK)
    return offset + TCP_BYTES


cdef inline void reset_emit_tcp(
    const Segment *segment, const Local *local, uint8_t *tcp, uint32_t seq, uint32_t ack, uint8_t flags
) noexcept nogil:
    tcp_emit_fixed(tcp, local.port, segment.tcp.source_port, seq, ack, flags, 0, TCP_BYTES)
    tcp_store_checksum(tcp, sum_fold(sum_wide(tcp, TCP_BYTES) + segment.pseudo + swap_be16(TCP_BYTES)))
