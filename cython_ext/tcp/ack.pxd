"""What an acknowledgement says (RFC 9293 3.10.7.4, fifth check), and what follows from it for sending:
windows, round-trip time, loss recovery. With a flight block by SACK and RACK-TLP, without one by
duplicate ACKs and NewReno (RFC 6582)."""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_DUP_ACKS, C_ECN_REDUCTIONS, C_FAST_RETRANSMIT, C_SPURIOUS_RECOVERY, C_SPURIOUS_RTO, C_TAIL_LOSS, Counters, count,
)
from cython_ext.net.input cimport Segment
from cython_ext.tcp.congestion cimport (
    CWND_MOST, DUP_ACKS_FOR_LOSS, congestion_acked, congestion_loss, congestion_reduce, prr_acked, prr_begin,
)
from cython_ext.tcp.conn cimport (
    CONN_ECN, CONN_FIN_QUEUED, CONN_LARGE_ARRIVES, CONN_RECOVERING, CONN_RESEND_FIRST, CONN_TIMESTAMPS,
    TCP_CLOSING, TCP_FIN_WAIT_1, TCP_FIN_WAIT_2, TCP_LAST_ACK, TCP_TIME_WAIT, TIMER_PROBE, TIMER_REORDER,
    TIMER_RTO, TcpConn, conn_flight, conn_progress, tick_of,
)
from cython_ext.tcp.event cimport EVENT_ACKED, EVENT_CLOSED, EVENT_NONE, EVENT_TIME_WAIT, TcpEvents
from cython_ext.tcp.flight cimport Flight, flight_all_lost, flight_count, flight_none_lost
from cython_ext.tcp.loss cimport low_us, rto_arm, rto_disarm, rto_keep, rtt_acked, timer_arm_us
from cython_ext.tcp.pathmtu cimport mss_acked, mss_probe_alone_is_lost
from cython_ext.tcp.rack cimport (
    flight_acked, flight_sack, probe_is_wanted, probe_timeout_us, rack_adapt, rack_detect,
)
from cython_ext.tcp.reset cimport segment_length
from cython_ext.wire.seqnum cimport seq_le, seq_lt, seq_max, seq_min
from cython_ext.wire.tcp cimport TCP_ECE


cdef enum:
    UNDO_SPAN_MOST = 1 << 30        # the largest window: no DSACK of what lies as far back is under way


cdef inline uint32_t take_ack(
    TcpConn *conn, Flight *flight, const Segment *segment, uint64_t now_ns, TcpEvents *events,
    Counters *counters,
) noexcept nogil:
    """An acceptable ACK. `flight` is the connection's block, or NULL."""
    cdef uint32_t happened = EVENT_NONE
    cdef uint32_t window_before = conn.snd_wnd
    cdef bint progress = seq_lt(conn.snd_una, segment.tcp.ack)
    if conn.flags & CONN_ECN and segment.tcp.flags & TCP_ECE:
        take_ecn_echo(conn, flight, counters)
    if flight != NULL:
        update_scoreboard(conn, flight, segment, progress, low_us(now_ns))
    if progress:
        happened = take_new_ack(conn, flight, segment.tcp.ack, now_ns, events)
    update_window(conn, segment, progress)
    if flight != NULL:
        recover_flight(conn, flight, segment, progress, now_ns, counters)
    elif not progress and is_duplicate(conn, segment, window_before):
        take_duplicate_ack(conn, counters)
    if window_before == 0 and conn.snd_wnd > 0 and conn.backoff:
        resume_after_closed_window(conn, flight)
    return happened


cdef inline void update_scoreboard(
    const TcpConn *conn, Flight *flight, const Segment *segment, bint progress, uint32_t now_us
) noexcept nogil:
    cdef uint32_t una = segment.tcp.ack if progress else conn.snd_una
    flight.delivered = 0
    flight.dsack_seen = False
    flight_acked(flight, una, now_us)
    if segment.tcp.sack_blocks:
        flight_sack(flight, segment.tcp.sack, segment.tcp.sack_blocks, una, conn.snd_max, now_us)
    flight_count(flight)


