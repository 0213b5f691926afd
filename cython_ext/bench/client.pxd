"""The other side of an engine benchmark: many small TCP clients on the memory driver.

They make frames and read answers at C speed; only the worker's own turns are timed. They trust
the server: no loss, no retransmission, every frame for them.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC

from cython_ext.base.frame cimport Frame
from cython_ext.content.window cimport WINDOW_BYTES, Windows, window_finish, window_sum_up, windows_next_wanted
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.driver.memory cimport MemoryDriver, memory_collect, memory_complete, memory_inject
from cython_ext.wire.bytes cimport load_be16, load_be32, load_u32, store_be16, store_u32, swap_be16, swap_be32
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ethernet cimport ETH_BYTES, ETHERTYPE_IPV4, ethernet_emit
from cython_ext.wire.ipv4 cimport IPV4_BYTES, IP_PROTOCOL_TCP, ipv4_emit
from cython_ext.wire.tcp cimport (
    TCP_ACK, TCP_BYTES, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_TIMESTAMP_BYTES, tcp_emit_fixed,
    tcp_emit_timestamps, tcp_store_checksum,
)
from cython_ext.worker.clock cimport clock_ns
from cython_ext.worker.loop cimport worker_turn
from cython_ext.worker.state cimport Worker

cdef enum:
    PORTS_A_CLIENT = 50000          # per source address
    FIRST_PORT = 10000
    ACK_EVERY = 2                   # segments
    SYN_OPTION_BYTES = 20
    SERVER_PORT = 80
    TURN_NS = 5000
    TURNS_MOST = 1000000
    QUIET_TURNS = 100               # after much was sent to many, some turns go by before the next response
    RESPONSE_BYTES_MOST = 0x7fffffff

cdef struct Client:
    uint32_t snd_nxt
    uint32_t rcv_nxt
    uint32_t ts_recent
    uint32_t left                   # octets of the response still to come
    uint32_t unacked                # segments received since the last ACK
    bint fin                        # the server's FIN arrived

cdef struct Crowd:
    Worker *worker
    MemoryDriver *memory
    Client *clients
    uint32_t *order                 # a permutation: whose turn it is is not where it lies in memory
    uint32_t count
    uint32_t server_address         # as it lies in memory
    uint64_t turns_ns               # time spent in the worker
    uint64_t turns
    uint64_t now_ns                 # the worker's clock
    uint64_t segments               # received from the server
    uint64_t repeated               # segments that were not the next ones expected
    uint64_t refused                # frames the memory driver had no room for
    const uint8_t *request          # the first of them, one behind the other
    uint32_t request_bytes          # of each
    uint64_t request_count
    uint64_t walk                   # state of the generator that chooses among them
    uint32_t response_bytes         # whole response, head included


cdef inline void crowd_shuffle(Crowd *crowd, uint64_t seed) noexcept nogil:
    """Fisher and Yates, with a linear congruential generator."""
    cdef uint32_t i, k, other
    for i in range(crowd.count):
        crowd.order[i] = i
    for i in range(crowd.count):
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL
        k = i + <uint32_t>((seed >> 33) % (crowd.count - i))
        other = crowd.order[k]
        crowd.order[k] = crowd.order[i]
        crowd.order[i] = other


cdef inline uint32_t crowd_address(uint32_t number) noexcept nogil:
    """10.1.0.1 and up, in memory order."""
    return swap_be32(<uint32_t>0x0a010001 + number // PORTS_A_CLIENT)


cdef inline uint16_t crowd_port(uint32_t number) noexcept nogil:
    return <uint16_t>(FIRST_PORT + number % PORTS_A_CLIENT)


cdef inline uint32_t crowd_frame(
    Crowd *crowd, uint32_t number, uint8_t flags, const uint8_t *payload, uint32_t octets, uint8_t *frame
) noexcept nogil:
    """Writes a segment of client `number`; returns the frame's size."""
    cdef Client *client = &crowd.clients[number]
    cdef uint8_t *tcp = frame + ETH_BYTES + IPV4_BYTES
    cdef uint32_t header = TCP_BYTES + (SYN_OPTION_BYTES if flags & TCP_SYN else TCP_TIMESTAMP_BYTES)
    cdef uint32_t address = crowd_address(number)
    cdef uint64_t total
    ethernet_emit(frame, <const uint8_t *>b"\x02\0\0\0\0\1", <const uint8_t *>b"\x02\0\0\0\0\2", ETHERTYPE_IPV4, 0, 0)
    ipv4_emit(frame + ETH_BYTES, address, crowd.server_address, header + octets, 0)
    if flags & TCP_SYN:
        store_u32(tcp + 20, swap_be32(0x020405b4))      # MSS 1460
        tcp_emit_timestamps(tcp + 24, 1, 0)
        store_u32(tcp + 36, swap_be32(0x01030302))      # window scale 2: 256 KiB
    else:
        tcp_emit_timestamps(tcp + 20, 1, client.ts_recent)
    memcpy(tcp + header, payload, octets)
    tcp_emit_fixed(tcp, crowd_port(number), SERVER_PORT, client.snd_nxt, client.rcv_nxt, flags, 65535, header)
    total = sum_wide(tcp, header + octets) + address + <uint64_t>crowd.server_address
    tcp_store_checksum(
        tcp, sum_fold(total + swap_be16(IP_PROTOCOL_TCP) + swap_be16(<uint16_t>(header + octets)))
    )
    return ETH_BYTES + IPV4_BYTES + header + octets


