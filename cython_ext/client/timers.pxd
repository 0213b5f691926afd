"""What time does to a client's connections: SYN and request again, delayed ACKs, giving up, TIME-WAIT's end."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from cython_ext.base.counters cimport C_ABORTED, C_IDLE_TIMEOUTS, C_RTO, count
from cython_ext.base.pool cimport NIL
from cython_ext.client.send cimport send_due, send_reset, send_syn
from cython_ext.client.state cimport Client, Fetch, client_end
from cython_ext.tcp.active cimport active_timeout
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_PROBE, CONN_RTO_ARMED, TCP_SYN_RCVD, TCP_TIME_WAIT, TcpConn, tick_of,
)
from cython_ext.tcp.loss cimport RETRIES_MOST, rto_disarm
from cython_ext.tcp.timeout cimport timeout_probe_window, timeout_retransmit
from cython_ext.tcp.timers cimport wheel_list, wheel_next

cdef enum:
    EXPIRED_A_TURN = 256


cdef inline bint tick_passed(uint32_t tick, uint32_t deadline) noexcept nogil:
    return <int32_t>(tick - deadline) >= 0


cdef inline uint32_t end_deadline(const Client *client, const TcpConn *conn) noexcept nogil:
    return conn.active_at + (
        client.config.time_wait_ticks if conn.state == TCP_TIME_WAIT else client.config.idle_ticks
    )


cdef inline void schedule(Client *client, uint32_t number) noexcept nogil:
    """Lists the connection in the wheel for its next deadline."""
    cdef const TcpConn *conn = &client.conns[number]
    cdef const Fetch *fetch = &client.fetches[number]
    cdef uint32_t deadline = end_deadline(client, conn)
    if conn.flags & CONN_RTO_ARMED and <int32_t>(conn.rto_at - deadline) < 0:
        deadline = conn.rto_at
    if fetch.ack_awaited and <int32_t>(fetch.ack_at - deadline) < 0:
        deadline = fetch.ack_at
    wheel_list(&client.wheel, number, deadline)


cdef inline void client_expire(Client *client, uint64_t now_ns) noexcept nogil:
    """Works off timers that fell due, a bounded number a turn."""
    cdef uint32_t tick = tick_of(now_ns)
    cdef uint32_t number
    cdef int _i
    for _i in range(EXPIRED_A_TURN):
        number = wheel_next(&client.wheel, tick)
        if number == NIL:
            return
        if expire(client, number, tick, now_ns):
            send_due(client, number, now_ns)
            schedule(client, number)


cdef inline bint expire(Client *client, uint32_t number, uint32_t tick, uint64_t now_ns) noexcept nogil:
    """Returns whether the connection lives on."""
    cdef TcpConn *conn = &client.conns[number]
    cdef Fetch *fetch = &client.fetches[number]
    if fetch.ack_awaited and tick_passed(tick, fetch.ack_at):
        fetch.ack_awaited = False
        conn.flags |= CONN_ACK_NOW
    if conn.state <= TCP_SYN_RCVD:
        return expire_handshake(client, number, tick, now_ns)
    if tick_passed(tick, end_deadline(client, conn)):
        if conn.state != TCP_TIME_WAIT:
            count(&client.counters, C_IDLE_TIMEOUTS)
            give_up(client, number, now_ns)
        else:
            client_end(client, number, now_ns)
        return False
    if not conn.flags & CONN_RTO_ARMED or not tick_passed(tick, conn.rto_at):
        return True
    if conn.snd_max == conn.snd_una and conn.send_queue == 0:
        rto_disarm(conn)
    elif conn.send_queue and (conn.snd_wnd == 0 or conn.snd_max == conn.snd_una):
        timeout_probe_window(conn, NULL, now_ns, &client.counters)
    elif conn.backoff >= RETRIES_MOST:
        count(&client.counters, C_RTO)
        give_up(client, number, now_ns)
        return False
    else:
        conn.flags |= CONN_PROBE
        timeout_retransmit(conn, NULL, now_ns, &client.counters)
    return True


cdef inline bint expire_handshake(Client *client, uint32_t number, uint32_t tick, uint64_t now_ns) noexcept nogil:
    cdef TcpConn *conn = &client.conns[number]
    if not tick_passed(tick, conn.rto_at):
        return True
    if not active_timeout(conn, now_ns, &client.counters):
        client_end(client, number, now_ns)
        return False
    send_syn(client, number, now_ns)
    return True


cdef inline void give_up(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    count(&client.counters, C_ABORTED)
    send_reset(client, number, now_ns)
    client_end(client, number, now_ns)
