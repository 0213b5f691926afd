"""Frames out: where they come from, what goes into them, how they leave."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_BODY_WAITS, C_RST_SENT, C_TX_FRAMES, C_TX_NO_FRAME, C_TX_OCTETS, C_TX_REFUSED, count, count_many,
)
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.content.window cimport WINDOW_BROKEN, WINDOW_HERE
from cython_ext.tcp.congestion cimport congestion_idle
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_FIN_QUEUED, CONN_PACED, CONN_PROBE, CONN_RTO_ARMED,
    CONN_SACK, CONN_SACK_DUE, CONN_TIMESTAMPS, TcpConn,
    conn_flight, conn_may_send_data, tick_of,
)
from cython_ext.tcp.loss cimport low_us, rto_arm, rto_ticks
from cython_ext.tcp.output cimport conn_payload_offset, tcp_emit, tcp_offer
from cython_ext.tcp.pacing cimport pace_fill
from cython_ext.tcp.plan cimport TcpPlan, tcp_plan, tcp_sent
from cython_ext.tcp.reassembly cimport SACK_BLOCKS_MOST, SackBlocks, sack_add, sack_from
from cython_ext.tcp.syn cimport syn_ack_emit
from cython_ext.wire.tcp cimport TCP_ACK, TCP_RST
from cython_ext.worker.service cimport REQUEST_BUFFER_BYTES, SESSION_BROKEN, Session
from cython_ext.worker.session cimport session_window
from cython_ext.worker.source cimport source_fill
from cython_ext.worker.state cimport (
    STASH_FRAMES, TX_BATCH_FRAMES, Port, Worker, connection_flight, flight_take, output_list, output_park,
)

cdef extern from "abi/sanitize.h" nogil:
    void memory_allow(const void *start, size_t bytes)

cdef enum:
    TURN_SEGMENTS = 32              # most segments of one connection in a row: the others wait

cdef struct Spare:
    Frame frame                     # the received frame, free to be turned around
    Port *port                      # whose it is: no other driver may send it
    bint available


cdef inline void port_flush(Worker *worker, Port *port) noexcept nogil:
    """Hands the batch to the driver. What its ring refuses even after a wakeup is dropped: TCP
    repeats it."""
    cdef uint32_t sent = port.driver.tx_burst(port.driver.state, port.tx, port.tx_count)
    if sent < port.tx_count and port.fault == 0:
        port.fault = port.driver.wakeup(port.driver.state)
        sent += port.driver.tx_burst(port.driver.state, port.tx + sent, port.tx_count - sent)
    if sent < port.tx_count:
        count_many(&worker.counters, C_TX_REFUSED, port.tx_count - sent)
        port.driver.recycle(port.driver.state, port.tx + sent, port.tx_count - sent)
    port.tx_count = 0


cdef inline void port_send(Worker *worker, Port *port, const Frame *frame) noexcept nogil:
    """Adds a filled frame to the batch."""
    port.tx[port.tx_count] = frame[0]
    port.tx_count += 1
    count(&worker.counters, C_TX_FRAMES)
    count_many(&worker.counters, C_TX_OCTETS, frame.bytes)
    if port.tx_count == TX_BATCH_FRAMES:
        port_flush(worker, port)


cdef inline bint port_frame(Worker *worker, Port *port, Spare *spare, Frame *frame) noexcept nogil:
    """A frame to fill: the received one if it is still free, else a fresh one."""
    if spare != NULL and spare.available and spare.port == port:
        spare.available = False
        frame[0] = spare.frame
        memory_allow(frame.data, port.driver.frame_capacity)    # it was read; now all of it may be written
        return True
    if port.stash_count == 0:
        port.stash_count = port.driver.alloc(port.driver.state, port.stash, STASH_FRAMES)
        if port.stash_count == 0:
            count(&worker.counters, C_TX_NO_FRAME)
            return False
    port.stash_count -= 1
    frame[0] = port.stash[port.stash_count]
    return True


cdef inline void give_frame_back(Port *port, Spare *spare, const Frame *frame) noexcept nogil:
    """Of port_frame, unused."""
    if spare != NULL and spare.port == port and not spare.available and spare.frame.data == frame.data:
        spare.available = True
        return
    port.stash[port.stash_count] = frame[0]
    port.stash_count += 1


cdef inline void await_body(Worker *worker, uint32_t number) noexcept nogil:
    """The connection's output waits until a window of its body is there. One that cannot be read ends it: what
    was promised by the head can no longer be sent."""
    if worker.service.windows.verdict == WINDOW_BROKEN:
        worker.sessions[number].flags |= SESSION_BROKEN
    else:
        count(&worker.counters, C_BODY_WAITS)
        output_park(worker, number)


cdef inline uint32_t offered_window(const TcpConn *conn, const Session *session) noexcept nogil:
    return tcp_offer(conn, session_window(session), REQUEST_BUFFER_BYTES)


cdef inline void send_data(Worker *worker, uint32_t number, Spare *spare, uint64_t now_ns) noexcept nogil:
    """Sends what windows and frames allow; puts the rest off."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef Port *port = &worker.ports[conn.driver]
    cdef Frame frame
    cdef TcpPlan plan
    cdef uint16_t total
    cdef uint32_t segments = 0
    conn.flags &= ~<uint32_t>CONN_PACED
    if conn.send_queue and conn_flight(conn) == 0:
        congestion_idle(conn, tick_of(now_ns) - conn.sent_at, rto_ticks(conn))
    elif conn.flight != NIL:
        pace_fill(conn, &worker.flights[conn.flight], low_us(now_ns))
    while tcp_plan(conn, connection_flight(worker, conn), &plan):
        if segments == TURN_SEGMENTS or not port_frame(worker, port, spare, &frame):
            output_list(worker, number)
            break
        total = 0
        if plan.octets:
            worker.service.windows.verdict = WINDOW_HERE
            total = source_fill(
                &worker.service, session, plan.offset, plan.octets, frame.data + conn_payload_offset(conn)
            )
            if worker.service.windows.verdict != WINDOW_HERE:
                give_frame_back(port, spare, &frame)
                await_body(worker, number)
                break
        frame.bytes = tcp_emit(
            conn, &worker.local, port.mac, frame.data, plan.seq, plan.flags, plan.octets, total,
            offered_window(conn, session), plan.octets > 0 and not plan.again and not conn.flags & CONN_PROBE, NULL,
            now_ns,
        )
        port_send(worker, port, &frame)
        if conn.flight == NIL and not plan.again and conn_flight(conn):
            flight_take(worker, conn, now_ns)
        tcp_sent(conn, connection_flight(worker, conn), &plan, now_ns, &worker.counters)
        segments += 1
    if plan.paced:
        conn.flags |= CONN_PACED
    if segments:
        conn.sent_at = tick_of(now_ns)
    if conn_awaits(conn) and conn_flight(conn) == 0 and not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)           # a closed window, or no frame: the timer will see to it


