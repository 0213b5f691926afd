"""Segments without a connection: a SYN opens one, or under pressure is answered by a cookie; an ACK with a
sound cookie opens one too; anything else is answered by a RST."""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_COOKIES_ACCEPTED, C_COOKIES_BAD, C_COOKIES_SENT, C_NO_CONNECTION, C_RST_SENT, C_SOURCE_LIMITED,
    C_SYN_DRAINING, C_SYN_RECEIVED, C_TABLE_FULL, count,
)
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_IPV6, CONN_NEWRENO, CONN_TIMESTAMPS, TCP_SYN_RCVD, TCP_TIME_WAIT, TcpConn
from cython_ext.tcp.cookie cimport COOKIE_LIFE_NS, cookie_draft, cookie_is_sound, cookie_open
from cython_ext.tcp.reset cimport reset_emit
from cython_ext.tcp.syn cimport syn_ack_emit, syn_open
from cython_ext.tcp.table cimport conn_start
from cython_ext.wire.seqnum cimport seq_lt
from cython_ext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from cython_ext.worker.admission cimport make_room, make_room_for_proven, source_has_room
from cython_ext.worker.expire cimport schedule
from cython_ext.worker.service cimport REQUEST_BUFFER_BYTES, session_start
from cython_ext.worker.state cimport Port, Worker
from cython_ext.worker.transmit cimport Spare, port_frame, port_send, send_syn_ack


cdef inline void answer_reset(
    Worker *worker, Port *port, const Segment *segment, Spare *spare
) noexcept nogil:
    """Turns the segment's frame into a RST; never in answer to one."""
    if segment.tcp.flags & TCP_RST or not spare.available:
        return
    spare.available = False
    spare.frame.bytes = reset_emit(segment, &worker.local, port.mac, spare.frame.data)
    count(&worker.counters, C_RST_SENT)
    port_send(worker, port, &spare.frame)


cdef inline uint32_t listen(
    Worker *worker, const Segment *segment, Spare *spare, const uint32_t *last_seq, uint64_t now_ns
) noexcept nogil:
    """A segment without a connection (RFC 9293 3.10.7.1, 3.10.7.2). last_seq: see syn_open.

    Returns NIL, or the record that a cookie has opened: the segment goes on to it.
    """
    cdef Port *port = &worker.ports[segment.driver]
    cdef uint32_t peer_mss
    if segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) == TCP_SYN:
        take_syn(worker, segment, spare, last_seq, now_ns)
        return NIL
    if segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST) == TCP_ACK and cookies_are_out(worker, now_ns):
        if cookie_is_sound(segment, worker.local.port, &worker.config.isn_key, now_ns, &peer_mss):
            return take_cookie(worker, segment, spare, peer_mss, now_ns)
        count(&worker.counters, C_COOKIES_BAD)
    count(&worker.counters, C_NO_CONNECTION)
    answer_reset(worker, port, segment, spare)
    return NIL


cdef inline void take_syn(
    Worker *worker, const Segment *segment, Spare *spare, const uint32_t *last_seq, uint64_t now_ns
) noexcept nogil:
    """One that takes the place of a TIME-WAIT record (last_seq is known) is as good as that was."""
    cdef uint32_t number
    count(&worker.counters, C_SYN_RECEIVED)
    if worker.service.draining:
        count(&worker.counters, C_SYN_DRAINING)
        answer_reset(worker, &worker.ports[segment.driver], segment, spare)
        return
    if not segment_has_room(worker, segment):
        count(&worker.counters, C_SOURCE_LIMITED)
        return
    if last_seq == NULL and (
        worker.table.half_open >= worker.table.half_open_most or not make_room(worker)
    ):
        send_cookie(worker, segment, spare, now_ns)
        return
    number = syn_open(
        &worker.table, segment, &worker.local, &worker.config.isn_key, worker.config.mtu,
        REQUEST_BUFFER_BYTES, last_seq, now_ns,
    )
    begin_connection(worker, number)
    send_syn_ack(worker, number, spare, now_ns)
    schedule(worker, number)


