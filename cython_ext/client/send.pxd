"""What a client's connection sends: SYN, request, acknowledgements with SACK, FIN, RST."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.base.counters cimport C_RST_SENT, count
from cython_ext.base.frame cimport Frame
from cython_ext.client.arrivals cimport SACK_BLOCKS_MOST, arrivals_report
from cython_ext.client.state cimport Client, Fetch, client_frame, client_send
from cython_ext.net.input cimport Segment
from cython_ext.tcp.active cimport active_emit
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_ECN, CONN_ECN_ECHO, CONN_RTO_ARMED, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE, TcpConn,
    conn_flight, conn_may_send_data, tick_of,
)
from cython_ext.tcp.loss cimport rto_arm
from cython_ext.tcp.output cimport (
    conn_emit_link, conn_finish, conn_payload_offset, conn_tcp_offset, tcp_emit, timestamp_now,
)
from cython_ext.tcp.plan cimport TcpPlan, tcp_plan, tcp_sent
from cython_ext.tcp.reset cimport reset_emit
from cython_ext.wire.checksum cimport sum_octets
from cython_ext.wire.seqnum cimport seq_max
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_ECE, TCP_RST, TCP_TIMESTAMP_BYTES, tcp_emit_fixed, tcp_emit_timestamps,
)


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
            plan.octets > 0 and not plan.again, now_ns,
        )
        advertised(client, conn)
        client_send(client, &frame)
        tcp_sent(conn, NULL, &plan, now_ns, &client.counters)
        conn.sent_at = tick_of(now_ns)
    if conn.send_queue and conn_flight(conn) == 0 and not conn.flags & CONN_RTO_ARMED:
        rto_arm(conn, now_ns)
    if conn.flags & CONN_ACK_NOW:
        send_ack(client, number, now_ns)


cdef inline void fill_request(const Client *client, const TcpConn *conn, const TcpPlan *plan, uint8_t *out) noexcept nogil:
    """Octets of the request: what of it is not acknowledged is send_queue, at its end."""
    cdef uint32_t first = client.request_bytes - <uint32_t>conn.send_queue + plan.offset
    memcpy(out, client.request + first, plan.octets)


cdef inline void send_ack(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """An acknowledgement, with SACK blocks where something is missing or came twice."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Frame frame
    cdef uint8_t *tcp
    cdef uint32_t header_bytes = TCP_BYTES
    cdef uint32_t blocks = SACK_BLOCKS_MOST
    if not client_frame(client, &frame):
        return                                          # CONN_ACK_NOW stays: the next segment brings it along
    tcp = frame.data + conn_tcp_offset(conn)
    if conn.flags & CONN_TIMESTAMPS:
        tcp_emit_timestamps(tcp + TCP_BYTES, timestamp_now(conn, now_ns), conn.ts_recent)
        header_bytes += TCP_TIMESTAMP_BYTES
        blocks -= 1
    if conn.flags & CONN_SACK:
        header_bytes += arrivals_report(&client.fetches[number].arrivals, tcp + header_bytes, blocks)
    conn_emit_link(conn, &client.local, client.mac, frame.data, header_bytes, 0)
    tcp_emit_fixed(
        tcp, client.fetches[number].port, conn.peer_port, conn.snd_max, conn.rcv_nxt,
        TCP_ACK | (TCP_ECE if conn.flags & CONN_ECN and conn.flags & CONN_ECN_ECHO else 0),
        <uint16_t>window_field(client, conn), header_bytes,
    )
    conn_finish(conn, tcp, header_bytes, 0, 0)
    conn.last_ack_sent = conn.rcv_nxt
    advertised(client, conn)
    frame.bytes = conn_tcp_offset(conn) + header_bytes
    client_send(client, &frame)


cdef inline void send_reset(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The connection is given up: a RST where the peer expects the next octet."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Frame frame
    if not client_frame(client, &frame):
        return
    client.local.port = client.fetches[number].port
    frame.bytes = tcp_emit(
        conn, &client.local, client.mac, frame.data, conn.snd_max, TCP_RST | TCP_ACK, 0, 0, 0, False, now_ns
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
