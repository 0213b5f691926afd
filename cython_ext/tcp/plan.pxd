"""Which octets to send next (RFC 9293 3.8; RFC 6675, RFC 8985 with a flight block).

Two steps, so that TCP never sees the content: tcp_plan says which octets are due; the caller puts
them into a frame behind the headers (tcp/output); tcp_sent books them.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_RETRANSMITTED, C_TAIL_PROBES, Counters, count
from cython_ext.tcp.conn cimport (
    CONN_FIN_QUEUED, CONN_PROBE, CONN_RECOVERING, CONN_RESEND_FIRST, CONN_RTO_ARMED, CONN_TAIL_PROBE,
    TIMER_PROBE, TcpConn, conn_flight, conn_may_send_data,
)
from cython_ext.tcp.flight cimport (
    MTU_PROBE_DUE, Flight, FlightRun, flight_next_lost, flight_resent, flight_sent, flight_undo_counts,
)
from cython_ext.tcp.loss cimport low_us, rto_arm, rtt_forget, rtt_start, timer_arm_us
from cython_ext.tcp.pacing cimport pace_holds, pace_pay
from cython_ext.tcp.pathmtu cimport mss_sent
from cython_ext.tcp.rack cimport probe_is_wanted, probe_timeout_us
from cython_ext.wire.seqnum cimport seq_lt, seq_max
from cython_ext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_PSH

cdef struct TcpPlan:
    uint32_t seq
    uint32_t octets         # of payload
    uint32_t offset         # of the first one, counted from snd_una
    uint8_t flags
    bint again              # some of it was sent before
    bint paced              # nothing is due, for its pace holds it


cdef inline bint tcp_plan(const TcpConn *conn, const Flight *flight, TcpPlan *plan) noexcept nogil:
    """The next segment that may leave now; False when none may. `flight`: its block, or NULL."""
    cdef FlightRun run
    plan.paced = False
    if not conn_may_send_data(conn):
        return False
    plan.flags = TCP_ACK
    if flight != NULL:
        if flight_next_lost(flight, &run):
            return plan_lost(conn, flight, &run, plan)
        if conn.flags & CONN_TAIL_PROBE and plan_probe(conn, plan):
            return True
    elif conn.flags & CONN_RESEND_FIRST:
        return plan_first_again(conn, plan)
    return plan_new(conn, flight, plan)


cdef inline bint plan_new(const TcpConn *conn, const Flight *flight, TcpPlan *plan) noexcept nogil:
    """Octets at snd_nxt: never sent, or gone back to."""
    cdef uint32_t out = conn_flight(conn)
    cdef uint32_t pipe = out if flight == NULL else flight.pipe
    cdef uint64_t unsent, room
    if out > conn.send_queue:               # the FIN is under way
        return False
    unsent = conn.send_queue - out
    room = min(conn.cwnd - pipe if conn.cwnd > pipe else 0, conn.snd_wnd - out if conn.snd_wnd > out else 0)
    if conn.flags & CONN_PROBE and room == 0:
        room = 1
    plan.octets = <uint32_t>min(min(unsent, room), <uint64_t>conn.mss)
    if flight != NULL and plan.octets and pace_holds(conn, flight):
        plan.paced = True
        return False
    if flight != NULL and flight.mtu_probe == MTU_PROBE_DUE and min(unsent, room) >= conn.mss_most > conn.mss:
        plan.octets = conn.mss_most
    plan.seq = conn.snd_nxt
    plan.offset = out
    plan.again = seq_lt(conn.snd_nxt, conn.snd_max)
    if plan.octets == unsent:
        if conn.flags & CONN_FIN_QUEUED:
            plan.flags |= TCP_FIN
        elif unsent == 0:
            return False
        plan.flags |= TCP_PSH
        return True
    return plan.octets >= conn.mss or (plan.octets > 0 and small_segment_is_due(conn, plan.octets))


cdef inline bint small_segment_is_due(const TcpConn *conn, uint32_t octets) noexcept nogil:
    """Sender's silly window avoidance (RFC 9293 3.8.6.2.1): half the largest window, or a probe."""
    return octets >= conn.snd_wnd_max // 2 or conn.flags & CONN_PROBE != 0


cdef inline bint plan_range(
    const TcpConn *conn, uint32_t start, uint32_t end, uint64_t room, TcpPlan *plan
) noexcept nogil:
    """A segment from [start, end), which was sent before and may end in our FIN."""
    cdef uint64_t offset = start - conn.snd_una
    cdef uint64_t octets = end - start
    cdef bint fin = offset + octets > conn.send_queue
    if fin:
        octets -= 1
    plan.seq = start
    plan.offset = <uint32_t>offset
    plan.again = True
    plan.octets = <uint32_t>min(min(octets, room), <uint64_t>conn.mss)
    if plan.octets == octets:
        if fin:
            plan.flags |= TCP_FIN
        if offset + octets == conn.send_queue:
            plan.flags |= TCP_PSH
    return plan.octets > 0 or plan.flags & TCP_FIN != 0