cdef inline void begin_connection(Worker *worker, uint32_t number) noexcept nogil:
    """What a fresh record has besides TCP's part."""
    if worker.config.newreno:
        worker.table.conns[number].flags |= CONN_NEWRENO
    session_start(&worker.sessions[number])


cdef inline bint segment_has_room(const Worker *worker, const Segment *segment) noexcept nogil:
    cdef TcpConn conn
    if worker.sources.cells == NULL:
        return True
    conn_start(&conn, segment)
    conn.flags = CONN_IPV6 if segment.version == 6 else 0
    return source_has_room(worker, &conn)


cdef inline bint cookies_are_out(const Worker *worker, uint64_t now_ns) noexcept nogil:
    """Whether an ACK may answer a cookie at all: else a guess is not even looked at."""
    return worker.cookie_ns != 0 and now_ns - worker.cookie_ns <= COOKIE_LIFE_NS and not worker.service.draining


cdef inline void send_cookie(
    Worker *worker, const Segment *segment, Spare *spare, uint64_t now_ns
) noexcept nogil:
    """The SYN's own frame becomes the SYN-ACK: nothing is kept."""
    cdef Port *port = &worker.ports[segment.driver]
    cdef TcpConn conn
    cdef Frame frame
    cookie_draft(&conn, segment, &worker.local, &worker.config.isn_key, REQUEST_BUFFER_BYTES, now_ns)
    if not port_frame(worker, port, spare, &frame):
        return
    frame.bytes = syn_ack_emit(
        &conn, &worker.local, port.mac, frame.data, worker.config.mtu, REQUEST_BUFFER_BYTES, now_ns
    )
    worker.cookie_ns = now_ns
    count(&worker.counters, C_COOKIES_SENT)
    port_send(worker, port, &frame)


cdef inline uint32_t take_cookie(
    Worker *worker, const Segment *segment, Spare *spare, uint32_t peer_mss, uint64_t now_ns
) noexcept nogil:
    """A peer has completed the handshake: its record, or NIL when there is no room for it. Then nothing is
    answered: it will repeat its request."""
    cdef uint32_t number
    if not segment_has_room(worker, segment):
        count(&worker.counters, C_SOURCE_LIMITED)
        answer_reset(worker, &worker.ports[segment.driver], segment, spare)
        return NIL
    if not make_room_for_proven(worker, now_ns):
        count(&worker.counters, C_TABLE_FULL)
        return NIL
    number = cookie_open(
        &worker.table, segment, &worker.local, &worker.config.isn_key, worker.config.mtu,
        REQUEST_BUFFER_BYTES, peer_mss, now_ns,
    )
    count(&worker.counters, C_COOKIES_ACCEPTED)
    begin_connection(worker, number)
    schedule(worker, number)
    return number


cdef inline bint cookie_replaces(
    const Worker *worker, const TcpConn *conn, const Segment *segment, uint64_t now_ns
) noexcept nogil:
    """An ACK to the cookie that answered the first SYN, while a record came of the repeated one."""
    cdef uint32_t peer_mss
    return (
        conn.state == TCP_SYN_RCVD and segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST) == TCP_ACK
        and segment.tcp.ack != conn.snd_nxt and cookies_are_out(worker, now_ns)
        and cookie_is_sound(segment, worker.local.port, &worker.config.isn_key, now_ns, &peer_mss)
    )


cdef inline bint syn_reuses(const TcpConn *conn, const Segment *segment) noexcept nogil:
    """A SYN that may replace a TIME-WAIT record (RFC 6191 2; RFC 9293 3.6.1)."""
    if conn.state != TCP_TIME_WAIT or segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) != TCP_SYN:
        return False
    if conn.flags & CONN_TIMESTAMPS and segment.tcp.has_timestamps:
        if seq_lt(conn.ts_recent, segment.tcp.ts_value):
            return True
        if conn.ts_recent != segment.tcp.ts_value:
            return False
    elif segment.tcp.has_timestamps:
        return True
    return seq_lt(conn.rcv_nxt, segment.tcp.seq)
