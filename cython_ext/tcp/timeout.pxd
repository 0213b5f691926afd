"""What a timer that fell due does to the sender: RTO, window probe, tail loss probe, RACK's second look."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_BLACK_HOLES, C_FAST_RETRANSMIT, C_RTO, C_WINDOW_PROBES, Counters, count,
)
from cython_ext.tcp.ack cimport begin_recovery, recovery_is_due
from cython_ext.tcp.congestion cimport congestion_timeout
from cython_ext.tcp.conn cimport (
    CONN_IPV6, CONN_LARGE_ARRIVES, CONN_PROBE, CONN_RECOVERING, CONN_RESEND_FIRST, CONN_TAIL_PROBE,
    CONN_TIMESTAMPS, TcpConn,
)
from cython_ext.tcp.flight cimport Flight, flight_all_lost
from cython_ext.tcp.loss cimport low_us, rto_arm, rtt_forget
from cython_ext.tcp.output cimport timestamp_now
from cython_ext.tcp.pathmtu cimport mss_lower
from cython_ext.tcp.rack cimport rack_detect

cdef enum:
    PROBE_BACKOFF_MOST = 10         # of a window probe; RTO_MOST_US bounds the interval anyway
    BLACK_HOLE_TIMEOUTS = 2         # in a row with full segments: they may be too large for the path
    BLACK_HOLE_LATE = 6             # the same where a full segment has arrived before
    SMALL_MSS_V4 = 536 - 12         # RFC 8899 5.1.2, RFC 4821: what every path carries, less options
    SMALL_MSS_V6 = 1220 - 12


cdef inline void timeout_retransmit(
    TcpConn *conn, Flight *flight, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """RFC 6298 5.4 to 5.6; all that is not SACKed counts as lost (RFC 6675 5.1, RFC 8985 6.3)."""
    count(counters, C_RTO)
    rtt_forget(conn)
    if flight != NULL and conn.backoff == 0:
        flight.undo_cwnd = conn.cwnd
        flight.undo_ssthresh = conn.ssthresh
        flight.undo_timestamp = timestamp_now(conn, now_ns)
        flight.undo_possible = conn.flags & CONN_TIMESTAMPS != 0
        flight.undo_armed = True
        flight.undo_octets = 0
    congestion_timeout(conn, flight)
    conn.backoff += 1
    avoid_black_hole(conn, now_ns, counters)
    conn.recover = conn.snd_max                     # RFC 6582 3.2 step 4
    conn.flags &= ~<uint32_t>(CONN_RECOVERING | CONN_RESEND_FIRST | CONN_TAIL_PROBE)
    if flight != NULL:
        flight.probe_out = False
        flight_all_lost(flight)
    else:
        conn.snd_nxt = conn.snd_una
    rto_arm(conn, now_ns)


cdef inline void avoid_black_hole(TcpConn *conn, uint64_t now_ns, Counters *counters) noexcept nogil:
    """A path that drops large packets and says nothing (RFC 2923 2.1, RFC 4821 7.7): go smaller."""
    cdef uint16_t small = SMALL_MSS_V6 if conn.flags & CONN_IPV6 else SMALL_MSS_V4
    cdef int timeouts = BLACK_HOLE_LATE if conn.flags & CONN_LARGE_ARRIVES else BLACK_HOLE_TIMEOUTS
    if conn.backoff == timeouts and conn.mss > small and conn.send_queue > small:
        count(counters, C_BLACK_HOLES)
        mss_lower(conn, small, now_ns)
        conn.cwnd = small


cdef inline void timeout_probe_window(
    TcpConn *conn, Flight *flight, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """One octet into a closed window, or what fits into one too small for a full segment, ever more
    seldom (RFC 9293 3.8.6.1, 3.8.6.2.1). It is no loss: the congestion window stays. The idle timeout
    bounds how long."""
    count(counters, C_WINDOW_PROBES)
    rtt_forget(conn)
    conn.flags |= CONN_PROBE
    if flight != NULL:
        flight_all_lost(flight)
    else:
        conn.snd_nxt = conn.snd_una
    if conn.backoff < PROBE_BACKOFF_MOST:
        conn.backoff += 1
    rto_arm(conn, now_ns)


cdef inline void timeout_tail(TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """The tail loss probe is due (RFC 8985 7.3); the retransmission timer follows it."""
    conn.flags |= CONN_TAIL_PROBE
    rto_arm(conn, now_ns)


cdef inline void timeout_reorder(
    TcpConn *conn, Flight *flight, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """The reordering window has passed (RFC 8985 6.3): what has still not come is lost."""
    cdef uint32_t again_us = rack_detect(conn, flight, conn.flags & CONN_RECOVERING != 0, low_us(now_ns))
    rto_arm(conn, now_ns)
    if again_us == 0 and not conn.flags & CONN_RECOVERING and recovery_is_due(conn, flight):
        begin_recovery(conn, flight, counters)
        conn.cwnd = max(flight.pipe + conn.mss, <uint32_t>conn.mss)
