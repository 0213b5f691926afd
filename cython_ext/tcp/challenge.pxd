"""Answers to doubtful segments, at most one per connection and half a second (RFC 5961 7).

The limit is each connection's own: a count shared by all would tell one peer what another does
(CVE-2016-5696). It also ends the loop of two stacks that find each other's ACKs out of place.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_CHALLENGE_LIMITED, Counters, count
from cython_ext.tcp.conn cimport CONN_ACK_NOW, TcpConn

cdef enum:
    CHALLENGE_SHIFT = 24            # challenged_at counts 2^24 ns, 17 ms: it wraps after 18 minutes
    CHALLENGE_PAUSE = 30            # of them, 503 ms


cdef inline uint16_t challenge_now(uint64_t now_ns) noexcept nogil:
    return <uint16_t>(now_ns >> CHALLENGE_SHIFT)


cdef inline void challenge_start(TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """A new connection may answer at once."""
    conn.challenged_at = <uint16_t>(challenge_now(now_ns) - CHALLENGE_PAUSE)


cdef inline bint challenge_allows(TcpConn *conn, uint64_t now_ns, Counters *counters) noexcept nogil:
    """Whether an answer may leave; books it if so."""
    cdef uint16_t now = challenge_now(now_ns)
    if <uint16_t>(now - conn.challenged_at) < CHALLENGE_PAUSE:
        count(counters, C_CHALLENGE_LIMITED)
        return False
    conn.challenged_at = now
    return True


cdef inline void challenge_ack(TcpConn *conn, uint64_t now_ns, Counters *counters) noexcept nogil:
    """An acknowledgement is due that says where we stand, unless one has just said it."""
    if challenge_allows(conn, now_ns, counters):
        conn.flags |= CONN_ACK_NOW
