"""What comes to a client: segments to their connections, octets in order to the response."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from cython_ext.base.counters cimport C_CLOSED, C_NO_CONNECTION, C_OPENED, C_RX_FRAMES, C_RX_OCTETS, count, count_many
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.client.arrivals cimport arrivals_add, arrivals_again, arrivals_next
from cython_ext.client.response cimport RESPONSE_BAD, RESPONSE_DONE, response_take
from cython_ext.client.send cimport answer_reset, send_due, send_syn
from cython_ext.client.state cimport (
    FETCH_BAD, FETCH_DONE, FETCH_UNDER_WAY, Client, Fetch, client_end,
)
from cython_ext.client.timers cimport schedule
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.net.address cimport ADDRESS_BYTES, PORT_ANY
from cython_ext.net.input cimport INPUT_SEGMENT, Segment, net_input
from cython_ext.tcp.active cimport active_input, is_crossing_syn_ack
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_ECN_ECHO, CONN_WINDOW_SCALE, TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_SYN_SENT, TcpConn, tick_of,
)
from cython_ext.tcp.event cimport (
    EVENT_CLOSED, EVENT_DATA, EVENT_DUPLICATE, EVENT_ESTABLISHED, EVENT_OUT_OF_ORDER, EVENT_RESET, EVENT_SYN_AGAIN,
    EVENT_TIME_WAIT, TcpEvents,
)
from cython_ext.tcp.input cimport tcp_close, tcp_input, tcp_queue, tcp_take
from cython_ext.tcp.loss cimport rto_disarm
from cython_ext.wire.seqnum cimport seq_lt, seq_min
from cython_ext.wire.tcp cimport TCP_FIN, TCP_RST, TCP_SYN

cdef enum:
    ACK_EVERY = 2               # segments (RFC 5681 4.2, RFC 9293 3.8.6.3)
    ACK_DELAY_TICKS = 38        # 40 ms: the longest that a single one waits


cdef inline uint32_t client_receive(Client *client, uint64_t now_ns) noexcept nogil:
    """One burst; returns how many frames it had."""
    cdef Frame frames[BURST_FRAMES]
    cdef Segment segment
    cdef uint32_t i
    cdef uint32_t received = client.driver.rx_burst(client.driver.state, frames, BURST_FRAMES)
    for i in range(received):
        count_many(&client.counters, C_RX_OCTETS, frames[i].bytes)
        client.local.port = PORT_ANY
        if net_input(&frames[i], &client.local, client.mac, False, &segment, &client.counters) == INPUT_SEGMENT:
            segment.driver = 0
            take_segment(client, &segment, now_ns)
    client.driver.recycle(client.driver.state, frames, received)
    count_many(&client.counters, C_RX_FRAMES, received)
    return received


cdef inline uint32_t find_record(const Client *client, const Segment *segment) noexcept nogil:
    """The connection that has the segment's port, if it comes from the target; else NIL."""
    if segment.tcp.source_port != client.peer_port:
        return NIL
    if memcmp(segment.peer_address, client.peer_address, ADDRESS_BYTES) != 0:
        return NIL
    return client.ports.owner[segment.tcp.destination_port]


cdef inline void take_segment(Client *client, const Segment *segment, uint64_t now_ns) noexcept nogil:
    cdef uint32_t number = find_record(client, segment)
    cdef TcpConn *conn
    cdef TcpEvents events
    cdef Segment plain
    cdef uint32_t happened
    if number == NIL:
        count(&client.counters, C_NO_CONNECTION)
        answer_reset(client, segment)
        return
    conn = &client.conns[number]
    events.data_bytes = 0
    events.fin = 0
    if conn.state == TCP_SYN_SENT:
        happened = active_input(
            conn, segment, client.config.mtu, client.config.window_bytes, now_ns, &client.counters
        )
    elif is_crossing_syn_ack(conn, segment):
        plain = segment[0]
        plain.tcp.seq += 1
        plain.tcp.flags &= <uint8_t>~TCP_SYN
        plain.tcp.window >>= conn.snd_scale             # it is not scaled in a SYN
        happened = tcp_input(conn, NULL, &plain, now_ns, &events, &client.counters)
    else:
        happened = tcp_input(conn, NULL, segment, now_ns, &events, &client.counters)
    if happened & EVENT_RESET:
        answer_reset(client, segment)
    elif happened & EVENT_CLOSED:
        if conn.state == TCP_LAST_ACK and not segment.tcp.flags & TCP_RST:
            count(&client.counters, C_CLOSED)
        client_end(client, number, now_ns)
    elif happened & EVENT_SYN_AGAIN:
        send_syn(client, number, now_ns)
        schedule(client, number)
    else:
        carry_events(client, number, segment, happened, &events, now_ns)
        send_due(client, number, now_ns)
        schedule(client, number)


