"""Active open: SYN-SENT, and SYN-RECEIVED by simultaneous open (RFC 9293 3.5, 3.10.1, 3.10.7.3).

A record begins with who the peer is; active_open makes it SYN_SENT, active_input takes what comes
until it is ESTABLISHED. From then on tcp/input knows no difference between the two sides.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_ABORTED, C_BAD_ACK, C_NOT_TAKEN, C_RESET_BY_PEER, C_RST_IGNORED, Counters, count,
)
from cython_ext.base.siphash cimport SipKey
from cython_ext.net.address cimport Local
from cython_ext.net.input cimport Segment
from cython_ext.tcp.challenge cimport challenge_start
from cython_ext.tcp.congestion cimport congestion_start
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_ECN, CONN_IPV6, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE, TCP_ESTABLISHED,
    TCP_SYN_RCVD, TCP_SYN_SENT, TcpConn, tick_of,
)
from cython_ext.tcp.event cimport EVENT_CLOSED, EVENT_ESTABLISHED, EVENT_NONE, EVENT_RESET, EVENT_SYN_AGAIN
from cython_ext.tcp.loss cimport (
    RTO_AFTER_SYN_LOSS_US, RTO_FIRST_US, rto_arm, rto_disarm, rtt_acked, rtt_forget, rtt_start,
)
from cython_ext.tcp.output cimport conn_emit_link, conn_finish, conn_tcp_offset, timestamp_now
from cython_ext.tcp.syn cimport (
    OPTION_MSS_BYTES, OPTION_SACK_BYTES, OPTION_SCALE_BYTES, isn_clock, isn_hash, segment_bytes_most,
)
from cython_ext.wire.bytes cimport store_be16, store_be32
from cython_ext.wire.ipv4 cimport IPV4_BYTES
from cython_ext.wire.ipv6 cimport IPV6_BYTES
from cython_ext.wire.seqnum cimport seq_le, seq_lt
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_CWR, TCP_ECE, TCP_FIN, TCP_RST, TCP_SYN, TCP_TIMESTAMP_BYTES, tcp_emit_fixed,
    tcp_emit_timestamps,
)

cdef enum:
    SYN_RETRIES_MOST = 7        # after 1 + 2 + 4 ... + 60 + 60 = 183 s: three minutes at least (RFC 9293 3.8.3)


cdef inline void active_open(
    TcpConn *conn, uint16_t port, const SipKey *key, bint ecn, uint64_t now_ns
) noexcept nogil:
    """OPEN (RFC 9293 3.10.1). The record holds the peer's addresses, CONN_IPV6 and `pseudo`, else zeros.
    port: ours. Everything that RFC 7323 and RFC 2018 offer is offered, ECN where wanted."""
    cdef uint64_t secret = isn_hash(conn, port, key)
    conn.flags |= CONN_TIMESTAMPS | CONN_WINDOW_SCALE | CONN_SACK
    if ecn:
        conn.flags |= CONN_ECN
    conn.ts_offset = <uint32_t>(secret >> 32)
    conn.snd_una = <uint32_t>isn_clock(now_ns) + <uint32_t>secret       # RFC 6528 3
    conn.recover = conn.snd_una
    conn.snd_nxt = conn.snd_una + 1
    conn.snd_max = conn.snd_nxt
    conn.rto_us = RTO_FIRST_US
    conn.state = TCP_SYN_SENT
    conn.active_at = tick_of(now_ns)
    challenge_start(conn, now_ns)
    rtt_start(conn, conn.snd_nxt, now_ns)
    rto_arm(conn, now_ns)


cdef inline uint32_t active_emit(
    TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame,
    uint32_t mtu, uint32_t window, uint8_t scale, uint64_t now_ns,
) noexcept nogil:
    """The SYN, or in SYN_RCVD the SYN-ACK of a simultaneous open; returns the frame's size."""
    cdef uint8_t *tcp = frame + conn_tcp_offset(conn)
    cdef uint32_t header_bytes = TCP_BYTES + OPTION_MSS_BYTES
    cdef uint32_t ip_bytes = IPV6_BYTES if conn.flags & CONN_IPV6 else IPV4_BYTES
    cdef uint8_t flags = TCP_SYN
    if conn.state == TCP_SYN_RCVD:
        flags |= TCP_ACK | (TCP_ECE if conn.flags & CONN_ECN else 0)
    elif conn.flags & CONN_ECN:
        flags |= TCP_ECE | TCP_CWR                      # RFC 3168 6.1.1
    store_be32(tcp + TCP_BYTES, 0x02040000 | (mtu - ip_bytes - TCP_BYTES))
    if conn.flags & CONN_TIMESTAMPS:
        tcp_emit_timestamps(tcp + header_bytes, timestamp_now(conn, now_ns), conn.ts_recent)
        if conn.flags & CONN_SACK:
            store_be16(tcp + header_bytes, 0x0402)      # in the place of the two NOPs
        header_bytes += TCP_TIMESTAMP_BYTES
    elif conn.flags & CONN_SACK:
        store_be32(tcp + header_bytes, 0x01010402)
        header_bytes += OPTION_SACK_BYTES
    if conn.flags & CONN_WINDOW_SCALE:
        store_be32(tcp + header_bytes, 0x01030300 | scale)
        header_bytes += OPTION_SCALE_BYTES
    conn_emit_link(conn, local, mac, frame, header_bytes, 0)
    tcp_emit_fixed(
        tcp, local.port, conn.peer_port, conn.snd_una, conn.rcv_nxt, flags,
        <uint16_t>min(window, <uint32_t>65535), header_bytes,
    )
    conn_finish(conn, tcp, header_bytes, 0, 0)
    conn.last_ack_sent = conn.rcv_nxt
    return conn_tcp_offset(conn) + header_bytes


