"""Passive open: from a SYN to a record in SYN_RCVD, and its SYN-ACK (RFC 9293 3.5, 3.10.7.2).

Sequence numbers and timestamp origins are keyed (RFC 6528, RFC 7323 7.1).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.base.pool cimport NIL
from cython_ext.base.siphash cimport SipKey, siphash
from cython_ext.net.address cimport Local
from cython_ext.net.input cimport Segment
from cython_ext.tcp.challenge cimport challenge_start
from cython_ext.tcp.congestion cimport congestion_start
from cython_ext.tcp.conn cimport (
    CONN_ECN, CONN_IPV6, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE, TCP_SYN_RCVD, TcpConn, conn_set_tag,
    tick_of,
)
from cython_ext.tcp.loss cimport RTO_FIRST_US, rto_arm, rtt_start
from cython_ext.tcp.output cimport conn_emit_link, conn_finish, conn_tcp_offset, timestamp_now
from cython_ext.tcp.table cimport TcpTable, table_insert, table_key_word
from cython_ext.wire.bytes cimport load_u64, store_be16, store_be32
from cython_ext.wire.ipv4 cimport IPV4_BYTES
from cython_ext.wire.ipv6 cimport IPV6_BYTES
from cython_ext.wire.seqnum cimport seq_lt
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_CWR, TCP_ECE, TCP_SYN, TCP_TIMESTAMP_BYTES, tcp_emit_fixed, tcp_emit_timestamps,
)

cdef enum:
    MSS_DEFAULT_V4 = 536            # RFC 9293 3.7.1
    MSS_DEFAULT_V6 = 1220
    MSS_LEAST = 64                  # below it a peer would make us send headers only
    OPTION_MSS_BYTES = 4
    OPTION_SCALE_BYTES = 4
    OPTION_SACK_BYTES = 4
    ISN_GAP = 65536                 # from the last number of the connection before, beyond its window


cdef inline uint64_t isn_hash(const TcpConn *conn, uint16_t port, const SipKey *key) noexcept nogil:
    """F of RFC 6528 3, 64 bits: the lower half for sequence numbers, the upper for timestamps."""
    cdef uint64_t words[3]
    words[0] = load_u64(conn.peer_address)
    words[1] = load_u64(conn.peer_address + 8)
    words[2] = table_key_word(conn.peer_port, conn.local) | (<uint64_t>port << 32)
    return siphash(key, words, 3, 2, 4)


cdef inline uint64_t isn_clock(uint64_t now_ns) noexcept nogil:
    """M of RFC 6528 3: ticks every 4 us."""
    return now_ns // 4000


cdef inline uint16_t segment_bytes_most(const TcpConn *conn, uint16_t peer_mss, uint32_t mtu) noexcept nogil:
    """Payload octets per segment: peer's MSS and our link, options deducted (RFC 6691)."""
    cdef uint32_t ours = mtu - TCP_BYTES - (IPV6_BYTES if conn.flags & CONN_IPV6 else IPV4_BYTES)
    cdef uint32_t theirs = peer_mss
    if theirs == 0:
        theirs = MSS_DEFAULT_V6 if conn.flags & CONN_IPV6 else MSS_DEFAULT_V4
    theirs = min(max(theirs, <uint32_t>MSS_LEAST), ours)
    return <uint16_t>(theirs - (TCP_TIMESTAMP_BYTES if conn.flags & CONN_TIMESTAMPS else 0))


cdef inline uint32_t syn_open(
    TcpTable *table, const Segment *segment, const Local *local, const SipKey *key,
    uint32_t mtu, uint32_t window, const uint32_t *last_seq, uint64_t now_ns,
) noexcept nogil:
    """A record in SYN_RCVD for the segment's peer, or NIL when the table is full.

    last_seq: the highest number that an earlier connection of the same peer used, if it is known:
    the new one begins beyond (RFC 9293 3.6.1).
    """
    cdef uint32_t number = table_insert(table, segment)
    cdef TcpConn *conn
    cdef uint64_t secret
    cdef uint32_t isn
    if number == NIL:
        return NIL
    conn = &table.conns[number]
    secret = syn_start(conn, segment, local.port, key)
    syn_take_options(conn, segment)
    conn.mss = segment_bytes_most(conn, segment.tcp.mss, mtu)
    isn = <uint32_t>isn_clock(now_ns) + <uint32_t>secret
    if last_seq != NULL and seq_lt(isn, last_seq[0] + ISN_GAP):
        isn = last_seq[0] + ISN_GAP
    syn_number(conn, isn, segment.tcp.seq, window)
    conn.snd_wnd = segment.tcp.window               # never scaled in a SYN (RFC 7323 2.2)
    conn.active_at = tick_of(now_ns)
    challenge_start(conn, now_ns)
    table.half_open += 1
    congestion_start(conn)
    rtt_start(conn, conn.snd_nxt, now_ns)
    rto_arm(conn, now_ns)
    return number