cdef inline void crowd_send(
    Crowd *crowd, uint32_t number, uint8_t flags, const uint8_t *payload, uint32_t octets
) noexcept nogil:
    """One segment of client `number` arrives at the server."""
    cdef Client *client = &crowd.clients[number]
    cdef uint8_t frame[2048]
    cdef uint32_t size = crowd_frame(crowd, number, flags, payload, octets, frame)
    client.snd_nxt += octets + (1 if flags & TCP_SYN else 0) + (1 if flags & TCP_FIN else 0)
    client.unacked = 0
    if not memory_inject(crowd.memory, frame, size):
        crowd.refused += 1


cdef inline void crowd_turn(Crowd *crowd) noexcept nogil:
    """One turn of the worker, timed. The worker's own clock moves by a fixed step, so that no timer
    falls due because the clients, or the machine, took long."""
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    worker_turn(crowd.worker, crowd.now_ns)
    crowd.now_ns += TURN_NS
    crowd.turns_ns += clock_ns(CLOCK_MONOTONIC) - before
    crowd.turns += 1


cdef inline void crowd_fill(Crowd *crowd) noexcept nogil:
    """In the place of the threads that read large bodies: windows have some content at once."""
    cdef Windows *windows = &crowd.worker.service.windows
    cdef uint32_t number
    while windows.wanted_tail != windows.wanted_head:
        number = windows_next_wanted(windows)
        memset(windows.memory + <size_t>number * WINDOW_BYTES, windows.windows[number].index & 0xff, WINDOW_BYTES)
        window_sum_up(windows, number, WINDOW_BYTES)
        window_finish(windows, number, True)


cdef inline void crowd_tick(Crowd *crowd) noexcept nogil:
    """A turn a tick later."""
    crowd.now_ns += <uint64_t>1 << 20
    crowd_turn(crowd)


cdef inline void crowd_take(Crowd *crowd, const Frame *frame) noexcept nogil:
    """A frame of the server reaches its client."""
    cdef const uint8_t *ip = frame.data + ETH_BYTES
    cdef const uint8_t *tcp = ip + IPV4_BYTES
    cdef uint32_t number = (
        (load_be32(ip + 16) - <uint32_t>0x0a010001) * PORTS_A_CLIENT + load_be16(tcp + 2) - FIRST_PORT
    )
    cdef Client *client = &crowd.clients[number]
    cdef uint32_t header = (tcp[12] >> 4) * 4
    cdef uint32_t octets = load_be16(ip + 2) - IPV4_BYTES - header
    cdef uint8_t flags = tcp[13]
    crowd.segments += 1
    if octets and load_be32(tcp + 4) != client.rcv_nxt:
        crowd.repeated += 1
        return
    if flags & TCP_SYN:
        client.rcv_nxt = load_be32(tcp + 4) + 1
        client.ts_recent = load_be32(tcp + 28)
        return
    client.rcv_nxt += octets + (1 if flags & TCP_FIN else 0)
    client.left -= octets
    if octets:
        client.unacked += 1
        client.ts_recent = load_be32(tcp + 24)
    if flags & TCP_FIN:
        client.fin = True


cdef inline void crowd_collect(Crowd *crowd) noexcept nogil:
    """All that the server sent; every second segment is acknowledged."""
    cdef Frame frames[BURST_FRAMES]
    cdef uint32_t i, number, many
    cdef const uint8_t *ip
    while True:
        many = memory_collect(crowd.memory, frames, BURST_FRAMES)
        if many == 0:
            return
        for i in range(many):
            crowd_take(crowd, &frames[i])
            ip = frames[i].data + ETH_BYTES
            number = (
                (load_be32(ip + 16) - <uint32_t>0x0a010001) * PORTS_A_CLIENT
                + load_be16(ip + IPV4_BYTES + 2) - FIRST_PORT
            )
            if crowd.clients[number].unacked >= ACK_EVERY and crowd.clients[number].left:
                crowd_send(crowd, number, TCP_ACK, NULL, 0)
        memory_complete(crowd.memory, frames, many)


