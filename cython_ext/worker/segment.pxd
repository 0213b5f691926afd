"""One segment through TCP and HTTP to its answer: carries events from one layer to the other."""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.base.counters cimport C_CLOSED, C_OPENED, C_SOURCE_LIMITED, C_TIME_WAIT_REUSED, count
from cython_ext.base.pool cimport NIL
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_WAIT_LISTED, TCP_CLOSE_WAIT, TCP_LAST_ACK, TcpConn, tick_of
from cython_ext.tcp.event cimport (
    EVENT_ACKED, EVENT_CLOSED, EVENT_DATA, EVENT_DUPLICATE, EVENT_ESTABLISHED, EVENT_OUT_OF_ORDER, EVENT_RESET,
    EVENT_SYN_AGAIN, EVENT_TIME_WAIT, TcpEvents,
)
from cython_ext.tcp.input cimport tcp_close, tcp_input, tcp_queue, tcp_window_grew
from cython_ext.tcp.loss cimport rto_disarm, rtt_forget
from cython_ext.tcp.table cimport table_find, wait_append, wait_unlink
from cython_ext.wire.tcp cimport TCP_ACK, TCP_RST
from cython_ext.worker.admission cimport source_admit
from cython_ext.worker.expire cimport schedule
from cython_ext.worker.listen cimport answer_reset, cookie_replaces, listen, syn_reuses
from cython_ext.worker.queue cimport drop_buffer, session_acked
from cython_ext.worker.service cimport SESSION_CLOSING, Session
from cython_ext.worker.session cimport (
    session_drain, session_is_blocked, session_is_idle, session_window,
)
from cython_ext.worker.receive cimport hold_segment, take_data
from cython_ext.worker.state cimport (
    Worker, connection_end, connection_flight, flight_give, log_peer, output_list, source_release,
)
from cython_ext.worker.transmit cimport Spare, send_bare, send_due, send_syn_ack


cdef inline void enter_time_wait(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """Begins, or begins anew, the wait of 2 MSL (RFC 9293 3.6.1)."""
    cdef TcpConn *conn = &worker.table.conns[number]
    if conn.flags & CONN_WAIT_LISTED:
        wait_unlink(&worker.table, number)
    else:
        count(&worker.counters, C_CLOSED)
    rto_disarm(conn)
    source_release(worker, conn)
    wait_append(&worker.table, number)
    conn.active_at = tick_of(now_ns)


cdef inline void resume_requests(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The response queue or the log has room again: goes on with the requests that waited for it."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef uint64_t queued = 0
    log_peer(worker, conn)
    session_drain(&worker.service, session, tick_of(now_ns), &queued)
    if worker.service.log_blocked:
        output_list(worker, number)
    tcp_queue(conn, queued)
    tcp_window_grew(conn, session_window(session))


cdef inline void close_after_last(Worker *worker, uint32_t number) noexcept nogil:
    """Our FIN goes behind the responses when no further request will be answered."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    if session.flags & SESSION_CLOSING:
        tcp_close(conn)
    elif conn.state == TCP_CLOSE_WAIT and not session_is_blocked(session):
        drop_buffer(&worker.service, session)       # of a request that nobody will complete
        tcp_close(conn)


cdef inline void resume_blocked(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """Requests that wait, perhaps for the log alone, are looked at again."""
    if session_is_blocked(&worker.sessions[number]):
        resume_requests(worker, number, now_ns)
        close_after_last(worker, number)


cdef inline void carry_events(
    Worker *worker, uint32_t number, const Segment *segment, uint32_t happened, TcpEvents *events,
    uint64_t now_ns,
) noexcept nogil:
    """From TCP's events to HTTP's reactions."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    if happened & EVENT_ESTABLISHED:
        worker.table.half_open -= 1
        count(&worker.counters, C_OPENED)
    if happened & EVENT_ACKED:
        session_acked(&worker.service, session, events.acked)
        if conn.snd_una == conn.snd_max:
            flight_give(worker, conn)
        if session_is_blocked(session):
            resume_requests(worker, number, now_ns)
        if worker.service.draining and session_is_idle(session):
            session.flags |= SESSION_CLOSING
    if happened & EVENT_DATA:
        take_data(worker, number, events, &happened, now_ns)
    if happened & (EVENT_OUT_OF_ORDER | EVENT_DUPLICATE):
        hold_segment(worker, number, segment, events, &happened, now_ns)
    close_after_last(worker, number)
    if happened & EVENT_TIME_WAIT:
        enter_time_wait(worker, number, now_ns)


cdef inline void refuse_source(Worker *worker, uint32_t number, Spare *spare, uint64_t now_ns) noexcept nogil:
    """The handshake is complete, and its source has all the connections it may have."""
    count(&worker.counters, C_SOURCE_LIMITED)
    worker.table.half_open -= 1
    send_bare(worker, number, spare, TCP_RST | TCP_ACK, now_ns)
    connection_end(worker, number)


cdef inline uint32_t find_connection(
    Worker *worker, const Segment *segment, Spare *spare, uint64_t now_ns
) noexcept nogil:
    """The record that the segment goes on to, be it one that it opens; NIL when it has been dealt with."""
    cdef uint32_t number = table_find(&worker.table, segment)
    cdef uint32_t last_seq
    if number == NIL:
        return listen(worker, segment, spare, NULL, now_ns)
    if syn_reuses(&worker.table.conns[number], segment):
        count(&worker.counters, C_TIME_WAIT_REUSED)
        last_seq = worker.table.conns[number].snd_max
        connection_end(worker, number)
        return listen(worker, segment, spare, &last_seq, now_ns)
    if cookie_replaces(worker, &worker.table.conns[number], segment, now_ns):
        connection_end(worker, number)
        return listen(worker, segment, spare, NULL, now_ns)
    return number


cdef inline void take_segment(
    Worker *worker, const Segment *segment, Spare *spare, uint64_t now_ns
) noexcept nogil:
    cdef uint32_t number = find_connection(worker, segment, spare, now_ns)
    cdef TcpConn *conn
    cdef TcpEvents events
    cdef uint32_t happened
    if number == NIL:
        return
    conn = &worker.table.conns[number]
    happened = tcp_input(
        conn, connection_flight(worker, conn), segment, now_ns, &events, &worker.counters
    )
    if happened & EVENT_RESET:
        answer_reset(worker, &worker.ports[segment.driver], segment, spare)
        return
    if happened & EVENT_CLOSED:
        if conn.state == TCP_LAST_ACK and not segment.tcp.flags & TCP_RST:
            count(&worker.counters, C_CLOSED)
        connection_end(worker, number)
        return
    if happened & EVENT_SYN_AGAIN:
        rtt_forget(conn)
        send_syn_ack(worker, number, spare, now_ns)
        return
    if happened & EVENT_ESTABLISHED and not source_admit(worker, conn):
        refuse_source(worker, number, spare, now_ns)
        return
    carry_events(worker, number, segment, happened, &events, now_ns)
    send_due(worker, number, spare, now_ns)
    schedule(worker, number)
