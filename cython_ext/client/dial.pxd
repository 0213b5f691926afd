"""A client's door for its caller: open connections, and one turn. Time is an argument."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.base.pool cimport NIL, pool_give, pool_take
from cython_ext.client.arrivals cimport arrivals_start
from cython_ext.client.receive cimport client_receive
from cython_ext.client.response cimport response_start
from cython_ext.client.send cimport send_syn
from cython_ext.client.state cimport FETCH_UNDER_WAY, Client, Fetch, client_flush
from cython_ext.client.timers cimport client_expire, schedule
from cython_ext.net.address cimport ADDRESS_BYTES, pseudo_sum, v4_is_bad_source, v6_is_bad_source
from cython_ext.tcp.active cimport active_open
from cython_ext.tcp.conn cimport CONN_IPV6, TcpConn
from cython_ext.tcp.ephemeral cimport ports_take


cdef inline uint32_t client_dial(Client *client, uint64_t now_ns) noexcept nogil:
    """Opens a connection to the target, to ask it for `request`: its number, or NIL when no record or no port
    is free, or the target is no single host."""
    cdef uint32_t number
    cdef Fetch *fetch
    if not target_is_sound(client):
        return NIL
    number = pool_take(&client.free)
    if number == NIL:
        return NIL
    fetch = &client.fetches[number]
    memset(&client.conns[number], 0, sizeof(TcpConn))
    fetch.port = ports_take(
        &client.ports, client.peer_address, client.peer_port, 0, number, &client.config.key
    )
    if fetch.port == 0:
        pool_give(&client.free, number)
        return NIL
    client.in_use += 1
    fetch.state = FETCH_UNDER_WAY
    fetch.unacknowledged = 0
    fetch.ack_awaited = False
    fetch.started_ns = now_ns
    fetch.first_ns = 0
    fetch.ended_ns = 0
    response_start(&fetch.response)
    arrivals_start(
        &fetch.arrivals, client.rings + <size_t>number * client.config.window_bytes, client.config.window_bytes
    )
    open_record(client, &client.conns[number], fetch, now_ns)
    send_syn(client, number, now_ns)
    schedule(client, number)
    return number


cdef inline bint target_is_sound(const Client *client) noexcept nogil:
    """No broadcast, no group (RFC 9293 3.9.2.3 MUST-46)."""
    if client.peer_version == 6:
        return not v6_is_bad_source(client.peer_address)
    return not v4_is_bad_source(client.peer_address + 12)


cdef inline void open_record(Client *client, TcpConn *conn, const Fetch *fetch, uint64_t now_ns) noexcept nogil:
    memcpy(conn.peer_address, client.peer_address, ADDRESS_BYTES)
    memcpy(conn.peer_mac, client.peer_mac, 6)
    conn.peer_port = client.peer_port
    conn.flight = NIL
    if client.peer_version == 6:
        conn.flags = CONN_IPV6
        conn.pseudo = pseudo_sum(client.local.address[0].octets, client.peer_address, ADDRESS_BYTES)
    else:
        conn.pseudo = pseudo_sum(client.local.address[0].octets, client.peer_address + 12, 4)
    active_open(conn, fetch.port, &client.config.key, client.config.ecn, now_ns)


cdef inline uint32_t client_turn(Client *client, uint64_t now_ns) noexcept nogil:
    """Receives a burst, works off timers, sends; returns how many frames were received."""
    cdef uint32_t received = client_receive(client, now_ns)
    client_expire(client, now_ns)
    client_flush(client)
    client.driver.wakeup(client.driver.state)
    return received
