"""Pacing without a timer for each packet: a budget of octets that fills with time and pays for what is sent.

It fills at two windows per round trip, which is what Linux takes in slow start (net/ipv4/tcp_input.c,
tcp_update_pacing_rate): so a window never leaves as one burst, and nothing that acknowledgements clock is slower
for it. Who has used it up is listed in the timer wheel for the next tick; acknowledgements that come before
find what has filled since. Round trips of less than four ticks are over before that would tell: no pacing there.
What leaves in recovery pays, too, but is held by proportional rate reduction alone.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from cython_ext.tcp.congestion cimport initial_window
from cython_ext.tcp.conn cimport CONN_RECOVERING, TcpConn
from cython_ext.tcp.flight cimport Flight

cdef enum:
    PACE_LEAST_US = 4000            # round trips from here on are paced
    PACE_CREDIT_US = 2200           # of unused time that counts at least: two ticks, so late a wakeup may come
    PACE_GAIN = 2                   # windows per round trip


cdef inline bint is_paced(const TcpConn *conn) noexcept nogil:
    return conn.srtt_us >= PACE_LEAST_US


cdef inline void pace_start(const TcpConn *conn, Flight *flight, uint32_t now_us) noexcept nogil:
    """An initial window goes at once (RFC 6928 2), whatever the path."""
    flight.pace_budget = <int32_t>initial_window(conn)
    flight.paced_us = now_us


cdef inline uint64_t pace_octets(const TcpConn *conn, uint32_t elapsed_us) noexcept nogil:
    """How many octets may leave in that time."""
    return PACE_GAIN * <uint64_t>conn.cwnd * elapsed_us // conn.srtt_us


cdef inline void pace_fill(const TcpConn *conn, Flight *flight, uint32_t now_us) noexcept nogil:
    """Before sending. Unused time is worth half a window at most."""
    cdef int64_t most, filled
    if not is_paced(conn):
        return
    most = <int64_t>max(pace_octets(conn, PACE_CREDIT_US), <uint64_t>max(conn.cwnd // 2, initial_window(conn)))
    filled = flight.pace_budget + <int64_t>pace_octets(conn, now_us - flight.paced_us)
    flight.pace_budget = <int32_t>min(filled, most)
    flight.paced_us = now_us


cdef inline bint pace_holds(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """Nothing new may leave at present."""
    return flight.pace_budget <= 0 and is_paced(conn) and not conn.flags & CONN_RECOVERING


cdef inline void pace_pay(Flight *flight, uint32_t octets) noexcept nogil:
    """So many leave. The last of them may be owed, but no more than a segment."""
    flight.pace_budget = max(flight.pace_budget - <int32_t>octets, -<int32_t>octets)
