"""The segment size of a connection and the path: smaller when told or when large segments vanish, and after
ten minutes larger again, if one segment of the old size arrives (RFC 1191 6.3, RFC 8201 4, RFC 4821 7).

The probe is a segment of new octets like any other, but for its size: when it alone is lost, it is repaired in
small pieces, and no window is reduced (RFC 4821 3). It needs a flight block, which tells what arrived.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_PATH_MTU_RAISED, Counters, count
from cython_ext.tcp.conn cimport CONN_LARGE_ARRIVES, TcpConn
from cython_ext.tcp.flight cimport (
    MTU_PROBE_DUE, MTU_PROBE_NONE, MTU_PROBE_OUT, Flight, FlightRun, flight_next_lost,
)
from cython_ext.wire.seqnum cimport seq_le, seq_lt

cdef enum:
    RAISE_SHIFT = 36                # mss_lowered_at counts 2^36 ns, 69 s: it wraps after five hours
    RAISE_AFTER = 9                 # of them, 618 s


cdef inline void mss_lower(TcpConn *conn, uint16_t octets, uint64_t now_ns) noexcept nogil:
    """Segments become smaller; the size that the handshake agreed on is remembered."""
    if conn.mss_most == 0:
        conn.mss_most = conn.mss
    conn.mss = octets
    conn.mss_lowered_at = <uint8_t>(now_ns >> RAISE_SHIFT)


cdef inline void mss_consider(TcpConn *conn, Flight *flight, uint64_t now_ns) noexcept nogil:
    """Has a probe sent when the last change was ten minutes ago. Called by timers: no cost per packet."""
    if conn.mss_most == 0 or flight == NULL or flight.mtu_probe != MTU_PROBE_NONE:
        return
    if <uint8_t>(<uint8_t>(now_ns >> RAISE_SHIFT) - conn.mss_lowered_at) >= RAISE_AFTER:
        flight.mtu_probe = MTU_PROBE_DUE


cdef inline void mss_sent(
    TcpConn *conn, Flight *flight, uint32_t seq, uint32_t end, bint again, uint64_t now_ns
) noexcept nogil:
    """A segment left while a probe is wanted or out: it is the probe, or the probe is sent again in pieces."""
    if flight.mtu_probe == MTU_PROBE_DUE and not again and end - seq > conn.mss:
        conn.mss_lowered_at = <uint8_t>(now_ns >> RAISE_SHIFT)
        flight.mtu_probe = MTU_PROBE_OUT
        flight.mtu_probe_end = end
    elif flight.mtu_probe == MTU_PROBE_OUT and again and seq_lt(seq, flight.mtu_probe_end):
        if seq_le(flight.mtu_probe_end, end):           # the last piece
            flight.mtu_probe = MTU_PROBE_NONE


cdef inline bint mss_probe_alone_is_lost(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """Nothing but the probe, or a piece of it, is to be sent again."""
    cdef FlightRun run
    if flight.mtu_probe != MTU_PROBE_OUT or not flight_next_lost(flight, &run):
        return False
    return seq_le(flight.mtu_probe_end - conn.mss_most, run.start) and flight.lost <= flight.mtu_probe_end - run.start


cdef inline void mss_acked(TcpConn *conn, Flight *flight, Counters *counters) noexcept nogil:
    """The probe has arrived, and was sent only once: the path carries its size."""
    if flight.mtu_probe == MTU_PROBE_OUT and seq_le(flight.mtu_probe_end, conn.snd_una):
        count(counters, C_PATH_MTU_RAISED)
        flight.mtu_probe = MTU_PROBE_NONE
        conn.mss = conn.mss_most
        conn.mss_most = 0
        conn.flags |= CONN_LARGE_ARRIVES
