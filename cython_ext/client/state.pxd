"""Everything a client owns: connections that it opened to one server, what they fetch, their timers.

One driver, one address of its own, one target. It opens (tcp/active), asks once per connection, counts
and sums the answer's octets, and closes; used by the simulation, and made for a load generator.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from cython_ext.base.counters cimport C_TX_FRAMES, C_TX_NO_FRAME, C_TX_OCTETS, C_TX_REFUSED, Counters, count, count_many
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL, Pool, pool_give, pool_init, pool_release
from cython_ext.base.siphash cimport SipKey
from cython_ext.client.arrivals cimport Arrivals
from cython_ext.client.response cimport Response
from cython_ext.driver.contract cimport Driver
from cython_ext.net.address cimport ADDRESS_BYTES, Local
from cython_ext.tcp.conn cimport TCP_CLOSED, TcpConn, tick_of
from cython_ext.tcp.ephemeral cimport Ports, ports_give, ports_init, ports_release
from cython_ext.tcp.timers cimport Wheel, wheel_init, wheel_release, wheel_unlist

cdef enum:
    CLIENT_BATCH = 128
    REQUEST_BYTES_MOST = 1024

cdef enum FetchState:
    FETCH_NONE = 0
    FETCH_UNDER_WAY = 1
    FETCH_DONE = 2              # the whole body is here
    FETCH_BAD = 3               # no response that we understand
    FETCH_CUT = 4               # the connection ended first

cdef struct Fetch:              # beside each record
    uint16_t port               # ours
    uint8_t state               # FetchState
    uint8_t unacknowledged      # segments since our last ACK
    bint ack_awaited            # a delayed ACK leaves at ack_at
    uint32_t ack_at             # tick
    uint64_t started_ns
    uint64_t first_ns           # first octet of the response
    uint64_t ended_ns
    Response response
    Arrivals arrivals

cdef struct ClientConfig:
    uint32_t connections
    uint32_t window_bytes       # of each connection, a power of two from 2048 to 2^30
    uint32_t mtu                # octets of the IP packet
    bint ecn
    uint32_t idle_ticks         # without a segment of the peer's for so long a connection is given up
    uint32_t time_wait_ticks
    SipKey key

cdef struct Client:
    ClientConfig config
    Driver *driver
    uint8_t mac[6]
    uint8_t peer_mac[6]         # where frames for the server go
    Local local                 # one address; its port is that of whoever sends
    uint8_t peer_version        # 4 or 6
    uint8_t peer_address[ADDRESS_BYTES]     # IPv4 mapped
    uint16_t peer_port
    uint8_t scale               # of our window (RFC 7323)
    TcpConn *conns
    Fetch *fetches
    uint8_t *rings              # window_bytes each
    Pool free
    Ports ports
    Wheel wheel
    Counters counters
    uint32_t in_use
    uint32_t request_bytes
    uint8_t request[REQUEST_BYTES_MOST]
    uint32_t tx_count
    Frame tx[CLIENT_BATCH]


cdef inline int client_init(Client *client, const ClientConfig *config, uint64_t now_ns) noexcept nogil:
    """0, or -1 without memory. The caller fills in driver, addresses, target and request."""
    memset(client, 0, sizeof(Client))
    client.config = config[0]
    while config.window_bytes >> client.scale > 65535:
        client.scale += 1
    client.conns = <TcpConn *>calloc(config.connections, sizeof(TcpConn))
    client.fetches = <Fetch *>calloc(config.connections, sizeof(Fetch))
    client.rings = <uint8_t *>calloc(config.connections, config.window_bytes)
    if client.conns == NULL or client.fetches == NULL or client.rings == NULL:
        return -1
    return (
        pool_init(&client.free, config.connections) | ports_init(&client.ports)
        | wheel_init(&client.wheel, client.conns, tick_of(now_ns))
    )


cdef inline void client_release(Client *client) noexcept nogil:
    free(client.conns)
    free(client.fetches)
    free(client.rings)
    pool_release(&client.free)
    ports_release(&client.ports)
    wheel_release(&client.wheel)
    memset(client, 0, sizeof(Client))


cdef inline void client_end(Client *client, uint32_t number, uint64_t now_ns) noexcept nogil:
    """The record is free; what it fetched stays to be read until another takes its place."""
    cdef Fetch *fetch = &client.fetches[number]
    if fetch.state == FETCH_UNDER_WAY:
        fetch.state = FETCH_CUT
        fetch.ended_ns = now_ns
    wheel_unlist(&client.wheel, number)
    ports_give(&client.ports, fetch.port)
    client.conns[number].state = TCP_CLOSED
    client.conns[number].flags = 0
    client.in_use -= 1
    pool_give(&client.free, number)


cdef inline bint client_frame(Client *client, Frame *frame) noexcept nogil:
    """A fresh frame of the TX pool."""
    if client.driver.alloc(client.driver.state, frame, 1) == 1:
        return True
    count(&client.counters, C_TX_NO_FRAME)
    return False


cdef inline void client_flush(Client *client) noexcept nogil:
    """What the driver does not take is dropped: TCP repeats it."""
    cdef uint32_t sent = client.driver.tx_burst(client.driver.state, client.tx, client.tx_count)
    if sent < client.tx_count:
        count_many(&client.counters, C_TX_REFUSED, client.tx_count - sent)
        client.driver.recycle(client.driver.state, client.tx + sent, client.tx_count - sent)
    client.tx_count = 0


cdef inline void client_send(Client *client, const Frame *frame) noexcept nogil:
    client.tx[client.tx_count] = frame[0]
    client.tx_count += 1
    count(&client.counters, C_TX_FRAMES)
    count_many(&client.counters, C_TX_OCTETS, frame.bytes)
    if client.tx_count == CLIENT_BATCH:
        client_flush(client)
