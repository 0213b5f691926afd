"""Round-trip time, retransmission timeout and its back-off (RFC 6298).

Instead of the RFC's 1 s at least, a timeout is at least a margin above the round trip: 200 ms, as in Linux,
for a single segment, whose acknowledgement the peer may delay; 50 ms when more are out, for then it may not
(RFC 9293 3.8.6.3), and when timestamps will tell, and undo, what was in vain (RFC 3522, RFC 4015).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from cython_ext.tcp.conn cimport (
    CONN_RTO_ARMED, CONN_TIMESTAMPS, CONN_TIMING, TIMER_RTO, TcpConn, tick_of, ticks_from_us,
)
from cython_ext.wire.seqnum cimport seq_le

cdef enum:
    RTO_FIRST_US = 1000000          # RFC 6298 2.1
    RTO_AFTER_SYN_LOSS_US = 3000000
    RTO_MARGIN_US = 200000
    RTO_PROMPT_MARGIN_US = 50000
    RTO_MOST_US = 60000000          # RFC 6298 2.5
    RETRIES_MOST = 10               # timeouts in a row before giving up (RFC 9293 3.8.3, R2)
    SYN_ACK_RETRIES_MOST = 4


cdef inline uint32_t low_us(uint64_t now_ns) noexcept nogil:
    return <uint32_t>(now_ns // 1000)


cdef inline void rtt_start(TcpConn *conn, uint32_t end_seq, uint64_t now_ns) noexcept nogil:
    """Begins to time the octets up to `end_seq` unless a measurement runs."""
    if not conn.flags & CONN_TIMING:
        conn.flags |= CONN_TIMING
        conn.timed_seq = end_seq
        conn.timed_at_us = low_us(now_ns)


cdef inline void rtt_forget(TcpConn *conn) noexcept nogil:
    """Something is sent again: what is being timed would be ambiguous (Karn's algorithm)."""
    conn.flags &= ~<uint32_t>CONN_TIMING


cdef inline bint rtt_acked(TcpConn *conn, uint32_t ack, uint64_t now_ns) noexcept nogil:
    """An acknowledgement of new octets arrived; True when it gave a sample."""
    if not conn.flags & CONN_TIMING or not seq_le(conn.timed_seq, ack):
        return False
    conn.flags &= ~<uint32_t>CONN_TIMING
    rtt_sample(conn, low_us(now_ns) - conn.timed_at_us)
    return True


cdef inline void rto_keep(TcpConn *conn) noexcept nogil:
    """What was sent twice has arrived: the timeout stays as long as it became until there is a sample (RFC 6298 5,
    5.5 and the note behind 5.7). Not with timestamps, which tell which of the two arrived."""
    cdef uint64_t timeout_us = <uint64_t>max(conn.rto_us, conn.srtt_us + rto_margin_us(conn)) << conn.backoff
    if not conn.flags & CONN_TIMESTAMPS:
        conn.rto_us = <uint32_t>min(timeout_us, <uint64_t>RTO_MOST_US)


cdef inline void rtt_sample(TcpConn *conn, uint32_t rtt_us) noexcept nogil:
    """RFC 6298 2.2 and 2.3, alpha 1/8, beta 1/4."""
    cdef int32_t error
    if rtt_us > RTO_MOST_US:
        rtt_us = RTO_MOST_US
    if conn.srtt_us == 0:
        conn.srtt_us = max(rtt_us, <uint32_t>1)
        conn.rttvar_us = rtt_us // 2
    else:
        error = <int32_t>(conn.srtt_us - rtt_us)
        if error < 0:
            error = -error
        conn.rttvar_us = conn.rttvar_us - conn.rttvar_us // 4 + <uint32_t>error // 4
        conn.srtt_us = max(conn.srtt_us - conn.srtt_us // 8 + rtt_us // 8, <uint32_t>1)
    conn.rto_us = conn.srtt_us + max(4 * conn.rttvar_us, <uint32_t>1000)
    conn.rto_us = min(conn.rto_us, <uint32_t>RTO_MOST_US)


cdef inline uint32_t rto_margin_us(const TcpConn *conn) noexcept nogil:
    """What a timeout exceeds the round trip by at least."""
    if conn.flags & CONN_TIMESTAMPS and conn.snd_max - conn.snd_una > conn.mss:
        return RTO_PROMPT_MARGIN_US
    return RTO_MARGIN_US


cdef inline uint32_t rto_ticks(const TcpConn *conn) noexcept nogil:
    """The timeout with its back-off, in ticks."""
    cdef uint64_t timeout_us = <uint64_t>max(conn.rto_us, conn.srtt_us + rto_margin_us(conn)) << conn.backoff
    return ticks_from_us(min(timeout_us, <uint64_t>RTO_MOST_US))


cdef inline void rto_arm(TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """(Re)starts the timer (RFC 6298 5.1, 5.3)."""
    conn.flags |= CONN_RTO_ARMED
    conn.timer_kind = TIMER_RTO
    conn.rto_at = tick_of(now_ns) + rto_ticks(conn)


cdef inline void timer_arm_us(TcpConn *conn, uint8_t kind, uint32_t timeout_us, uint64_t now_ns) noexcept nogil:
    """(Re)starts the timer for a tail probe or for RACK; the retransmission timeout if that is sooner."""
    cdef uint32_t ticks = ticks_from_us(timeout_us)
    if ticks >= rto_ticks(conn):
        rto_arm(conn, now_ns)
        return
    conn.flags |= CONN_RTO_ARMED
    conn.timer_kind = kind
    conn.rto_at = tick_of(now_ns) + ticks


cdef inline void rto_disarm(TcpConn *conn) noexcept nogil:
    conn.flags &= ~<uint32_t>CONN_RTO_ARMED
    conn.backoff = 0