cdef inline bint plan_lost(
    const TcpConn *conn, const Flight *flight, const FlightRun *run, TcpPlan *plan
) noexcept nogil:
    """The first octets marked lost, as far as both windows let them go."""
    cdef uint32_t offset = run.start - conn.snd_una
    cdef uint32_t room = conn.snd_wnd - offset if conn.snd_wnd > offset else 0
    if conn.flags & CONN_PROBE and room == 0:
        room = 1
    if not plan_range(conn, run.start, run.end, room, plan):
        return False
    return flight.pipe == 0 or flight.pipe + plan.octets <= conn.cwnd


cdef inline bint plan_probe(const TcpConn *conn, TcpPlan *plan) noexcept nogil:
    """Tail loss probe (RFC 8985 7.3): a new segment if there is one, else the last one again."""
    cdef uint32_t out = conn_flight(conn)
    cdef uint32_t back = min(out, <uint32_t>conn.mss)
    if out < conn.send_queue and out < conn.snd_wnd:
        plan.seq = conn.snd_nxt
        plan.offset = out
        plan.again = False
        plan.octets = <uint32_t>min(min(conn.send_queue - out, <uint64_t>(conn.snd_wnd - out)), <uint64_t>conn.mss)
        plan.flags |= TCP_PSH
        if out + <uint64_t>plan.octets == conn.send_queue and conn.flags & CONN_FIN_QUEUED:
            plan.flags |= TCP_FIN
        return True
    return plan_range(conn, conn.snd_nxt - back, conn.snd_nxt, conn.mss, plan)


cdef inline bint plan_first_again(const TcpConn *conn, TcpPlan *plan) noexcept nogil:
    """Fast retransmit: the segment at snd_una, with the FIN only if that was sent before."""
    return plan_range(conn, conn.snd_una, conn.snd_max, conn.mss, plan)


cdef inline void tcp_sent(
    TcpConn *conn, Flight *flight, const TcpPlan *plan, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """Books a planned segment as sent."""
    cdef uint32_t end = plan.seq + plan.octets + (1 if plan.flags & TCP_FIN else 0)
    if plan.again:
        count(counters, C_RETRANSMITTED)
        rtt_forget(conn)
    if flight != NULL:
        sent_with_flight(conn, flight, plan, end, now_ns, counters)
        return
    if conn.flags & CONN_RESEND_FIRST:
        conn.flags &= ~<uint32_t>CONN_RESEND_FIRST
        rto_arm(conn, now_ns)
        return
    conn.flags &= ~<uint32_t>CONN_PROBE
    conn.snd_nxt = end
    conn.snd_max = seq_max(conn.snd_max, end)
    if not plan.again:
        rtt_start(conn, end, now_ns)
    if plan.seq == conn.snd_una or not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)               # a timer that waited for the window to open begins anew


cdef inline void sent_with_flight(
    TcpConn *conn, Flight *flight, const TcpPlan *plan, uint32_t end, uint64_t now_ns, Counters *counters
) noexcept nogil:
    cdef bint tail_probe = conn.flags & CONN_TAIL_PROBE != 0
    conn.flags &= ~<uint32_t>(CONN_PROBE | CONN_TAIL_PROBE)
    if conn.flags & CONN_RECOVERING:
        flight.recovery_sent += plan.octets
    pace_pay(flight, plan.octets)
    if flight.mtu_probe:
        mss_sent(conn, flight, plan.seq, end, plan.again, now_ns)
    if plan.again:
        flight_undo_counts(flight, plan.seq, plan.seq + plan.octets)
        flight_resent(flight, plan.seq, end, low_us(now_ns))
    else:
        flight_sent(flight, plan.seq, end, low_us(now_ns))
        conn.snd_nxt = end
        conn.snd_max = end
        rtt_start(conn, end, now_ns)
    if tail_probe:
        count(counters, C_TAIL_PROBES)
        flight.probe_out = True
        flight.probe_again = plan.again
        flight.probe_end = conn.snd_max
        rto_arm(conn, now_ns)
    elif not plan.again and conn.backoff == 0 and probe_is_wanted(conn, flight):
        timer_arm_us(conn, TIMER_PROBE, probe_timeout_us(conn, flight), now_ns)
    elif plan.seq == conn.snd_una or not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)
