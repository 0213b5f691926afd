"""Everything one worker owns: its drivers, connections, sessions, pools and counters."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from cython_ext.accesslog.ring cimport ring_init
from cython_ext.base.counters cimport C_LOG_DROPPED, C_NO_FLIGHT_BLOCK, COUNTER_COUNT, Counters, count
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.base.share cimport Share, address_hash, share_give, share_init, share_release, share_take
from cython_ext.base.siphash cimport SipKey
from cython_ext.base.tally cimport Tally, tally_add, tally_init, tally_release
from cython_ext.content.window cimport windows_init
from cython_ext.driver.contract cimport BURST_FRAMES, Driver
from cython_ext.http.date cimport date_make
from cython_ext.net.address cimport Local
from cython_ext.net.reply cimport Replies, replies_init
from cython_ext.tcp.conn cimport (
    CONN_OUTPUT_LISTED, CONN_RECOVERING, CONN_SACK, CONN_TALLIED, CONN_TIMING, TCP_SYN_RCVD,
    TCP_TIME_WAIT, TcpConn, tick_of,
)
from cython_ext.tcp.flight cimport RUN_AGAIN, Flight, flight_start
from cython_ext.tcp.loss cimport low_us
from cython_ext.tcp.pacing cimport pace_start
from cython_ext.tcp.pathmtu cimport mss_consider
from cython_ext.tcp.reassembly cimport Duplicate, Reassembly
from cython_ext.tcp.table cimport TcpTable, table_init, table_release, table_remove, wait_unlink
from cython_ext.tcp.timers cimport Wheel, wheel_init, wheel_release, wheel_unlist
from cython_ext.worker.queue cimport session_end
from cython_ext.worker.service cimport (
    GENERATIONS_MOST, Service, Session, service_init, service_release, session_start,
)

cdef extern from "abi/atomics.h" nogil:
    uint32_t atomic_load_u32(const uint32_t *word)
    void atomic_store_u32(uint32_t *word, uint32_t value)
    void atomic_publish_u64(uint64_t *word, uint64_t value)

cdef enum:
    PORTS_MOST = 64                 # drivers of one worker: one per queue
    TX_BATCH_FRAMES = 256
    STASH_FRAMES = 32
    UNPARKED_A_TURN = 256
    UNPARK_TICKS = 16
    LISTED_MOST = 1 << 18           # connections whose output is put off: more than that wait for their timers

cdef struct Port:
    Driver *driver
    uint8_t mac[6]                  # our own
    bint accept_partial             # checksums that the sender's kernel only began
    int32_t fault                   # 0, or the -errno with which the driver died
    uint32_t tx_count
    uint32_t stash_count
    Frame tx[TX_BATCH_FRAMES]       # filled, on their way to tx_burst
    Frame stash[STASH_FRAMES]       # fresh frames of the TX pool

cdef struct WorkerConfig:
    uint32_t connections
    uint32_t request_buffers
    uint32_t flights                # connections that may have a flight block at a time
    uint32_t reassemblies           # connections that may hold octets out of order at a time
    uint32_t per_source             # connections that one source may have; 0: as many as there are
    uint32_t windows                # on large bodies, WINDOW_BYTES each; 0: there are none
    uint64_t log_bytes              # of the access log's ring, a power of two; 0: no log
    bint log_lossless
    uint32_t log_wants              # LogWants
    bint newreno                    # congestion control: NewReno instead of CUBIC
    uint32_t mtu                    # octets of the IP packet
    uint32_t idle_ticks
    uint32_t header_ticks
    uint32_t time_wait_ticks
    int64_t wall_offset_ns          # wall clock minus the loop's clock
    SipKey table_key
    SipKey isn_key

cdef struct Worker:
    Port ports[PORTS_MOST]
    uint32_t port_count
    WorkerConfig config
    Local local
    Replies replies                 # about addresses that are ours alone
    TcpTable table
    Tally sources                   # established connections of each source, when they are limited
    uint32_t evict_hand             # record at which the next search for one to give up begins
    uint64_t cookie_ns              # when the last SYN cookie was sent; 0: never
    Wheel wheel
    Session *sessions               # by the record's number
    Flight *flights                 # blocks for connections with more than one segment out
    Share flight_pool
    Reassembly *reassemblies        # blocks for connections that received something out of order
    Share reassembly_pool
    uint32_t reassembly_hand        # block at which the next search for one to give up begins
    uint32_t duplicate_of           # connection whose next bare ACK reports `duplicate`, or NIL
    Duplicate duplicate
    Service service
    Counters counters
    Counters published              # copy for other threads
    uint64_t published_ns
    uint32_t *listed                # connections with output put off, a ring
    uint32_t listed_mask
    uint32_t listed_head            # free-running
    uint32_t listed_tail
    uint32_t *parked                # likewise, until a window of a large body is there
    uint32_t parked_head
    uint32_t parked_tail
    int wake_fd                     # eventfd that ends a sleep, or -1
    uint32_t stop                   # set by another thread
    uint32_t drain                  # set by another thread
    uint32_t offered                # generation of the image to serve, set by another thread
    uint32_t serving                # published: the one that is served
    uint32_t held[GENERATIONS_MOST]  # published: responses that are still made from each
    uint32_t open_connections       # published: records but those in TIME-WAIT


cdef inline int worker_init(
    Worker *worker, const WorkerConfig *config, const uint8_t *image, uint64_t now_ns
) noexcept nogil:
    """0, or -1 without memory. The caller fills in `local` and the ports."""
    cdef uint32_t ring = 64
    while ring < 2 * config.connections and ring < LISTED_MOST:
        ring *= 2
    memset(worker, 0, sizeof(Worker))
    worker.config = config[0]
    worker.wake_fd = -1
    replies_init(&worker.replies)
    if (
        table_init(&worker.table, config.connections, &config.table_key) != 0
        or wheel_init(&worker.wheel, worker.table.conns, tick_of(now_ns)) != 0
        or service_init(
            &worker.service, image, config.request_buffers, config.request_buffers, &config.table_key, &worker.counters
        ) != 0
    ):
        return -1
    date_make(&worker.service.date, 0)
    if config.log_bytes and ring_init(
        &worker.service.log, config.log_bytes, config.log_lossless, config.log_wants
    ) != 0:
        return -1
    worker.sessions = <Session *>calloc(config.connections, sizeof(Session))
    worker.listed = <uint32_t *>calloc(ring, sizeof(uint32_t))
    worker.parked = <uint32_t *>calloc(ring, sizeof(uint32_t))
    worker.listed_mask = ring - 1
    worker.flights = <Flight *>calloc(config.flights, sizeof(Flight))
    if config.per_source and tally_init(&worker.sources, config.connections) != 0:
        return -1
    if worker.flights == NULL or share_init(
        &worker.flight_pool, config.flights, &config.table_key
    ) != 0:
        return -1
    worker.duplicate_of = NIL
    worker.reassemblies = <Reassembly *>calloc(config.reassemblies, sizeof(Reassembly))
    if worker.reassemblies == NULL or share_init(
        &worker.reassembly_pool, config.reassemblies, &config.table_key
    ) != 0:
        return -1
    if config.windows and windows_init(&worker.service.windows, config.windows) != 0:
        return -1
    return 0 if worker.sessions != NULL and worker.listed != NULL and worker.parked != NULL else -1


cdef inline void worker_release(Worker *worker) noexcept nogil:
    table_release(&worker.table)
    tally_release(&worker.sources)
    wheel_release(&worker.wheel)
    service_release(&worker.service)
    free(worker.sessions)
    free(worker.listed)
    free(worker.parked)
    free(worker.flights)
    free(worker.reassemblies)
    share_release(&worker.flight_pool)
    share_release(&worker.reassembly_pool)
    worker.sessions = NULL
    worker.listed = NULL
    worker.parked = NULL
    worker.flights = NULL
    worker.reassemblies = NULL


cdef inline Flight *connection_flight(Worker *worker, const TcpConn *conn) noexcept nogil:
    """The connection's flight block, or NULL."""
    return NULL if conn.flight == NIL else &worker.flights[conn.flight]