cdef inline void update_window(TcpConn *conn, const Segment *segment, bint progress) noexcept nogil:
    """SND.WND from the newest segment only (RFC 9293 3.10.7.4, SND.WL1 and SND.WL2). One that moves
    SND.UNA is newer whatever its number: else the old window would count from the new SND.UNA."""
    if not seq_le(conn.snd_una, segment.tcp.ack):
        return
    if progress or seq_lt(conn.snd_wl1, segment.tcp.seq) or (
        conn.snd_wl1 == segment.tcp.seq and seq_le(conn.snd_wl2, segment.tcp.ack)
    ):
        conn.snd_wnd = <uint32_t>segment.tcp.window << conn.snd_scale
        conn.snd_wl1 = segment.tcp.seq
        conn.snd_wl2 = segment.tcp.ack
        conn.snd_wnd_max = max(conn.snd_wnd_max, conn.snd_wnd)


cdef inline void resume_after_closed_window(TcpConn *conn, Flight *flight) noexcept nogil:
    """Whatever was sent into the closed window is gone: go on from the first missing octet."""
    if flight != NULL:
        flight_all_lost(flight)
    else:
        conn.snd_nxt = conn.snd_una
    rto_disarm(conn)


cdef inline uint32_t take_new_ack(
    TcpConn *conn, Flight *flight, uint32_t ack, uint64_t now_ns, TcpEvents *events
) noexcept nogil:
    cdef uint32_t octets = ack - conn.snd_una
    cdef bint fin_acked = octets > conn.send_queue
    if not rtt_acked(conn, ack, now_ns) and conn.backoff and conn.snd_wnd:
        rto_keep(conn)
    conn.snd_una = ack
    if seq_le(conn.recover, ack):
        conn.recover = ack              # kept near: numbers compare over half their range
    conn.snd_nxt = seq_max(conn.snd_nxt, ack)
    conn.backoff = 0
    conn.dup_acks = 0
    events.acked = octets - (1 if fin_acked else 0)
    if events.acked >= conn.mss:
        conn.flags |= CONN_LARGE_ARRIVES
    conn.send_queue -= events.acked
    if conn.send_queue:
        conn_progress(conn, events.acked, tick_of(now_ns))
    else:
        conn.active_at = tick_of(now_ns)
    if flight == NULL:
        if conn.flags & CONN_RECOVERING:
            advance_recovery(conn, octets)
        else:
            congestion_acked(conn, NULL, octets, now_ns)
    if conn.snd_max == conn.snd_una:
        rto_disarm(conn)
    else:
        rto_arm(conn, now_ns)
    return EVENT_ACKED | (fin_was_acknowledged(conn) if fin_acked else 0)


cdef inline uint32_t fin_was_acknowledged(TcpConn *conn) noexcept nogil:
    conn.flags &= ~<uint32_t>CONN_FIN_QUEUED
    if conn.state == TCP_FIN_WAIT_1:
        conn.state = TCP_FIN_WAIT_2
    elif conn.state == TCP_CLOSING:
        conn.state = TCP_TIME_WAIT
        return EVENT_TIME_WAIT
    elif conn.state == TCP_LAST_ACK:
        return EVENT_CLOSED
    return EVENT_NONE


cdef inline void take_ecn_echo(TcpConn *conn, Flight *flight, Counters *counters) noexcept nogil:
    """RFC 3168 6.1.2: as for a loss, but nothing is sent again; once for a window of data. What was reduced
    stays so, whatever else it was for (RFC 3522 3.2 (5), RFC 4015)."""
    if flight != NULL:
        flight.undo_possible = False
        flight.undo_armed = False
    if conn.flags & CONN_RECOVERING or not seq_le(conn.recover, conn.snd_una):
        return
    count(counters, C_ECN_REDUCTIONS)
    congestion_reduce(conn, flight)
    conn.cwnd = conn.ssthresh
    conn.recover = conn.snd_max


