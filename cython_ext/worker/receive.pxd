"""Octets on their way from TCP to HTTP: in order at once, out of order by way of a reassembly block."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_NO_REASSEMBLY, C_REASSEMBLY_GIVEN_UP, count
from cython_ext.base.pool cimport NIL
from cython_ext.base.share cimport Share, share_allows, share_give, share_hash, share_take
from cython_ext.http.body cimport BODY_NONE
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_SACK, CONN_SACK_DUE, TcpConn, conn_progress, tick_of
from cython_ext.tcp.event cimport EVENT_DUPLICATE, EVENT_OUT_OF_ORDER, TcpEvents
from cython_ext.tcp.input cimport tcp_queue, tcp_take
from cython_ext.tcp.reassembly cimport (
    Duplicate, Reassembly, reassembly_advance, reassembly_hold, reassembly_next, reassembly_start,
)
from cython_ext.worker.service cimport SESSION_CLOSING, Session
from cython_ext.worker.session cimport session_receive
from cython_ext.worker.state cimport Worker, log_peer, output_list, reassembly_give

cdef enum:
    PIECES_MOST = 3                 # of a ring in order: two, and a look whether there is more
    HELD_TICKS_LEAST = 954          # 1 s without progress: a block may be given to another


cdef inline void take_data(
    Worker *worker, uint32_t number, const TcpEvents *events, uint32_t *happened, uint64_t now_ns
) noexcept nogil:
    """New octets go to HTTP; its responses go into TCP's queue."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef uint64_t queued = 0
    cdef uint32_t taken
    cdef bint closing = session.flags & SESSION_CLOSING != 0
    cdef bint in_body = session.body.state != BODY_NONE
    log_peer(worker, conn)
    taken = session_receive(
        &worker.service, session, events.data, events.data_bytes, tick_of(now_ns), &queued
    )
    if conn.send_queue == 0 and not closing:    # else it is the responses that the peer has to take
        if in_body and queued == 0:
            conn_progress(conn, taken, tick_of(now_ns))
        elif queued or session.buffered or session.body.state != BODY_NONE:     # not for empty lines
            conn.active_at = tick_of(now_ns)
    if worker.service.log_blocked:
        output_list(worker, number)
    tcp_queue(conn, queued)
    happened[0] |= tcp_take(conn, taken, events)


cdef inline void hold_segment(
    Worker *worker, uint32_t number, const Segment *segment, TcpEvents *events, uint32_t *happened,
    uint64_t now_ns,
) noexcept nogil:
    """A segment that something is missing before, or that fills a hole, or that repeats what we have."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Duplicate duplicate
    duplicate.start = 0
    duplicate.end = 0
    if happened[0] & EVENT_DUPLICATE:
        duplicate.start = events.duplicate_start
        duplicate.end = events.duplicate_end
    if happened[0] & EVENT_OUT_OF_ORDER and (conn.reassembly or take_block(worker, number, tick_of(now_ns))):
        if not reassembly_hold(&worker.reassemblies[conn.reassembly - 1], conn, segment, &duplicate):
            count(&worker.counters, C_NO_REASSEMBLY)
        take_held(worker, number, events, happened, now_ns)
    if duplicate.start != duplicate.end:
        worker.duplicate = duplicate
        worker.duplicate_of = number
    if conn.flags & CONN_SACK and (conn.reassembly or worker.duplicate_of == number):
        conn.flags |= CONN_SACK_DUE


cdef inline bint take_block(Worker *worker, uint32_t number, uint32_t tick) noexcept nogil:
    """A block from the pool; when none is left, that of a connection which has long been waiting in vain."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Reassembly *other
    cdef Share *pool = &worker.reassembly_pool
    cdef uint32_t block = share_take(pool, conn.peer_address)
    if block == NIL and (pool.pool.available or not share_allows(pool, share_hash(pool, conn.peer_address))):
        count(&worker.counters, C_NO_REASSEMBLY)
        return False
    if block == NIL:
        block = worker.reassembly_hand
        worker.reassembly_hand = 0 if block + 1 == pool.pool.total else block + 1
        other = &worker.reassemblies[block]
        if tick - other.since < HELD_TICKS_LEAST:
            count(&worker.counters, C_NO_REASSEMBLY)
            return False
        count(&worker.counters, C_REASSEMBLY_GIVEN_UP)
        worker.table.conns[other.owner].reassembly = 0
        share_give(pool, block)
        block = share_take(pool, conn.peer_address)
    reassembly_start(&worker.reassemblies[block], number, tick)
    conn.reassembly = <uint16_t>(block + 1)
    return True


cdef inline void take_held(
    Worker *worker, uint32_t number, TcpEvents *events, uint32_t *happened, uint64_t now_ns
) noexcept nogil:
    """What is in order now goes to HTTP. What it cannot hold is given up with the rest: the peer, who was told
    that it arrived, will send it again (RFC 2018 8)."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Reassembly *block = &worker.reassemblies[conn.reassembly - 1]
    cdef uint32_t before
    cdef int _i
    for _i in range(PIECES_MOST):
        if not reassembly_next(block, conn.rcv_nxt, events):
            break
        before = conn.rcv_nxt
        take_data(worker, number, events, happened, now_ns)
        if conn.rcv_nxt - before != events.data_bytes + events.fin:
            count(&worker.counters, C_REASSEMBLY_GIVEN_UP)
            block.count = 0
            break
        reassembly_advance(block, conn.rcv_nxt, tick_of(now_ns))
    if block.count == 0:
        reassembly_give(worker, conn)
