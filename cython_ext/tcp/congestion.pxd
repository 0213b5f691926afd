"""Congestion control: slow start, congestion avoidance, fast recovery (RFC 5681, RFC 6582).

The sender asks only for conn.cwnd; these five functions are the whole interface.
"""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.tcp.conn cimport TcpConn, conn_flight

cdef enum:
    INITIAL_SEGMENTS = 10           # RFC 6928 2, and the octets that large segments count as ten
    INITIAL_OCTETS = 14600
    DUP_ACKS_FOR_LOSS = 3           # RFC 5681 3.2
    CWND_MOST = 0x3fffffff


cdef inline void congestion_start(TcpConn *conn) noexcept nogil:
    cdef uint32_t mss = conn.mss
    conn.cwnd = min(INITIAL_SEGMENTS * mss, max(2 * mss, <uint32_t>INITIAL_OCTETS))
    conn.ssthresh = CWND_MOST


cdef inline void congestion_acked(TcpConn *conn, uint32_t octets) noexcept nogil:
    """New octets acknowledged outside recovery (RFC 5681 3.1; byte counting, RFC 3465, L=2)."""
    cdef uint32_t mss = conn.mss
    if conn.cwnd < conn.ssthresh:
        conn.cwnd += min(octets, 2 * mss)
    else:
        conn.cwnd += max(<uint32_t>(<uint64_t>mss * min(octets, 2 * mss) // conn.cwnd), <uint32_t>1)
    conn.cwnd = min(conn.cwnd, <uint32_t>CWND_MOST)


cdef inline uint32_t congestion_half_flight(const TcpConn *conn) noexcept nogil:
    """RFC 5681 (4)."""
    return max(conn_flight(conn) // 2, 2 * <uint32_t>conn.mss)


cdef inline void congestion_loss(TcpConn *conn) noexcept nogil:
    """Third duplicate ACK: enter fast recovery (RFC 5681 3.2 steps 2 and 3)."""
    conn.ssthresh = congestion_half_flight(conn)
    conn.cwnd = conn.ssthresh + DUP_ACKS_FOR_LOSS * <uint32_t>conn.mss


cdef inline void congestion_timeout(TcpConn *conn) noexcept nogil:
    """Retransmission timeout (RFC 5681 3.1): one segment, and half of what was in flight."""
    if conn.backoff == 0:
        conn.ssthresh = congestion_half_flight(conn)
    conn.cwnd = conn.mss
