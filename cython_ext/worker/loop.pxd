"""One turn of the worker: receive a burst from every driver, parse it, have its records fetched, then
take each segment to its answer; work off timers and output put off; flush. Time is an argument.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from cython_ext.accesslog.ring cimport ring_publish
from cython_ext.base.counters cimport C_RX_FRAMES, C_RX_OCTETS, C_WORKER_TURNS, count, count_many
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.content.window cimport windows_ask
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.http.date cimport date_make
from cython_ext.net.input cimport INPUT_CONTROL, INPUT_SEGMENT, InputVerdict, Segment, net_input
from cython_ext.tcp.conn cimport CONN_OUTPUT_LISTED, TCP_CLOSED, TCP_ESTABLISHED, TCP_SYN_RCVD, TcpConn, tick_of
from cython_ext.tcp.input cimport tcp_close
from cython_ext.tcp.table cimport table_hash, table_prefetch
from cython_ext.wire.bytes cimport prefetch
from cython_ext.worker.ahead cimport Ahead, ahead_pays, ahead_start, ahead_step
from cython_ext.worker.control cimport take_control
from cython_ext.worker.expire cimport expire_due, schedule
from cython_ext.worker.generation cimport generation_take
from cython_ext.worker.segment cimport resume_blocked, take_segment
from cython_ext.worker.service cimport SESSION_CLOSING
from cython_ext.worker.session cimport session_is_idle
from cython_ext.worker.state cimport (
    Port, Worker, atomic_load_u32, connection_end, output_list, output_unpark, worker_publish,
)
from cython_ext.worker.transmit cimport Spare, port_flush, send_due

cdef enum:
    FEW_CONNECTIONS = 512           # so many records stay in the caches by themselves
    FRAMES_AHEAD = 4                # received ones whose headers are being fetched
    LISTED_A_TURN = 64              # most connections whose put-off output is taken up in one turn
    PUBLISH_NS = 1000000


cdef inline uint32_t receive_burst(Worker *worker, uint32_t port_number, uint64_t now_ns) noexcept nogil:
    """One burst of one driver. Three passes, so that memory is fetched ahead of its use."""
    cdef Port *port = &worker.ports[port_number]
    cdef Frame frames[BURST_FRAMES]
    cdef Frame unused[BURST_FRAMES]
    cdef Segment segments[BURST_FRAMES]
    cdef InputVerdict verdicts[BURST_FRAMES]
    cdef Ahead ahead
    cdef Spare spare
    cdef uint32_t i
    cdef uint32_t unused_count = 0
    cdef uint32_t received = port.driver.rx_burst(port.driver.state, frames, BURST_FRAMES)
    cdef bint fetching = received > 1 and ahead_pays(&worker.service.store)
    for i in range(min(<uint32_t>FRAMES_AHEAD, received)):
        prefetch(frames[i].data)
    for i in range(received):
        if i + FRAMES_AHEAD < received:
            prefetch(frames[i + FRAMES_AHEAD].data)
        count_many(&worker.counters, C_RX_OCTETS, frames[i].bytes)
        verdicts[i] = net_input(
            &frames[i], &worker.local, port.mac, port.accept_partial, &segments[i], &worker.counters
        )
        if verdicts[i] == INPUT_SEGMENT:
            segments[i].driver = <uint8_t>port_number
            table_hash(&worker.table, &segments[i])
    if worker.table.in_use > FEW_CONNECTIONS:
        for i in range(received):
            if verdicts[i] == INPUT_SEGMENT:
                fetch_ahead(worker, &segments[i])
    if fetching:
        ahead_start(&ahead, &worker.service.store, segments, verdicts, received)
    for i in range(received):
        if fetching:
            ahead_step(&ahead, &worker.service.store, i)
            worker.service.room.known = &ahead.guesses[i].known
        spare.frame = frames[i]
        spare.port = port
        spare.available = True
        if verdicts[i] == INPUT_SEGMENT:
            take_segment(worker, &segments[i], &spare, now_ns)
        elif verdicts[i] == INPUT_CONTROL:
            take_control(worker, port, &spare, now_ns)
        if spare.available:
            unused[unused_count] = frames[i]
            unused_count += 1
    worker.service.room.known = NULL
    port.driver.recycle(port.driver.state, unused, unused_count)
    count_many(&worker.counters, C_RX_FRAMES, received)
    return received


cdef inline void fetch_ahead(Worker *worker, const Segment *segment) noexcept nogil:
    cdef uint32_t number = worker.table.buckets[segment.hash & worker.table.bucket_mask]
    table_prefetch(&worker.table, segment)
    if number != NIL:
        prefetch(&worker.sessions[number])


cdef inline void resume_listed(Worker *worker, uint64_t now_ns) noexcept nogil:
    """Takes up output that was put off, each connection in its turn."""
    cdef uint32_t until = worker.listed_head
    cdef uint32_t number
    cdef uint32_t done = 0
    cdef TcpConn *conn
    while worker.listed_tail != until and done < LISTED_A_TURN:
        number = worker.listed[worker.listed_tail & worker.listed_mask]
        worker.listed_tail += 1
        done += 1
        conn = &worker.table.conns[number]
        if conn.state == TCP_CLOSED or not conn.flags & CONN_OUTPUT_LISTED:
            continue
        conn.flags &= ~<uint32_t>CONN_OUTPUT_LISTED
        resume_blocked(worker, number, now_ns)
        send_due(worker, number, NULL, now_ns)
        schedule(worker, number)


cdef inline void begin_drain(Worker *worker) noexcept nogil:
    """No new connections. Who has sent no part of a further request is told so by a FIN behind the
    responses queued; the others by the response to it."""
    cdef uint32_t number
    cdef TcpConn *conn
    worker.service.draining = True
    for number in range(worker.table.capacity):
        conn = &worker.table.conns[number]
        if conn.state == TCP_SYN_RCVD:
            connection_end(worker, number)      # what it still sends is answered by a RST
            continue
        if conn.state == TCP_ESTABLISHED and session_is_idle(&worker.sessions[number]):
            worker.sessions[number].flags |= SESSION_CLOSING
            tcp_close(conn)
            output_list(worker, number)


cdef inline uint32_t worker_turn(Worker *worker, uint64_t now_ns) noexcept nogil:
    """One turn; returns how many frames were received."""
    cdef uint32_t i
    cdef uint32_t received = 0
    cdef uint32_t second = <uint32_t>((<int64_t>now_ns + worker.config.wall_offset_ns) // 1000000000)
    if second != worker.service.date.second:
        date_make(&worker.service.date, second)
    worker.service.windows.tick = tick_of(now_ns)
    worker.service.log.wall_ns = <int64_t>now_ns + worker.config.wall_offset_ns
    if atomic_load_u32(&worker.drain) and not worker.service.draining:
        begin_drain(worker)
    if atomic_load_u32(&worker.offered) != worker.serving:
        generation_take(worker)
    for i in range(worker.port_count):
        if worker.ports[i].fault == 0:
            received += receive_burst(worker, i, now_ns)
    expire_due(worker, now_ns)
    output_unpark(worker)
    resume_listed(worker, now_ns)
    for i in range(worker.port_count):
        if worker.ports[i].fault == 0:
            port_flush(worker, &worker.ports[i])
            worker.ports[i].fault = worker.ports[i].driver.wakeup(worker.ports[i].driver.state)
    count(&worker.counters, C_WORKER_TURNS)
    ring_publish(&worker.service.log)
    windows_ask(&worker.service.windows)
    if now_ns - worker.published_ns >= PUBLISH_NS:
        worker_publish(worker, now_ns)
    return received