# ---- with a flight block: RACK-TLP (RFC 8985) and proportional rate reduction ----

cdef inline void recover_flight(
    TcpConn *conn, Flight *flight, const Segment *segment, bint progress, uint64_t now_ns, Counters *counters
) noexcept nogil:
    cdef uint32_t again_us
    if progress:
        undo_if_spurious(conn, flight, segment, counters)
        if flight.undo_octets and seq_lt(flight.undo_end + UNDO_SPAN_MOST, conn.snd_una):
            flight.undo_armed = False           # numbers compare over half their range
        settle_probe(conn, flight, counters)
        mss_acked(conn, flight, counters)
    if flight.dsack_seen:
        undo_if_all_in_vain(conn, flight, counters)
    rack_adapt(conn, flight)
    again_us = rack_detect(conn, flight, conn.flags & CONN_RECOVERING != 0, low_us(now_ns))
    if conn.flags & CONN_RECOVERING and seq_le(conn.recover, conn.snd_una):
        end_recovery(conn, flight)
    elif conn.flags & CONN_RECOVERING:
        prr_acked(conn, flight, progress)
    elif recovery_is_due(conn, flight):
        begin_recovery(conn, flight, counters)
        prr_acked(conn, flight, progress)
    elif flight.delivered:
        congestion_acked(conn, flight, flight.delivered, now_ns)
    if conn.snd_max == conn.snd_una:
        return
    if again_us:
        timer_arm_us(conn, TIMER_REORDER, again_us, now_ns)
    elif conn.backoff == 0 and not conn.flags & CONN_RECOVERING and probe_is_wanted(conn, flight):
        timer_arm_us(conn, TIMER_PROBE, probe_timeout_us(conn, flight), now_ns)
    elif conn.timer_kind != TIMER_RTO:
        rto_arm(conn, now_ns)