cdef inline bint conn_awaits(const TcpConn *conn) noexcept nogil:
    """An acknowledgement has still to come: of queued octets, or of our FIN."""
    return conn.send_queue != 0 or conn.flags & CONN_FIN_QUEUED != 0


cdef inline void send_due(Worker *worker, uint32_t number, Spare *spare, uint64_t now_ns) noexcept nogil:
    """Data, and an acknowledgement if none left with it."""
    cdef TcpConn *conn = &worker.table.conns[number]
    if conn_may_send_data(conn):
        send_data(worker, number, spare, now_ns)
    if conn.flags & (CONN_ACK_NOW | CONN_SACK_DUE):
        send_bare(worker, number, spare, TCP_ACK, now_ns)


cdef inline void send_bare(
    Worker *worker, uint32_t number, Spare *spare, uint8_t flags, uint64_t now_ns
) noexcept nogil:
    """A segment without payload: acknowledgement or RST."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Port *port = &worker.ports[conn.driver]
    cdef Frame frame
    cdef SackBlocks sack
    if not port_frame(worker, port, spare, &frame):
        output_list(worker, number)
        return
    sack.count = 0
    if not flags & TCP_RST:
        fill_sack(worker, number, &sack)
    frame.bytes = tcp_emit(
        conn, &worker.local, port.mac, frame.data, conn.snd_max, flags, 0, 0,
        offered_window(conn, &worker.sessions[number]), False, &sack, now_ns,
    )
    if flags & TCP_RST:
        count(&worker.counters, C_RST_SENT)
    port_send(worker, port, &frame)


cdef inline void fill_sack(Worker *worker, uint32_t number, SackBlocks *sack) noexcept nogil:
    """What an ACK says of octets received out of order or twice (RFC 2018 4, RFC 2883 4). Segments with
    payload say nothing: their size is planned without options that come and go."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef uint32_t most = SACK_BLOCKS_MOST - 1 if conn.flags & CONN_TIMESTAMPS else SACK_BLOCKS_MOST
    conn.flags &= ~<uint32_t>CONN_SACK_DUE
    if not conn.flags & CONN_SACK:
        return
    if worker.duplicate_of == number:
        worker.duplicate_of = NIL
        sack_add(sack, worker.duplicate.start, worker.duplicate.end)
    if conn.reassembly:
        sack_from(sack, &worker.reassemblies[conn.reassembly - 1], most)


cdef inline void send_syn_ack(Worker *worker, uint32_t number, Spare *spare, uint64_t now_ns) noexcept nogil:
    """Also when repeated; without a frame the timer repeats it."""
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Port *port = &worker.ports[conn.driver]
    cdef Frame frame
    if not port_frame(worker, port, spare, &frame):
        return
    frame.bytes = syn_ack_emit(
        conn, &worker.local, port.mac, frame.data, worker.config.mtu,
        session_window(&worker.sessions[number]), now_ns,
    )
    port_send(worker, port, &frame)
