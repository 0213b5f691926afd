"""Segments without a connection: a SYN opens one, anything else is answered by a RST."""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_NO_CONNECTION, C_RST_SENT, C_SYN_DRAINING, C_SYN_HALF_OPEN_FULL, C_SYN_RECEIVED, C_SYN_TABLE_FULL,
    C_TIME_WAIT_EVICTED, count,
)
from cython_ext.base.pool cimport NIL
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_NEWRENO, CONN_TIMESTAMPS, TCP_TIME_WAIT, TcpConn
from cython_ext.tcp.reset cimport reset_emit
from cython_ext.tcp.syn cimport syn_open
from cython_ext.wire.seqnum cimport seq_lt
from cython_ext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from cython_ext.worker.expire cimport schedule
from cython_ext.worker.queue cimport REQUEST_BUFFER_BYTES, session_start
from cython_ext.worker.state cimport Port, Worker, connection_end
from cython_ext.worker.transmit cimport Spare, port_send, send_syn_ack


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


cdef inline void listen(
    Worker *worker, const Segment *segment, Spare *spare, const uint32_t *last_seq, uint64_t now_ns
) noexcept nogil:
    """A segment without a connection (RFC 9293 3.10.7.1, 3.10.7.2). last_seq: see syn_open."""
    cdef Port *port = &worker.ports[segment.driver]
    cdef uint32_t number
    if segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) != TCP_SYN:
        count(&worker.counters, C_NO_CONNECTION)
        answer_reset(worker, port, segment, spare)
        return
    count(&worker.counters, C_SYN_RECEIVED)
    if worker.service.draining:
        count(&worker.counters, C_SYN_DRAINING)
        answer_reset(worker, port, segment, spare)
        return
    if worker.table.half_open >= worker.table.half_open_most:
        count(&worker.counters, C_SYN_HALF_OPEN_FULL)
        return
    if worker.table.free.available == 0 and worker.table.wait_oldest != NIL:
        count(&worker.counters, C_TIME_WAIT_EVICTED)
        connection_end(worker, worker.table.wait_oldest)
    number = syn_open(
        &worker.table, segment, &worker.local, &worker.config.isn_key, worker.config.mtu,
        REQUEST_BUFFER_BYTES, last_seq, now_ns,
    )
    if number == NIL:
        count(&worker.counters, C_SYN_TABLE_FULL)
        return
    if worker.config.newreno:
        worker.table.conns[number].flags |= CONN_NEWRENO
    session_start(&worker.sessions[number])
    send_syn_ack(worker, number, spare, now_ns)
    schedule(worker, number)


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
