"""What to send next, and the headers it leaves with (RFC 9293 3.7, 3.8).

Two steps, so that TCP never sees the content: tcp_plan says which octets are due; the caller
puts them into a frame behind the headers; tcp_emit writes the headers; tcp_sent books it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_RETRANSMITTED, Counters, count
from cython_ext.net.address cimport Local
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_FIN_QUEUED, CONN_IPV6, CONN_PROBE, CONN_RESEND_FIRST, CONN_RTO_ARMED, CONN_TIMESTAMPS,
    TcpConn, conn_flight, conn_may_send_data,
)
from cython_ext.tcp.loss cimport rto_arm, rtt_forget, rtt_start
from cython_ext.wire.bytes cimport load_u32, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ethernet cimport ETH_BYTES, ETH_TAG_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ethernet_emit
from cython_ext.wire.ipv4 cimport IPV4_BYTES, ipv4_emit
from cython_ext.wire.ipv6 cimport IPV6_BYTES, ipv6_emit
from cython_ext.wire.seqnum cimport seq_lt, seq_max
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_FIN, TCP_PSH, TCP_TIMESTAMP_BYTES, tcp_emit_fixed, tcp_emit_timestamps,
    tcp_store_checksum,
)

cdef struct TcpPlan:
    uint32_t seq
    uint32_t octets         # of payload
    uint32_t offset         # of the first one, counted from snd_una
    uint8_t flags
    bint again              # some of it was sent before


cdef inline bint tcp_plan(const TcpConn *conn, TcpPlan *plan) noexcept nogil:
    """The next segment that may leave now; False when none may."""
    cdef uint32_t flight
    cdef uint64_t unsent, room, window
    if not conn_may_send_data(conn):
        return False
    if conn.flags & CONN_RESEND_FIRST:
        return plan_first_again(conn, plan)
    flight = conn_flight(conn)
    if flight > conn.send_queue:        # the FIN is under way
        return False
    unsent = conn.send_queue - flight
    window = min(conn.cwnd, conn.snd_wnd)
    room = window - flight if window > flight else 0
    if conn.flags & CONN_PROBE and room == 0:
        room = 1
    plan.octets = <uint32_t>min(min(unsent, room), <uint64_t>conn.mss)
    plan.seq = conn.snd_nxt
    plan.offset = flight
    plan.flags = TCP_ACK
    plan.again = seq_lt(conn.snd_nxt, conn.snd_max)
    if plan.octets == unsent:
        if conn.flags & CONN_FIN_QUEUED:
            plan.flags |= TCP_FIN
        elif unsent == 0:
            return False
        plan.flags |= TCP_PSH
        return True
    return plan.octets == conn.mss or (plan.octets > 0 and small_segment_is_due(conn, plan.octets))


cdef inline bint small_segment_is_due(const TcpConn *conn, uint32_t octets) noexcept nogil:
    """Sender's silly window avoidance (RFC 9293 3.8.6.2.1): half the largest window, or a probe."""
    return octets >= conn.snd_wnd_max // 2 or conn.flags & CONN_PROBE != 0


cdef inline bint plan_first_again(const TcpConn *conn, TcpPlan *plan) noexcept nogil:
    """Fast retransmit: the segment at snd_una, with the FIN only if that was sent before."""
    cdef uint64_t sent = conn.snd_max - conn.snd_una
    plan.seq = conn.snd_una
    plan.offset = 0
    plan.octets = <uint32_t>min(min(sent, conn.send_queue), <uint64_t>conn.mss)
    plan.flags = TCP_ACK
    plan.again = True
    if plan.octets == conn.send_queue and sent > conn.send_queue:
        plan.flags |= TCP_FIN
    return plan.octets > 0 or plan.flags & TCP_FIN != 0


cdef inline void tcp_sent(TcpConn *conn, const TcpPlan *plan, uint64_t now_ns, Counters *counters) noexcept nogil:
    """Books a planned segment as sent."""
    if plan.again:
        count(counters, C_RETRANSMITTED)
        rtt_forget(conn)
    if conn.flags & CONN_RESEND_FIRST:
        conn.flags &= ~<uint32_t>CONN_RESEND_FIRST
        rto_arm(conn, now_ns)
        return
    conn.flags &= ~<uint32_t>CONN_PROBE
    conn.snd_nxt += plan.octets
    if plan.flags & TCP_FIN:
        conn.snd_nxt += 1
    conn.snd_max = seq_max(conn.snd_max, conn.snd_nxt)
    if not plan.again:
        rtt_start(conn, conn.snd_nxt, now_ns)
    if plan.seq == conn.snd_una or not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)           # a timer that waited for the window to open begins anew


