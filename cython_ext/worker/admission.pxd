"""Who is let in when it is tight: connections per source, and room in a full table.

Policy. A SYN proves nothing about its source: it costs nobody else's connection anything but a
TIME-WAIT record, and beyond half the table a cookie answers it. A completed handshake proves a source.
With one, a full table gives up its oldest TIME-WAIT record, else of some records looked at the worst:
a handshake whose SYN-ACK had to be repeated, then the keep-alive connection that has idled longest.
Connections with a request or a response under way are never given up.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_HALF_OPEN_EVICTED, C_IDLE_EVICTED, C_TIME_WAIT_EVICTED, count,
)
from cython_ext.base.pool cimport NIL
from cython_ext.base.tally cimport tally_add, tally_of
from cython_ext.http.body cimport BODY_NONE
from cython_ext.tcp.conn cimport CONN_TALLIED, TCP_ESTABLISHED, TCP_SYN_RCVD, TcpConn, tick_of
from cython_ext.wire.tcp cimport TCP_ACK, TCP_RST
from cython_ext.worker.session cimport session_is_idle
from cython_ext.worker.state cimport Worker, connection_end, source_hash
from cython_ext.worker.transmit cimport send_bare

cdef enum:
    LOOKED_AT_MOST = 64             # records, for one that is to be given up
    IDLE_TICKS_LEAST = 954          # 1 s: a client between two requests is not idle


cdef inline bint source_has_room(const Worker *worker, const TcpConn *conn) noexcept nogil:
    """Whether the peer's address may have one more connection."""
    if worker.sources.cells == NULL:
        return True
    return tally_of(&worker.sources, source_hash(worker, conn)) < worker.config.per_source


cdef inline bint source_admit(Worker *worker, TcpConn *conn) noexcept nogil:
    """Counts an established connection; False when it is one too many."""
    if worker.sources.cells == NULL:
        return True
    if not source_has_room(worker, conn):
        return False
    tally_add(&worker.sources, source_hash(worker, conn), 1)
    conn.flags |= CONN_TALLIED
    return True


cdef inline bint make_room(Worker *worker) noexcept nogil:
    """Whether a record is free, be it at the cost of the oldest TIME-WAIT."""
    if worker.table.in_use < worker.table.capacity:
        return True
    if worker.table.wait_oldest == NIL:
        return False
    count(&worker.counters, C_TIME_WAIT_EVICTED)
    connection_end(worker, worker.table.wait_oldest)
    return True


cdef inline bint make_room_for_proven(Worker *worker, uint64_t now_ns) noexcept nogil:
    """The same for a peer who has completed a handshake: also at the cost of the worst of some records."""
    cdef uint32_t tick = tick_of(now_ns)
    cdef uint32_t worst = NIL
    cdef uint32_t number, value
    cdef uint32_t worst_value = 0
    cdef int _i
    if make_room(worker):
        return True
    for _i in range(LOOKED_AT_MOST):
        number = worker.evict_hand
        worker.evict_hand = 0 if number + 1 == worker.table.capacity else number + 1
        value = evict_value(worker, number, tick)
        if value > worst_value:
            worst = number
            worst_value = value
    if worst == NIL:
        return False
    if worker.table.conns[worst].state == TCP_SYN_RCVD:
        count(&worker.counters, C_HALF_OPEN_EVICTED)
    else:
        count(&worker.counters, C_IDLE_EVICTED)
        send_bare(worker, worst, NULL, TCP_RST | TCP_ACK, now_ns)
    connection_end(worker, worst)
    return True


cdef inline uint32_t evict_value(const Worker *worker, uint32_t number, uint32_t tick) noexcept nogil:
    """How well the connection can be done without; 0: not at all."""
    cdef const TcpConn *conn = &worker.table.conns[number]
    cdef int32_t idle = <int32_t>(tick - conn.active_at)
    if conn.state == TCP_SYN_RCVD:
        return (<uint32_t>1 << 31) + conn.backoff if conn.backoff else 0
    if conn.state != TCP_ESTABLISHED or idle < IDLE_TICKS_LEAST or conn.send_queue:
        return 0
    if not session_is_idle(&worker.sessions[number]) or worker.sessions[number].body.state != BODY_NONE:
        return 0
    return <uint32_t>idle
