"""The worker loop: the only file that carries events from one layer to another.

A turn: receive a burst from every driver, parse it, have its records fetched, then take each
segment through TCP and HTTP to its answer; work off timers and output put off; flush. Time
is read once a turn by the caller.
"""

from libc.errno cimport ENETDOWN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from cython_ext.base.counters cimport (
    C_CLOSED, C_NO_CONNECTION, C_OPENED, C_RST_SENT, C_RX_FRAMES, C_RX_OCTETS, C_SYN_DRAINING,
    C_SYN_HALF_OPEN_FULL, C_SYN_RECEIVED, C_SYN_TABLE_FULL, C_TIME_WAIT_EVICTED, C_TIME_WAIT_REUSED,
    C_WORKER_SLEEPS, C_WORKER_TURNS, count, count_many,
)
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.http.date cimport date_make
from cython_ext.net.input cimport INPUT_CONTROL, INPUT_SEGMENT, InputVerdict, Segment, net_input
from cython_ext.tcp.conn cimport (
    CONN_NEWRENO, CONN_ACK_NOW, CONN_OUTPUT_LISTED, CONN_TIMESTAMPS, TCP_CLOSED, TCP_CLOSE_WAIT, TCP_ESTABLISHED,
    TCP_LAST_ACK, TCP_TIME_WAIT, TcpConn, tick_of,
)
from cython_ext.tcp.event cimport (
    EVENT_ACKED, EVENT_CLOSED, EVENT_DATA, EVENT_ESTABLISHED, EVENT_RESET, EVENT_SYN_AGAIN, EVENT_TIME_WAIT,
    TcpEvents,
)
from cython_ext.tcp.input cimport tcp_close, tcp_input, tcp_queue, tcp_take, tcp_window_grew
from cython_ext.tcp.loss cimport rto_disarm, rtt_forget
from cython_ext.tcp.reset cimport reset_emit
from cython_ext.tcp.syn cimport syn_open
from cython_ext.tcp.table cimport table_find, table_hash, table_prefetch, wait_append, wait_unlink
from cython_ext.tcp.timers cimport wheel_idle_ticks
from cython_ext.wire.bytes cimport prefetch
from cython_ext.wire.seqnum cimport seq_lt
from cython_ext.wire.tcp cimport TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from cython_ext.worker.control cimport take_control
from cython_ext.worker.expire cimport expire_due, schedule
from cython_ext.worker.queue cimport (
    REQUEST_BUFFER_BYTES, SESSION_CLOSING, Session, drop_buffer, session_acked, session_start,
)
from cython_ext.worker.session cimport (
    session_drain, session_is_blocked, session_is_idle, session_receive, session_window,
)
from cython_ext.worker.state cimport (
    PORTS_MOST, Port, Worker, atomic_load_u32, connection_end, connection_flight, flight_give, output_list,
    worker_publish,
)
from cython_ext.worker.transmit cimport Spare, port_flush, send_due, send_syn_ack, port_send

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)
    enum:
        POLLIN
        POLLERR
        POLLHUP
        POLLNVAL

cdef enum:
    LISTED_A_TURN = 64              # most connections whose put-off output is taken up in one turn
    PUBLISH_NS = 1000000
    TICK_NS = 1 << 20


# ---- one segment ----

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


