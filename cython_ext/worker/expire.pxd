"""What time does to connections: retransmission, probes, timeouts, the end of TIME-WAIT."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_ABORTED, C_BODY_FAILED, C_HEADER_TIMEOUTS, C_IDLE_TIMEOUTS, C_RTO, C_TIMERS, count,
)
from cython_ext.base.pool cimport NIL
from cython_ext.tcp.conn cimport (
    CONN_OUTPUT_LISTED, CONN_PACED, CONN_PROBE, CONN_RTO_ARMED, TCP_ESTABLISHED,
    TCP_SYN_RCVD, TCP_TIME_WAIT, TIMER_PROBE, TIMER_REORDER,
    TcpConn, tick_of,
)
from cython_ext.tcp.flight cimport Flight
from cython_ext.tcp.input cimport tcp_close, tcp_queue
from cython_ext.tcp.loss cimport RETRIES_MOST, SYN_ACK_RETRIES_MOST, rto_arm, rto_disarm, rtt_forget
from cython_ext.tcp.pathmtu cimport mss_consider
from cython_ext.tcp.timeout cimport (
    timeout_probe_window, timeout_reorder, timeout_retransmit, timeout_tail,
)
from cython_ext.tcp.timers cimport wheel_list, wheel_next
from cython_ext.wire.tcp cimport TCP_ACK, TCP_RST
from cython_ext.worker.accesslog cimport log_is_full, log_last
from cython_ext.worker.queue cimport drop_buffer
from cython_ext.worker.service cimport SESSION_BROKEN, SESSION_CLOSING, Session
from cython_ext.worker.session cimport refuse_request, request_buffer, session_is_blocked
from cython_ext.worker.state cimport Worker, connection_end, connection_flight, log_peer
from cython_ext.worker.transmit cimport send_bare, send_due, send_syn_ack

cdef enum:
    EXPIRED_A_TURN = 256            # most timers worked off in one turn


cdef inline bint tick_passed(uint32_t tick, uint32_t deadline) noexcept nogil:
    return <int32_t>(tick - deadline) >= 0


cdef inline uint32_t idle_deadline(const Worker *worker, uint32_t number) noexcept nogil:
    """When, with no progress, the connection ends or its partial request is refused."""
    cdef const TcpConn *conn = &worker.table.conns[number]
    cdef const Session *session = &worker.sessions[number]
    if conn.state == TCP_TIME_WAIT:
        return conn.active_at + worker.config.time_wait_ticks
    if session.flags & SESSION_BROKEN:
        return conn.active_at
    if head_is_awaited(conn, session):
        return session.head_since + worker.config.header_ticks
    return conn.active_at + worker.config.idle_ticks


cdef inline bint head_is_awaited(const TcpConn *conn, const Session *session) noexcept nogil:
    return conn.state == TCP_ESTABLISHED and session.buffered != 0 and not session_is_blocked(session)


cdef inline void schedule(Worker *worker, uint32_t number) noexcept nogil:
    """Lists the connection in the wheel for its next deadline."""
    cdef const TcpConn *conn = &worker.table.conns[number]
    cdef uint32_t deadline = idle_deadline(worker, number)
    if conn.flags & CONN_RTO_ARMED and <int32_t>(conn.rto_at - deadline) < 0:
        deadline = conn.rto_at
    if conn.flags & CONN_PACED:
        deadline = worker.wheel.now         # the next tick
    wheel_list(&worker.wheel, number, deadline)


cdef inline void expire_due(Worker *worker, uint64_t now_ns) noexcept nogil:
    """Works off timers that fell due, a bounded number a turn."""
    cdef uint32_t tick = tick_of(now_ns)
    cdef uint32_t number
    cdef int _i
    for _i in range(EXPIRED_A_TURN):
        number = wheel_next(&worker.wheel, tick)
        if number == NIL:
            return
        count(&worker.counters, C_TIMERS)
        expire(worker, number, tick, now_ns)


cdef inline void expire(Worker *worker, uint32_t number, uint32_t tick, uint64_t now_ns) noexcept nogil:
    cdef TcpConn *conn = &worker.table.conns[number]
    if tick_passed(tick, idle_deadline(worker, number)):
        if not expire_idle(worker, number, tick, now_ns):
            return
    mss_consider(conn, connection_flight(worker, conn), now_ns)
    if conn.flags & CONN_RTO_ARMED and tick_passed(tick, conn.rto_at):
        if not expire_rto(worker, number, now_ns):
            return
    send_due(worker, number, NULL, now_ns)
    schedule(worker, number)


cdef inline void give_up(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """Aborts: a RST, then the record is free."""
    count(&worker.counters, C_ABORTED)
    send_bare(worker, number, NULL, TCP_RST | TCP_ACK, now_ns)
    connection_end(worker, number)


cdef inline bint expire_idle(Worker *worker, uint32_t number, uint32_t tick, uint64_t now_ns) noexcept nogil:
    """Returns whether the connection lives on."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    if conn.state == TCP_TIME_WAIT:
        connection_end(worker, number)
        return False
    if session.flags & SESSION_BROKEN:
        count(&worker.counters, C_BODY_FAILED)
        give_up(worker, number, now_ns)
        return False
    if head_is_awaited(conn, session):
        if log_is_full(&worker.service):
            session.head_since = tick
            return True
        count(&worker.counters, C_HEADER_TIMEOUTS)
        log_peer(worker, conn)
        tcp_queue(conn, refuse_request(&worker.service, session, 408, False))
        log_last(&worker.service, session, request_buffer(&worker.service, session), session.buffered, NULL)
        drop_buffer(&worker.service, session)
        tcp_close(conn)
        conn.active_at = tick
        return True
    count(&worker.counters, C_IDLE_TIMEOUTS)
    if conn.state == TCP_ESTABLISHED and conn.send_queue == 0:
        session.flags |= SESSION_CLOSING
        tcp_close(conn)
        conn.active_at = tick           # the same time again for the peer to close, too
        return True
    give_up(worker, number, now_ns)
    return False


