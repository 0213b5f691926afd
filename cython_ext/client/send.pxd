"""What a client's connection sends: SYN, request, acknowledgements with SACK, FIN, RST."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.base.counters cimport C_RST_SENT, count
from cython_ext.base.frame cimport Frame
from cython_ext.client.arrivals cimport arrivals_report
from cython_ext.client.state cimport Client, Fetch, client_frame, client_send
from cython_ext.net.input cimport Segment
from cython_ext.tcp.active cimport active_emit
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_RTO_ARMED, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE, TcpConn, conn_flight,
    conn_may_send_data, tick_of,
)
from cython_ext.tcp.loss cimport rto_arm
from cython_ext.tcp.output cimport conn_payload_offset, tcp_emit
from cython_ext.tcp.plan cimport TcpPlan, tcp_plan, tcp_sent
from cython_ext.tcp.reassembly cimport SACK_BLOCKS_MOST, SackBlocks
from cython_ext.tcp.reset cimport reset_emit
from cython_ext.wire.checksum cimport sum_octets
from cython_ext.wire.seqnum cimport seq_max
from cython_ext.wire.tcp cimport TCP_ACK, TCP_RST


cdef inline uint32_t window_field(const Client *client, const TcpConn *conn) noexcept nogil:
    """The window as it stands in a header: all of the ring, for what is in order is taken at once."""
    if not conn.flags & CONN_WINDOW_SCALE:
        return min(client.config.window_bytes, <uint32_t>65535)
    return client.config.window_bytes >> client.scale


cdef inline void advertised(const Client *client, TcpConn *conn) noexcept nogil:
    """A segment has left: so far the peer may send."""
    cdef uint32_t shift = client.scale if conn.flags & CONN_WINDOW_SCALE else 0
    cdef Fetch *fetch = &client.fetches[conn - client.conns]
    conn.rcv_edge = seq_max(conn.rcv_edge, conn.rcv_nxt + (window_field(client, conn) << shift))
    conn.flags &= ~<uint32_t>CONN_ACK_NOW
    fetch.unacknowledged = 0
    fetch.ack_awaited = False


cdef inline void send_syn(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The SYN, or a simultaneous open's SYN-ACK; without a frame the timer repeats it."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Frame frame
    if not client_frame(client, &frame):
        return
    client.local.port = client.fetches[number].port
    frame.bytes = active_emit(
        conn, &client.local, client.mac, frame.data, client.config.mtu, client.config.window_bytes, client.scale,
        now_ns,
    )
    client_send(client, &frame)


cdef inline void send_due(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The request and the FIN as far as they may leave, and an acknowledgement if none left with them."""
    cdef TcpConn *conn = &client.conns[number]
    cdef TcpPlan plan
    cdef Frame frame
    client.local.port = client.fetches[number].port
    while conn_may_send_data(conn) and tcp_plan(conn, NULL, &plan) and client_frame(client, &frame):
        fill_request(client, conn, &plan, frame.data + conn_payload_offset(conn))
        frame.bytes = tcp_emit(
            conn, &client.local, client.mac, frame.data, plan.seq, plan.flags, plan.octets,
            sum_octets(frame.data + conn_payload_offset(conn), plan.octets), window_field(client, conn),
            plan.octets > 0 and not plan.again, NULL, now_ns,
        )
        advertised(client, conn)
        client_send(client, &frame)
        tcp_sent(conn, NULL, &plan, now_ns, &client.counters)
        conn.sent_at = tick_of(now_ns)
    if conn.send_queue and conn_flight(conn) == 0 and not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)
    if conn.flags & CONN_ACK_NOW:
        send_ack(client, number, now_ns)


cdef inline void fill_request(
    const Client *client, const TcpConn *conn, const TcpPlan *plan, uint8_t *out
) noexcept nogil:
    """Octets of the request: what of it is not acknowledged is send_queue, at its end."""
    cdef uint32_t first = client.request_bytes - <uint32_t>conn.send_queue + plan.offset
    memcpy(out, client.request + first, plan.octets)


cdef inline void send_ack(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """An acknowledgement, with SACK blocks where something is missing or came twice."""
    cdef TcpConn *conn = &client.conns[number]
    cdef SackBlocks sack
    cdef Frame frame
    if not client_frame(client, &frame):
        return                                          # CONN_ACK_NOW stays: the next segment brings it along
    sack.count = 0
    if conn.flags & CONN_SACK:
        arrivals_report(
            &client.fetches[number].arrivals, &sack,
            SACK_BLOCKS_MOST - 1 if conn.flags & CONN_TIMESTAMPS else SACK_BLOCKS_MOST,
        )
    frame.bytes = tcp_emit(
        conn, &client.local, client.mac, frame.data, conn.snd_max, TCP_ACK, 0, 0, window_field(client, conn), False,
        &sack, now_ns,
    )
    advertised(client, conn)
    client_send(client, &frame)


cdef inline void send_reset(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The connection is given up: a RST where the peer expects the next octet."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Frame frame
    if not client_frame(client, &frame):
        return
    client.local.port = client.fetches[number].port
    frame.bytes = tcp_emit(
        conn, &client.local, client.mac, frame.data, conn.snd_max, TCP_RST | TCP_ACK, 0, 0, 0, False, NULL, now_ns
    )
    count(&client.counters, C_RST_SENT)
    client_send(client, &frame)


cdef inline void answer_reset(Client *client, const Segment *segment) noexcept nogil:
    """A segment that fits no connection, or not its handshake; never in answer to a RST."""
    cdef Frame frame
    if segment.tcp.flags & TCP_RST or not client_frame(client, &frame):
        return
    client.local.port = segment.tcp.destination_port
    frame.bytes = reset_emit(segment, &client.local, client.mac, frame.data)
    count(&client.counters, C_RST_SENT)
    client_send(client, &frame)