cdef inline void enter_time_wait(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """Begins, or begins anew, the wait of 2 MSL (RFC 9293 3.6.1)."""
    cdef TcpConn *conn = &worker.table.conns[number]
    if worker.table.wait_oldest == number or conn.wait_prev != NIL:
        wait_unlink(&worker.table, number)
    else:
        count(&worker.counters, C_CLOSED)
    rto_disarm(conn)
    wait_append(&worker.table, number)
    conn.active_at = tick_of(now_ns)


cdef inline void take_data(
    Worker *worker, uint32_t number, const TcpEvents *events, uint32_t *happened, uint64_t now_ns
) noexcept nogil:
    """New octets go to HTTP; its responses go into TCP's queue."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef uint64_t queued = 0
    cdef uint32_t taken
    if not session.flags & SESSION_CLOSING:
        conn.active_at = tick_of(now_ns)
    taken = session_receive(
        &worker.service, session, events.data, events.data_bytes, tick_of(now_ns), &queued
    )
    tcp_queue(conn, queued)
    happened[0] |= tcp_take(conn, taken, events)


cdef inline void resume_requests(Worker *worker, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The response queue has room again: goes on with the requests that waited for it."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef uint64_t queued = 0
    session_drain(&worker.service, session, tick_of(now_ns), &queued)
    tcp_queue(conn, queued)
    tcp_window_grew(conn, session_window(session))


cdef inline void carry_events(
    Worker *worker, uint32_t number, uint32_t happened, const TcpEvents *events, uint64_t now_ns
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
    if session.flags & SESSION_CLOSING:
        tcp_close(conn)
    elif conn.state == TCP_CLOSE_WAIT and not session_is_blocked(session):
        drop_buffer(&worker.service, session)       # of a request that nobody will complete
        tcp_close(conn)
    if happened & EVENT_TIME_WAIT:
        enter_time_wait(worker, number, now_ns)


cdef inline void take_segment(
    Worker *worker, const Segment *segment, Spare *spare, uint64_t now_ns
) noexcept nogil:
    cdef uint32_t number = table_find(&worker.table, segment)
    cdef TcpConn *conn
    cdef TcpEvents events
    cdef uint32_t happened, last_seq
    if number == NIL:
        listen(worker, segment, spare, NULL, now_ns)
        return
    if syn_reuses(&worker.table.conns[number], segment):
        count(&worker.counters, C_TIME_WAIT_REUSED)
        last_seq = worker.table.conns[number].snd_max
        connection_end(worker, number)
        listen(worker, segment, spare, &last_seq, now_ns)
        return
    conn = &worker.table.conns[number]
    happened = tcp_input(
        conn, connection_flight(worker, conn), segment, now_ns, &events, &worker.counters
    )
    if happened & EVENT_RESET:
        answer_reset(worker, &worker.ports[segment.driver], segment, spare)
        return
    if conn.driver != segment.driver:
        spare = NULL                    # a frame goes out only by the driver whose memory it lies in
    if happened & EVENT_CLOSED:
        if conn.state == TCP_LAST_ACK and not segment.tcp.flags & TCP_RST:
            count(&worker.counters, C_CLOSED)
        connection_end(worker, number)
        return
    if happened & EVENT_SYN_AGAIN:
        rtt_forget(conn)
        send_syn_ack(worker, number, spare, now_ns)
        return
    carry_events(worker, number, happened, &events, now_ns)
    send_due(worker, number, spare, now_ns)
    schedule(worker, number)


# ---- one turn ----

cdef inline uint32_t receive_burst(Worker *worker, uint32_t port_number, uint64_t now_ns) noexcept nogil:
    """One burst of one driver. Three passes, so that memory is fetched ahead of its use."""
    cdef Port *port = &worker.ports[port_number]
    cdef Frame frames[BURST_FRAMES]
    cdef Frame unused[BURST_FRAMES]
    cdef Segment segments[BURST_FRAMES]
    cdef InputVerdict verdicts[BURST_FRAMES]
    cdef Spare spare
    cdef uint32_t i
    cdef uint32_t unused_count = 0
    cdef uint32_t received = port.driver.rx_burst(port.driver.state, frames, BURST_FRAMES)
    for i in range(received):
        prefetch(frames[i].data)
    for i in range(received):
        count_many(&worker.counters, C_RX_OCTETS, frames[i].bytes)
        verdicts[i] = net_input(
            &frames[i], &worker.local, port.mac, port.accept_partial, &segments[i], &worker.counters
        )
        if verdicts[i] == INPUT_SEGMENT:
            segments[i].driver = <uint8_t>port_number
            table_hash(&worker.table, &segments[i])
    for i in range(received):
        if verdicts[i] == INPUT_SEGMENT:
            fetch_ahead(worker, &segments[i])
    for i in range(received):
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
    if atomic_load_u32(&worker.drain) and not worker.service.draining:
        begin_drain(worker)
    for i in range(worker.port_count):
        if worker.ports[i].fault == 0:
            received += receive_burst(worker, i, now_ns)
    expire_due(worker, now_ns)
    resume_listed(worker, now_ns)
    for i in range(worker.port_count):
        if worker.ports[i].fault == 0:
            port_flush(worker, &worker.ports[i])
            worker.ports[i].fault = worker.ports[i].driver.wakeup(worker.ports[i].driver.state)
    count(&worker.counters, C_WORKER_TURNS)
    if now_ns - worker.published_ns >= PUBLISH_NS:
        worker_publish(worker, now_ns)
    return received


# ---- the real clock ----

cdef inline uint64_t clock_ns(int which) noexcept nogil:
    cdef timespec now
    clock_gettime(which, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


cdef inline void worker_sleep(Worker *worker, int sleep_ms) noexcept nogil:
    """Until a frame arrives, a timer falls due, or `sleep_ms` have passed."""
    cdef pollfd fds[PORTS_MOST]
    cdef uint32_t i
    cdef int timeout_ms = <int>wheel_idle_ticks(&worker.wheel, <uint32_t>sleep_ms)
    if worker.listed_head != worker.listed_tail or timeout_ms == 0:
        return
    for i in range(worker.port_count):
        fds[i].fd = -1 if worker.ports[i].fault else worker.ports[i].driver.fd
        fds[i].events = POLLIN
    count(&worker.counters, C_WORKER_SLEEPS)
    if poll(fds, worker.port_count, timeout_ms) <= 0:
        return
    for i in range(worker.port_count):
        if fds[i].revents & (POLLERR | POLLHUP | POLLNVAL) and worker.ports[i].fault == 0:
            worker.ports[i].fault = -ENETDOWN       # the interface went away; poll would spin on it


cdef inline int32_t worker_fault(const Worker *worker) noexcept nogil:
    """0, or the -errno of a driver that died: a queue that nobody serves is no server."""
    cdef uint32_t i
    for i in range(worker.port_count):
        if worker.ports[i].fault:
            return worker.ports[i].fault
    return 0


cdef inline int worker_run(Worker *worker, int64_t spin_ns, int sleep_ms) noexcept nogil:
    """Turns until told to stop. 0, or -errno when a driver died. spin_ns: how long to go on without
    frames before sleeping; negative: for ever."""
    cdef uint64_t now_ns = clock_ns(CLOCK_MONOTONIC)
    cdef uint64_t last_ns = now_ns
    cdef uint64_t wall_checked_ns = 0
    while not atomic_load_u32(&worker.stop):
        now_ns = clock_ns(CLOCK_MONOTONIC)
        if now_ns - wall_checked_ns > 1000000000:
            worker.config.wall_offset_ns = <int64_t>(clock_ns(CLOCK_REALTIME) - now_ns)
            wall_checked_ns = now_ns
        if worker_turn(worker, now_ns):
            last_ns = now_ns
        if worker_fault(worker):
            return worker_fault(worker)
        if spin_ns >= 0 and now_ns - last_ns > <uint64_t>spin_ns:
            worker_publish(worker, now_ns)
            worker_sleep(worker, sleep_ms)
    worker_publish(worker, now_ns)
    return 0