cdef inline bint expire_rto(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The sender's timer (tcp/timeout). Returns whether the connection lives on."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Flight *flight = connection_flight(worker, conn)
    if conn.state == TCP_SYN_RCVD:
        return repeat_syn_ack(worker, number, now_ns)
    if conn.snd_max == conn.snd_una and conn.send_queue == 0:
        rto_disarm(conn)
    elif flight != NULL and conn.timer_kind == TIMER_PROBE:
        timeout_tail(conn, now_ns)
    elif flight != NULL and conn.timer_kind == TIMER_REORDER:
        timeout_reorder(conn, flight, now_ns, &worker.counters)
    elif conn.snd_max == conn.snd_una and conn.flags & CONN_OUTPUT_LISTED:
        rto_arm(conn, now_ns)                       # it waits for a frame, not for the peer
    elif conn.send_queue and (conn.snd_wnd == 0 or conn.snd_max == conn.snd_una):
        timeout_probe_window(conn, flight, now_ns, &worker.counters)
    elif conn.backoff >= RETRIES_MOST:
        count(&worker.counters, C_RTO)
        give_up(worker, number, now_ns)
        return False
    else:
        conn.flags |= CONN_PROBE                    # short segments have waited long enough
        timeout_retransmit(conn, flight, now_ns, &worker.counters)
    return True


cdef inline bint repeat_syn_ack(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    cdef TcpConn *conn = &worker.table.conns[number]
    if conn.backoff >= SYN_ACK_RETRIES_MOST:
        count(&worker.counters, C_ABORTED)
        connection_end(worker, number)
        return False
    conn.backoff += 1
    rtt_forget(conn)
    rto_arm(conn, now_ns)
    send_syn_ack(worker, number, NULL, now_ns)
    return True