cdef inline void flight_take(Worker *worker, TcpConn *conn, uint64_t now_ns) noexcept nogil:
    """A second segment is about to leave: from now on it is known which ones arrive. Only peers that
    SACK tell; without a block left, duplicate ACKs must do."""
    if not conn.flags & CONN_SACK or conn.snd_nxt != conn.snd_max or conn.flags & CONN_RECOVERING:
        return
    conn.flight = share_take(&worker.flight_pool, conn.peer_address)
    if conn.flight == NIL:
        count(&worker.counters, C_NO_FLIGHT_BLOCK)
        return
    if conn.flags & CONN_TIMING:
        flight_start(&worker.flights[conn.flight], conn.snd_una, conn.snd_nxt, conn.timed_at_us, 0)
    else:
        flight_start(&worker.flights[conn.flight], conn.snd_una, conn.snd_nxt, low_us(now_ns), RUN_AGAIN)
    pace_start(conn, &worker.flights[conn.flight], low_us(now_ns))
    mss_consider(conn, &worker.flights[conn.flight], now_ns)


cdef inline void flight_give(Worker *worker, TcpConn *conn) noexcept nogil:
    """All is acknowledged, or the connection ends: the block is free."""
    if conn.flight != NIL:
        share_give(&worker.flight_pool, conn.flight)
        conn.flight = NIL