cdef inline uint32_t active_input(
    TcpConn *conn, const Segment *segment, uint32_t mtu, uint32_t window, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """A segment in SYN_SENT: the checks of RFC 9293 3.10.7.3, in that order. Returns TcpEvent bits.
    EVENT_SYN_AGAIN: a SYN-ACK is due. Octets with a SYN are not taken: the peer repeats them."""
    cdef bint acked = segment.tcp.flags & TCP_ACK != 0
    if acked and not (seq_lt(conn.snd_una, segment.tcp.ack) and seq_le(segment.tcp.ack, conn.snd_nxt)):
        count(counters, C_BAD_ACK)
        return EVENT_RESET                              # never in answer to a RST: the caller sees to it
    if segment.tcp.flags & TCP_RST:
        if not acked:                                   # it may be anybody's
            count(counters, C_RST_IGNORED)
            return EVENT_NONE
        count(counters, C_RESET_BY_PEER)
        return EVENT_CLOSED
    if not segment.tcp.flags & TCP_SYN or segment.tcp.flags & TCP_FIN:
        count(counters, C_NOT_TAKEN)
        return EVENT_NONE
    active_negotiate(conn, segment, acked, mtu)
    conn.rcv_nxt = segment.tcp.seq + 1
    conn.rcv_edge = conn.rcv_nxt + window
    conn.snd_wnd = segment.tcp.window                   # never scaled in a SYN (RFC 7323 2.2)
    conn.snd_wnd_max = conn.snd_wnd
    conn.snd_wl1 = segment.tcp.seq
    conn.active_at = tick_of(now_ns)
    congestion_start(conn)
    if not acked:
        conn.snd_wl2 = conn.snd_una
        conn.state = TCP_SYN_RCVD
        rtt_forget(conn)                                # what answers is no answer to our SYN alone
        rto_arm(conn, now_ns)
        return EVENT_SYN_AGAIN
    active_establish(conn, segment.tcp.ack, now_ns)
    return EVENT_ESTABLISHED


cdef inline void active_negotiate(
    TcpConn *conn, const Segment *segment, bint answered, uint32_t mtu
) noexcept nogil:
    """What both sides have offered. answered: the SYN answers ours, so ECN is agreed by ECE alone."""
    if segment.tcp.has_timestamps:
        conn.ts_recent = segment.tcp.ts_value
    else:
        conn.flags &= ~<uint32_t>CONN_TIMESTAMPS
    if segment.tcp.has_window_scale:
        conn.snd_scale = segment.tcp.window_scale
    else:
        conn.flags &= ~<uint32_t>CONN_WINDOW_SCALE
    if not segment.tcp.sack_permitted:
        conn.flags &= ~<uint32_t>CONN_SACK
    if segment.tcp.flags & (TCP_ECE | TCP_CWR) != (TCP_ECE if answered else TCP_ECE | TCP_CWR):
        conn.flags &= ~<uint32_t>CONN_ECN
    conn.mss = segment_bytes_most(conn, segment.tcp.mss, mtu)


cdef inline void active_establish(TcpConn *conn, uint32_t ack, uint64_t now_ns) noexcept nogil:
    """Our SYN is acknowledged by the peer's."""
    conn.state = TCP_ESTABLISHED
    rtt_acked(conn, ack, now_ns)
    if conn.backoff:
        conn.rto_us = RTO_AFTER_SYN_LOSS_US             # RFC 6298 5.7
        conn.cwnd = conn.mss                            # RFC 6928 2
    rto_disarm(conn)
    conn.snd_una = ack
    conn.snd_wl2 = ack
    conn.flags |= CONN_ACK_NOW


cdef inline bint is_crossing_syn_ack(const TcpConn *conn, const Segment *segment) noexcept nogil:
    """Both opened at once, both have answered the other's SYN: the SYN was here before, its ACK is new
    (RFC 9293 3.5, figure 8, line 6)."""
    return (
        conn.state == TCP_SYN_RCVD
        and segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) == TCP_SYN | TCP_ACK
        and segment.tcp.seq + 1 == conn.rcv_nxt and segment.tcp.ack == conn.snd_nxt
    )


cdef inline bint active_timeout(TcpConn *conn, uint64_t now_ns, Counters *counters) noexcept nogil:
    """Nobody answers the SYN, or the SYN-ACK: whether it is to be sent again, else it is given up. The
    second SYN asks for no ECN: something may drop those that do (RFC 3168 6.1.1.1)."""
    if conn.backoff >= SYN_RETRIES_MOST:
        count(counters, C_ABORTED)
        return False
    conn.backoff += 1
    if conn.state == TCP_SYN_SENT:
        conn.flags &= ~<uint32_t>CONN_ECN
    rtt_forget(conn)
    rto_arm(conn, now_ns)
    return True