cdef inline void carry_events(
    Client *client, uint32_t number, const Segment *segment, uint32_t happened, TcpEvents *events, uint64_t now_ns
) noexcept nogil:
    cdef TcpConn *conn = &client.conns[number]
    cdef Fetch *fetch = &client.fetches[number]
    conn.active_at = tick_of(now_ns)
    if happened & EVENT_ESTABLISHED:
        count(&client.counters, C_OPENED)
        tcp_queue(conn, client.request_bytes)
    if happened & EVENT_DUPLICATE:
        arrivals_again(&fetch.arrivals, events.duplicate_start, events.duplicate_end)
    if happened & EVENT_OUT_OF_ORDER:
        take_early(client, number, segment)
    if happened & EVENT_DATA:
        happened |= take_in_order(client, number, events, now_ns)
        delay_ack(client, number, events, now_ns)
    if fetch.state != FETCH_UNDER_WAY or conn.state == TCP_CLOSE_WAIT:
        tcp_close(conn)
    if happened & EVENT_TIME_WAIT:
        rto_disarm(conn)
        count(&client.counters, C_CLOSED)


cdef inline void take_early(Client *client, uint32_t number, const Segment *segment) noexcept nogil:
    """Octets beyond a gap wait in the ring. A FIN among them is not kept: the peer repeats it."""
    cdef TcpConn *conn = &client.conns[number]
    cdef uint32_t end = seq_min(segment.tcp.seq + segment.payload_bytes, conn.rcv_nxt + client.config.window_bytes)
    if segment.payload_bytes and seq_lt(segment.tcp.seq, end):
        arrivals_add(&client.fetches[number].arrivals, segment.payload, segment.tcp.seq, end)


cdef inline uint32_t take_in_order(
    Client *client, uint32_t number, TcpEvents *events, uint64_t now_ns
) noexcept nogil:
    """Octets at rcv_nxt, then those that waited for them. Returns TcpEvent bits."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Fetch *fetch = &client.fetches[number]
    cdef TcpEvents held
    cdef uint32_t happened
    if fetch.first_ns == 0:
        fetch.first_ns = now_ns
    response_take(&fetch.response, events.data, events.data_bytes)
    happened = tcp_take(conn, events.data_bytes, events)
    held.fin = 0
    while True:
        held.data_bytes = arrivals_next(&fetch.arrivals, conn.rcv_nxt, &held.data)
        if held.data_bytes == 0:
            break
        response_take(&fetch.response, held.data, held.data_bytes)
        tcp_take(conn, held.data_bytes, &held)
    if fetch.state == FETCH_UNDER_WAY and fetch.response.state >= RESPONSE_DONE:
        fetch.state = FETCH_BAD if fetch.response.state == RESPONSE_BAD else FETCH_DONE
        fetch.ended_ns = now_ns
    return happened


cdef inline void delay_ack(Client *client, uint32_t number, const TcpEvents *events, uint64_t now_ns) noexcept nogil:
    """In order and nothing missing: every second segment is acknowledged, or after a while."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Fetch *fetch = &client.fetches[number]
    fetch.unacknowledged += 1
    if (
        events.fin or fetch.arrivals.count or fetch.unacknowledged >= ACK_EVERY or conn.flags & CONN_ECN_ECHO
        or fetch.arrivals.again_start != fetch.arrivals.again_end
    ):
        return
    conn.flags &= ~<uint32_t>CONN_ACK_NOW
    if not fetch.ack_awaited:
        fetch.ack_awaited = True
        fetch.ack_at = tick_of(now_ns) + ACK_DELAY_TICKS