cdef inline uint64_t syn_start(
    TcpConn *conn, const Segment *segment, uint16_t port, const SipKey *key
) noexcept nogil:
    """Where answers go, and our timestamp's origin; returns isn_hash."""
    cdef uint64_t secret = isn_hash(conn, port, key)
    memcpy(conn.peer_mac, segment.peer_mac, 6)
    conn_set_tag(conn, segment.eth.tag_type, segment.eth.tag)
    conn.pseudo = segment.pseudo
    conn.driver = segment.driver
    conn.ts_offset = <uint32_t>(secret >> 32)
    return secret


cdef inline void syn_number(TcpConn *conn, uint32_t isn, uint32_t peer_isn, uint32_t window) noexcept nogil:
    """SYN_RCVD with these initial numbers; `window` is what the SYN-ACK offers."""
    conn.snd_una = isn
    conn.recover = isn
    conn.snd_nxt = isn + 1
    conn.snd_max = conn.snd_nxt
    conn.rcv_nxt = peer_isn + 1
    conn.rcv_edge = conn.rcv_nxt + window
    conn.snd_wl1 = peer_isn
    conn.snd_wl2 = isn
    conn.rto_us = RTO_FIRST_US
    conn.state = TCP_SYN_RCVD


cdef inline void syn_take_options(TcpConn *conn, const Segment *segment) noexcept nogil:
    if segment.version == 6:
        conn.flags |= CONN_IPV6
    if segment.tcp.has_timestamps:
        conn.flags |= CONN_TIMESTAMPS
        conn.ts_recent = segment.tcp.ts_value
    if segment.tcp.has_window_scale:
        conn.flags |= CONN_WINDOW_SCALE
        conn.snd_scale = segment.tcp.window_scale
    if segment.tcp.sack_permitted:
        conn.flags |= CONN_SACK
    if segment.tcp.flags & (TCP_ECE | TCP_CWR) == TCP_ECE | TCP_CWR:
        conn.flags |= CONN_ECN                          # RFC 3168 6.1.1


cdef inline uint32_t syn_ack_emit(
    TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame,
    uint32_t mtu, uint32_t window, uint64_t now_ns,
) noexcept nogil:
    """Writes the whole SYN-ACK; returns the frame's size. Offers only what the SYN offered."""
    cdef uint8_t *tcp = frame + conn_tcp_offset(conn)
    cdef uint32_t header_bytes = TCP_BYTES + OPTION_MSS_BYTES
    cdef uint32_t ip_bytes = IPV6_BYTES if conn.flags & CONN_IPV6 else IPV4_BYTES
    store_be16(tcp + 20, 0x0204)
    store_be16(tcp + 22, <uint16_t>(mtu - ip_bytes - TCP_BYTES))
    if conn.flags & CONN_TIMESTAMPS:
        tcp_emit_timestamps(tcp + header_bytes, timestamp_now(conn, now_ns), conn.ts_recent)
        if conn.flags & CONN_SACK:
            store_be16(tcp + header_bytes, 0x0402)      # in the place of the two NOPs
        header_bytes += TCP_TIMESTAMP_BYTES
    elif conn.flags & CONN_SACK:
        store_be32(tcp + header_bytes, 0x01010402)
        header_bytes += OPTION_SACK_BYTES
    if conn.flags & CONN_WINDOW_SCALE:
        store_be32(tcp + header_bytes, 0x01030300)      # our own shift is 0: requests are small
        header_bytes += OPTION_SCALE_BYTES
    conn_emit_link(conn, local, mac, frame, header_bytes, 0)
    tcp_emit_fixed(
        tcp, local.port, conn.peer_port, conn.snd_una, conn.rcv_nxt,
        TCP_SYN | TCP_ACK | (TCP_ECE if conn.flags & CONN_ECN else 0),
        <uint16_t>min(window, <uint32_t>65535), header_bytes,
    )
    conn_finish(conn, tcp, header_bytes, 0, 0)
    conn.last_ack_sent = conn.rcv_nxt
    return conn_tcp_offset(conn) + header_bytes