cdef inline bint recovery_is_due(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """Something was lost that says of congestion, and of none that is known already."""
    return (
        flight.lost != 0 and conn.backoff == 0 and seq_le(conn.recover, conn.snd_una)
        and not mss_probe_alone_is_lost(conn, flight)
    )


cdef inline void begin_recovery(TcpConn *conn, Flight *flight, Counters *counters) noexcept nogil:
    count(counters, C_FAST_RETRANSMIT)
    flight.undo_armed = True
    flight.undo_octets = 0
    flight.undo_cwnd = conn.cwnd
    flight.undo_ssthresh = conn.ssthresh
    prr_begin(conn, flight)
    congestion_loss(conn, flight)
    conn.recover = conn.snd_max
    conn.flags |= CONN_RECOVERING


cdef inline void end_recovery(TcpConn *conn, Flight *flight) noexcept nogil:
    conn.flags &= ~<uint32_t>CONN_RECOVERING
    conn.cwnd = conn.ssthresh
    if flight.window_persist:
        flight.window_persist -= 1
        if flight.window_persist == 0:
            flight.window_factor = 1            # RFC 8985 6.2 step 4


cdef inline void undo_if_spurious(
    TcpConn *conn, Flight *flight, const Segment *segment, Counters *counters
) noexcept nogil:
    """Eifel (RFC 3522 3.2): the first ACK after a timeout echoes an octet sent before it, so the
    timeout was in vain; windows go back to what they were (RFC 4015)."""
    if not flight.undo_possible:
        return
    flight.undo_possible = False
    if conn.flags & CONN_TIMESTAMPS and seq_lt(segment.tcp.ts_echo, flight.undo_timestamp):
        count(counters, C_SPURIOUS_RTO)
        flight_none_lost(flight)
        conn.cwnd = max(conn.cwnd, flight.undo_cwnd)
        conn.ssthresh = flight.undo_ssthresh
        conn.recover = conn.snd_una


cdef inline void undo_if_all_in_vain(TcpConn *conn, Flight *flight, Counters *counters) noexcept nogil:
    """RFC 2883 5, RFC 3708: every octet sent again is reported to have arrived twice, so nothing had been
    lost: windows go back to what they were. What was sent once, the network doubled (RFC 3708 2)."""
    cdef uint32_t start = seq_max(flight.dsack_start, flight.undo_start)
    cdef uint32_t end = seq_min(flight.dsack_end, flight.undo_end)
    if not flight.undo_armed or flight.undo_octets == 0 or not seq_lt(start, end):
        return
    flight.undo_octets -= min(flight.undo_octets, end - start)
    if flight.undo_octets or flight.lost:
        return
    flight.undo_armed = False
    count(counters, C_SPURIOUS_RECOVERY)
    conn.flags &= ~<uint32_t>CONN_RECOVERING
    conn.cwnd = max(conn.cwnd, flight.undo_cwnd)
    conn.ssthresh = max(conn.ssthresh, flight.undo_ssthresh)
    conn.recover = conn.snd_una


cdef inline void settle_probe(TcpConn *conn, Flight *flight, Counters *counters) noexcept nogil:
    """RFC 8985 7.4.2: the probe's octets arrived. If it repeated old ones and no DSACK says in vain,
    it repaired a loss, and congestion control hears of it."""
    if not flight.probe_out or not seq_le(flight.probe_end, conn.snd_una):
        return
    flight.probe_out = False
    if flight.probe_again and not flight.dsack_seen and not conn.flags & CONN_RECOVERING:
        count(counters, C_TAIL_LOSS)
        congestion_reduce(conn, flight)
        conn.cwnd = conn.ssthresh


# ---- without: duplicate ACKs (RFC 5681 3.2, RFC 6582) ----

cdef inline bint is_duplicate(const TcpConn *conn, const Segment *segment, uint32_t window_before) noexcept nogil:
    """RFC 5681 2."""
    return (
        segment.tcp.ack == conn.snd_una and conn.snd_max != conn.snd_una and window_before == conn.snd_wnd
        and segment_length(segment) == 0 and conn.snd_wnd > 0
    )


cdef inline void advance_recovery(TcpConn *conn, uint32_t octets) noexcept nogil:
    """NewReno (RFC 6582 3.2 step 3): a full ACK ends it, a partial one sends the next hole."""
    if seq_le(conn.recover, conn.snd_una):
        conn.flags &= ~<uint32_t>(CONN_RECOVERING | CONN_RESEND_FIRST)
        conn.cwnd = min(conn.ssthresh, max(conn_flight(conn), <uint32_t>conn.mss) + conn.mss)
    else:
        conn.flags |= CONN_RESEND_FIRST
        conn.cwnd = max(conn.cwnd - min(octets, conn.cwnd), <uint32_t>conn.mss) + conn.mss


cdef inline void take_duplicate_ack(TcpConn *conn, Counters *counters) noexcept nogil:
    """RFC 5681 3.2; RFC 6582 3.2 step 2: not twice for the same window of data."""
    count(counters, C_DUP_ACKS)
    if conn.flags & CONN_RECOVERING:
        conn.cwnd = min(conn.cwnd + conn.mss, <uint32_t>CWND_MOST)
        return
    if conn.dup_acks < 255:
        conn.dup_acks += 1
    if conn.dup_acks == DUP_ACKS_FOR_LOSS and conn.backoff == 0 and seq_le(conn.recover, conn.snd_una):
        count(counters, C_FAST_RETRANSMIT)
        congestion_loss(conn, NULL)
        conn.recover = conn.snd_max
        conn.flags |= CONN_RECOVERING | CONN_RESEND_FIRST
