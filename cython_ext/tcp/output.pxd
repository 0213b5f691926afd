"""The headers that a segment of a connection leaves with (RFC 9293 3.1, RFC 7323, RFC 3168)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.net.address cimport Local
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_CWR_DUE, CONN_ECN, CONN_ECN_ECHO, CONN_IPV6, CONN_TAGGED, CONN_TIMESTAMPS, TcpConn,
    conn_tag_type,
)
from cython_ext.tcp.reassembly cimport SackBlocks, tcp_emit_sack
from cython_ext.wire.bytes cimport load_u32, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ethernet cimport ETH_BYTES, ETH_TAG_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ethernet_emit
from cython_ext.wire.ipv4 cimport ECN_ECT0, IPV4_BYTES, ipv4_emit
from cython_ext.wire.ipv6 cimport IPV6_BYTES, ipv6_emit
from cython_ext.wire.seqnum cimport seq_max
from cython_ext.wire.tcp cimport (
    TCP_BYTES, TCP_CWR, TCP_ECE, TCP_RST, TCP_TIMESTAMP_BYTES, tcp_emit_fixed, tcp_emit_timestamps,
    tcp_store_checksum,
)

cdef inline uint32_t conn_ip_offset(const TcpConn *conn) noexcept nogil:
    return ETH_BYTES + (ETH_TAG_BYTES if conn.flags & CONN_TAGGED else 0)


cdef inline uint32_t conn_tcp_offset(const TcpConn *conn) noexcept nogil:
    return conn_ip_offset(conn) + (IPV6_BYTES if conn.flags & CONN_IPV6 else IPV4_BYTES)


cdef inline uint32_t conn_payload_offset(const TcpConn *conn) noexcept nogil:
    """Where the payload of a data segment begins in its frame."""
    return conn_tcp_offset(conn) + TCP_BYTES + (TCP_TIMESTAMP_BYTES if conn.flags & CONN_TIMESTAMPS else 0)


cdef inline uint32_t timestamp_now(const TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """Our timestamp clock: milliseconds from a secret origin (RFC 7323 5.4, 7.1)."""
    return <uint32_t>(now_ns // 1000000) + conn.ts_offset


cdef inline void conn_emit_link(
    const TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame, uint32_t segment_bytes,
    uint8_t ecn,
) noexcept nogil:
    """Ethernet and IP headers for a TCP segment of `segment_bytes`."""
    cdef uint32_t ip = conn_ip_offset(conn)
    cdef const uint8_t *ours = &local.address[conn.local].octets[0]
    if conn.flags & CONN_IPV6:
        ethernet_emit(frame, conn.peer_mac, mac, ETHERTYPE_IPV6, conn_tag_type(conn), conn.tag)
        ipv6_emit(frame + ip, ours, conn.peer_address, segment_bytes, ecn)
    else:
        ethernet_emit(frame, conn.peer_mac, mac, ETHERTYPE_IPV4, conn_tag_type(conn), conn.tag)
        ipv4_emit(frame + ip, load_u32(ours), load_u32(conn.peer_address + 12), segment_bytes, ecn)


cdef inline void conn_finish(
    const TcpConn *conn, uint8_t *tcp, uint32_t header_bytes, uint32_t payload_bytes, uint16_t payload_sum
) noexcept nogil:
    """The checksum over pseudo-header, header and payload."""
    cdef uint64_t total = sum_wide(tcp, header_bytes) + conn.pseudo + payload_sum
    tcp_store_checksum(tcp, sum_fold(total + swap_be16(<uint16_t>(header_bytes + payload_bytes))))


cdef inline uint32_t tcp_offer(const TcpConn *conn, uint32_t window, uint32_t buffer) noexcept nogil:
    """What we say that we take, of the `window` octets we could, of `buffer` octets in all. Where less than a
    segment is open, the edge stays until it can move by a segment or half of the buffer: no crumbs (RFC 9293
    3.8.6.2.2)."""
    cdef uint32_t known = conn.rcv_edge - conn.rcv_nxt
    cdef uint32_t least = min(<uint32_t>conn.mss, buffer // 2)
    if known < least and window > known and window - known < least:
        return known
    return window


cdef inline uint32_t tcp_emit(
    TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame,
    uint32_t seq, uint8_t flags, uint32_t payload_bytes, uint16_t payload_sum,
    uint32_t window, bint fresh, const SackBlocks *sack, uint64_t now_ns,
) noexcept nogil:
    """Headers of any segment but a SYN; returns the frame's size in octets. fresh: carries octets
    never sent before; only those may bear an ECN mark (RFC 3168 6.1.4, 6.1.5).

    The payload, with its sum, already lies at conn_payload_offset. window: what we take, octets. sack: what
    arrived out of order, in segments without payload; or NULL.
    """
    cdef uint8_t *tcp = frame + conn_tcp_offset(conn)
    cdef uint32_t header_bytes = TCP_BYTES
    cdef uint8_t ecn = 0
    if conn.flags & CONN_ECN and not flags & TCP_RST:
        if conn.flags & CONN_ECN_ECHO:
            flags |= TCP_ECE
        if fresh:
            ecn = ECN_ECT0
            if conn.flags & CONN_CWR_DUE:
                flags |= TCP_CWR
                conn.flags &= ~<uint32_t>CONN_CWR_DUE
    if conn.flags & CONN_TIMESTAMPS:
        tcp_emit_timestamps(tcp + TCP_BYTES, timestamp_now(conn, now_ns), conn.ts_recent)
        header_bytes += TCP_TIMESTAMP_BYTES
    if sack != NULL and sack.count:
        header_bytes += tcp_emit_sack(tcp + header_bytes, sack)
    conn_emit_link(conn, local, mac, frame, header_bytes + payload_bytes, ecn)
    tcp_emit_fixed(
        tcp, local.port, conn.peer_port, seq, conn.rcv_nxt, flags, <uint16_t>min(window, <uint32_t>65535),
        header_bytes,
    )
    conn_finish(conn, tcp, header_bytes, payload_bytes, payload_sum)
    conn.last_ack_sent = conn.rcv_nxt
    conn.rcv_edge = seq_max(conn.rcv_edge, conn.rcv_nxt + window)
    conn.flags &= ~<uint32_t>CONN_ACK_NOW
    return conn_tcp_offset(conn) + header_bytes + payload_bytes