cdef inline uint32_t conn_ip_offset(const TcpConn *conn) noexcept nogil:
    return ETH_BYTES + (ETH_TAG_BYTES if conn.tag_type else 0)


cdef inline uint32_t conn_tcp_offset(const TcpConn *conn) noexcept nogil:
    return conn_ip_offset(conn) + (IPV6_BYTES if conn.flags & CONN_IPV6 else IPV4_BYTES)


cdef inline uint32_t conn_payload_offset(const TcpConn *conn) noexcept nogil:
    """Where the payload of a data segment begins in its frame."""
    return conn_tcp_offset(conn) + TCP_BYTES + (TCP_TIMESTAMP_BYTES if conn.flags & CONN_TIMESTAMPS else 0)


cdef inline uint32_t timestamp_now(const TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """Our timestamp clock: milliseconds from a secret origin (RFC 7323 5.4, 7.1)."""
    return <uint32_t>(now_ns // 1000000) + conn.ts_offset


cdef inline void conn_emit_link(
    const TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame, uint32_t segment_bytes
) noexcept nogil:
    """Ethernet and IP headers for a TCP segment of `segment_bytes`."""
    cdef uint32_t ip = conn_ip_offset(conn)
    cdef const uint8_t *ours = &local.address[conn.local].octets[0]
    if conn.flags & CONN_IPV6:
        ethernet_emit(frame, conn.peer_mac, mac, ETHERTYPE_IPV6, conn.tag_type, conn.tag)
        ipv6_emit(frame + ip, ours, conn.peer_address, segment_bytes)
    else:
        ethernet_emit(frame, conn.peer_mac, mac, ETHERTYPE_IPV4, conn.tag_type, conn.tag)
        ipv4_emit(frame + ip, load_u32(ours), load_u32(conn.peer_address + 12), segment_bytes)


cdef inline void conn_finish(
    const TcpConn *conn, uint8_t *tcp, uint32_t header_bytes, uint32_t payload_bytes, uint16_t payload_sum
) noexcept nogil:
    """The checksum over pseudo-header, header and payload."""
    cdef uint64_t total = sum_wide(tcp, header_bytes) + conn.pseudo + payload_sum
    tcp_store_checksum(tcp, sum_fold(total + swap_be16(<uint16_t>(header_bytes + payload_bytes))))


cdef inline uint32_t tcp_emit(
    TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *frame,
    uint32_t seq, uint8_t flags, uint32_t payload_bytes, uint16_t payload_sum,
    uint32_t window, uint64_t now_ns,
) noexcept nogil:
    """Headers of any segment but a SYN; returns the frame's size in octets.

    The payload, with its sum, already lies at conn_payload_offset. window: what we take, octets.
    """
    cdef uint8_t *tcp = frame + conn_tcp_offset(conn)
    cdef uint32_t header_bytes = TCP_BYTES
    if conn.flags & CONN_TIMESTAMPS:
        tcp_emit_timestamps(tcp + TCP_BYTES, timestamp_now(conn, now_ns), conn.ts_recent)
        header_bytes += TCP_TIMESTAMP_BYTES
    conn_emit_link(conn, local, mac, frame, header_bytes + payload_bytes)
    tcp_emit_fixed(
        tcp, local.port, conn.peer_port, seq, conn.rcv_nxt, flags, <uint16_t>min(window, <uint32_t>65535),
        header_bytes,
    )
    conn_finish(conn, tcp, header_bytes, payload_bytes, payload_sum)
    conn.last_ack_sent = conn.rcv_nxt
    conn.rcv_edge = seq_max(conn.rcv_edge, conn.rcv_nxt + window)
    conn.flags &= ~<uint32_t>CONN_ACK_NOW
    return conn_payload_offset(conn) + payload_bytes