cdef inline bint crowd_run(Crowd *crowd, uint32_t first, uint32_t many, uint32_t turns_most) noexcept nogil:
    """Turns until the clients [first, first + many) have their responses; False when they do not."""
    cdef uint32_t _turn, i
    cdef bint waiting
    for _turn in range(turns_most):
        crowd_turn(crowd)
        crowd_collect(crowd)
        crowd_fill(crowd)
        waiting = False
        for i in range(first, first + many):
            if crowd.clients[crowd.order[i]].left:
                waiting = True
                break
        if not waiting:
            return True
    return False


cdef inline void crowd_open(Crowd *crowd, uint32_t first, uint32_t many) noexcept nogil:
    """Three-way handshake of a batch."""
    cdef uint32_t i
    cdef Client *client
    for i in range(first, first + many):
        client = &crowd.clients[crowd.order[i]]
        client.snd_nxt = i * 7919
        client.rcv_nxt = 0
        client.left = 0
        client.fin = False
        crowd_send(crowd, crowd.order[i], TCP_SYN, NULL, 0)
    crowd_turn(crowd)
    crowd_collect(crowd)
    for i in range(first, first + many):
        crowd_send(crowd, crowd.order[i], TCP_ACK, NULL, 0)
    crowd_turn(crowd)


cdef inline const uint8_t *crowd_next_request(Crowd *crowd) noexcept nogil:
    """Any of the requests, by a linear congruential generator."""
    if crowd.request_count == 1:
        return crowd.request
    crowd.walk = crowd.walk * 6364136223846793005ULL + 1442695040888963407ULL
    return crowd.request + (crowd.walk >> 33) % crowd.request_count * crowd.request_bytes


cdef inline uint32_t crowd_probe(Crowd *crowd) noexcept nogil:
    """Octets of the response to the first request: all that comes before nothing more does."""
    cdef uint32_t number = crowd.order[0]
    cdef Client *client = &crowd.clients[number]
    cdef uint32_t before
    cdef uint32_t quiet = 0
    client.left = RESPONSE_BYTES_MOST
    crowd_send(crowd, number, TCP_ACK | TCP_PSH, crowd.request, crowd.request_bytes)
    while quiet < QUIET_TURNS:
        before = client.left
        crowd_turn(crowd)
        crowd_collect(crowd)
        crowd_fill(crowd)
        quiet = quiet + 1 if client.left == before else 0
    before = <uint32_t>RESPONSE_BYTES_MOST - client.left
    client.left = 0
    return before


cdef inline bint crowd_get(Crowd *crowd, uint32_t first, uint32_t many) noexcept nogil:
    """One request each; the previous response is acknowledged with it."""
    cdef uint32_t i
    for i in range(first, first + many):
        crowd.clients[crowd.order[i]].left = crowd.response_bytes
        crowd_send(crowd, crowd.order[i], TCP_ACK | TCP_PSH, crowd_next_request(crowd), crowd.request_bytes)
    return crowd_run(crowd, first, many, TURNS_MOST)


cdef inline void crowd_settle(Crowd *crowd) noexcept nogil:
    """Acknowledges what the next request would have, of each client: until then a timer would fall due."""
    cdef uint32_t i
    cdef uint32_t sent = 0
    for i in range(crowd.count):
        if crowd.clients[i].unacked:
            crowd_send(crowd, i, TCP_ACK, NULL, 0)
            sent += 1
            if sent % BURST_FRAMES == 0:
                crowd_turn(crowd)
    crowd_turn(crowd)
    crowd_collect(crowd)


cdef inline void crowd_close(Crowd *crowd, uint32_t first, uint32_t many) noexcept nogil:
    """The clients close first; the server's FIN is acknowledged."""
    cdef uint32_t i
    for i in range(first, first + many):
        crowd_send(crowd, crowd.order[i], TCP_ACK | TCP_FIN, NULL, 0)
    crowd_turn(crowd)
    crowd_collect(crowd)
    for i in range(first, first + many):
        crowd_send(crowd, crowd.order[i], TCP_ACK, NULL, 0)
    crowd_turn(crowd)
    crowd_collect(crowd)