cdef inline void reassembly_give(Worker *worker, TcpConn *conn) noexcept nogil:
    """Nothing is held out of order any more: the block is free."""
    if conn.reassembly:
        share_give(&worker.reassembly_pool, <uint32_t>conn.reassembly - 1)
        conn.reassembly = 0


cdef inline uint64_t source_hash(const Worker *worker, const TcpConn *conn) noexcept nogil:
    return address_hash(&worker.table.key, conn.peer_address)


cdef inline void source_release(Worker *worker, TcpConn *conn) noexcept nogil:
    """The connection no longer counts among its source's: it has ended but for TIME-WAIT."""
    if conn.flags & CONN_TALLIED:
        conn.flags &= ~<uint32_t>CONN_TALLIED
        tally_add(&worker.sources, source_hash(worker, conn), -1)


cdef inline void connection_end(Worker *worker, uint32_t number) noexcept nogil:
    """Frees the connection's record and all it holds."""
    cdef TcpConn *conn = &worker.table.conns[number]
    wheel_unlist(&worker.wheel, number)
    if conn.state == TCP_SYN_RCVD:
        worker.table.half_open -= 1
    elif conn.state == TCP_TIME_WAIT:
        wait_unlink(&worker.table, number)
    session_end(&worker.service, &worker.sessions[number])
    flight_give(worker, conn)
    reassembly_give(worker, conn)
    if worker.duplicate_of == number:
        worker.duplicate_of = NIL
    source_release(worker, conn)
    conn.flags = 0
    table_remove(&worker.table, number)


cdef inline void output_list(Worker *worker, uint32_t number) noexcept nogil:
    """Puts the connection's output off to a later turn. A full list leaves it to its timer."""
    cdef TcpConn *conn = &worker.table.conns[number]
    if conn.flags & CONN_OUTPUT_LISTED or worker.listed_head - worker.listed_tail > worker.listed_mask:
        return
    conn.flags |= CONN_OUTPUT_LISTED
    worker.listed[worker.listed_head & worker.listed_mask] = number
    worker.listed_head += 1


cdef inline void output_park(Worker *worker, uint32_t number) noexcept nogil:
    """Puts the connection's output off until a window is filled."""
    cdef TcpConn *conn = &worker.table.conns[number]
    if conn.flags & CONN_OUTPUT_LISTED or worker.parked_head - worker.parked_tail > worker.listed_mask:
        return
    conn.flags |= CONN_OUTPUT_LISTED
    worker.parked[worker.parked_head & worker.listed_mask] = number
    worker.parked_head += 1


cdef inline void output_unpark(Worker *worker) noexcept nogil:
    """Windows were filled, or may be given up by now: those that wait are listed, a bounded number a turn."""
    cdef uint32_t filled = atomic_load_u32(&worker.service.windows.filled)
    cdef uint32_t until = worker.parked_head
    cdef uint32_t number
    cdef int _i
    if filled == worker.service.windows.filled_seen and (
        worker.service.windows.tick - worker.service.windows.unparked_at < UNPARK_TICKS
    ):
        return
    worker.service.windows.unparked_at = worker.service.windows.tick
    for _i in range(UNPARKED_A_TURN):
        if worker.parked_tail == until:
            worker.service.windows.filled_seen = filled
            return
        number = worker.parked[worker.parked_tail & worker.listed_mask]
        worker.parked_tail += 1
        if worker.table.conns[number].flags & CONN_OUTPUT_LISTED:
            worker.table.conns[number].flags &= ~<uint32_t>CONN_OUTPUT_LISTED
            output_list(worker, number)


cdef inline void log_peer(Worker *worker, TcpConn *conn) noexcept nogil:
    """Whose requests are looked at next."""
    worker.service.log.peer_address = conn.peer_address
    worker.service.log.peer_port = conn.peer_port


cdef inline void generations_publish(Worker *worker) noexcept nogil:
    """How many responses are still made from each image, for the thread that unmaps them."""
    cdef int i
    for i in range(GENERATIONS_MOST):
        if worker.held[i] != worker.service.queued[i]:
            atomic_store_u32(&worker.held[i], worker.service.queued[i])


cdef inline void worker_publish(Worker *worker, uint64_t now_ns) noexcept nogil:
    """Copies the counters for other threads."""
    cdef int i
    worker.counters.value[<int>C_LOG_DROPPED] = worker.service.log.dropped
    for i in range(COUNTER_COUNT):
        atomic_publish_u64(&worker.published.value[i], worker.counters.value[i])
    generations_publish(worker)
    atomic_store_u32(&worker.open_connections, worker.table.in_use - worker.table.waiting)
    worker.published_ns = now_ns
