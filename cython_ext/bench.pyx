"""A door for measurements only: whole requests, and each layer alone, on the memory driver."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from cython_ext.accesslog.ring cimport LOG_WANTS_FIELDS, LogRing, atomic_load_u64, atomic_store_u64
from cython_ext.base.counters cimport C_RESPONSES_2XX, C_TIMERS
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.bench.client cimport (
    Client, Crowd, crowd_close, crowd_frame, crowd_get, crowd_open, crowd_probe, crowd_settle, crowd_shuffle,
    crowd_tick,
)
from cython_ext.bench.layers cimport (
    SEGMENT_OCTETS, time_copy_body, time_driver, time_emit, time_net_input, time_request, time_select,
    time_source, time_table,
)
from cython_ext.content.store cimport host_find
from cython_ext.driver.contract cimport BURST_FRAMES, Driver
from cython_ext.driver.memory cimport MemoryDriver, memory_close, memory_driver, memory_open
from cython_ext.http.request cimport Request, request_parse
from cython_ext.net.input cimport Segment, net_input
from cython_ext.tcp.conn cimport TcpConn
from cython_ext.wire.tcp cimport TCP_ACK, TCP_PSH
from cython_ext.worker.queue cimport begin_response, slot_bytes, stage_response
from cython_ext.worker.service cimport Session, Slot, session_start
from cython_ext.worker.state cimport Worker, WorkerConfig, worker_init, worker_release


cdef class Bench:
    """An engine on a memory driver and a crowd of clients in front of it."""

    cdef Worker *_worker
    cdef MemoryDriver _memory
    cdef Driver _driver
    cdef Crowd _crowd
    cdef const uint8_t[::1] _image
    cdef bytes _request
    cdef object _log_room

    def __init__(
        self, const uint8_t[::1] image not None, uint32_t connections, *, uint64_t log_bytes=0, uint32_t windows=0
    ):
        cdef WorkerConfig config
        memset(&config, 0, sizeof(config))
        config.connections = connections + 64
        config.request_buffers = 4096
        config.flights = 4096
        config.reassemblies = 256
        config.mtu = 1500
        config.idle_ticks = 1 << 20
        config.header_ticks = 1 << 20
        config.time_wait_ticks = 1
        config.table_key.k0 = 1
        config.isn_key.k0 = 2
        config.log_bytes = log_bytes
        config.windows = windows
        config.log_wants = LOG_WANTS_FIELDS
        self._image = image
        self._log_room = bytearray(1 << 16)
        self._worker = <Worker *>calloc(1, sizeof(Worker))
        self._crowd.clients = <Client *>calloc(connections, sizeof(Client))
        self._crowd.order = <uint32_t *>calloc(connections, sizeof(uint32_t))
        if self._worker == NULL or self._crowd.clients == NULL or self._crowd.order == NULL:
            raise MemoryError("no memory for the benchmark")
        if worker_init(self._worker, &config, &image[0], 0) != 0:
            raise MemoryError("no memory for the engine")
        if memory_open(&self._memory, 16384, 16384, 2048) != 0:
            raise MemoryError("no memory for frames")
        memory_driver(&self._memory, &self._driver)
        self._worker.ports[0].driver = &self._driver
        memcpy(self._worker.ports[0].mac, b"\x02\0\0\0\0\1", 6)
        self._worker.port_count = 1
        self._worker.local.count = 1
        self._worker.local.port = 80
        self._worker.local.address[0].version = 4
        memcpy(self._worker.local.address[0].octets, b"\x0a\0\0\1", 4)
        self._crowd.worker = self._worker
        self._crowd.memory = &self._memory
        self._crowd.count = connections
        crowd_shuffle(&self._crowd, 1)
        memcpy(&self._crowd.server_address, b"\x0a\0\0\1", 4)

    def __dealloc__(self):
        if self._worker != NULL:
            worker_release(self._worker)
        free(self._worker)
        free(self._crowd.clients)
        free(self._crowd.order)
        memory_close(&self._memory)

    def _select(self, bytes path):
        """Fixes the request and finds out how long its response is."""
        cdef uint32_t number = host_find(
            &self._worker.service.store, self._worker.service.store.default_host, path, <uint32_t>len(path)
        )
        cdef Slot slot
        if number == NIL:
            raise ValueError(f"the site has no {path!r}")
        slot.response = number
        slot.flags = 0
        slot.generation = 0
        slot.line = 0
        self._request = b"GET " + path + b" HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
        self._crowd.request = self._request
        self._crowd.request_bytes = <uint32_t>len(self._request)
        self._crowd.request_count = 1
        self._crowd.response_bytes = <uint32_t>slot_bytes(&self._worker.service, &slot)

    def open(self):
        """Opens all connections; returns nanoseconds of the engine per connection."""
        cdef uint32_t first = 0
        cdef uint64_t before = self._crowd.turns_ns
        with nogil:
            while first < self._crowd.count:
                crowd_open(&self._crowd, first, min(<uint32_t>BURST_FRAMES, self._crowd.count - first))
                first += BURST_FRAMES
        self._require(self._worker.table.in_use == self._crowd.count, "not every connection opened")
        return (self._crowd.turns_ns - before) / self._crowd.count

    def get(self, bytes path, uint64_t requests):
        """Keep-alive GETs over the open connections in turn; nanoseconds of the engine per GET."""
        self._select(path)
        return self._exchange(requests)

    def ask(self, bytes request, uint64_t requests, uint64_t count=1):
        """Keep-alive requests over the open connections in turn, each any of the `count` of equal size that
        `request` consists of; nanoseconds of the engine per request, octets of a response. All responses are as
        long as the first, and none closes its connection."""
        if count == 0 or len(request) % count:
            raise ValueError("the requests are not of one size")
        self._request = request
        self._crowd.request = self._request
        self._crowd.request_bytes = <uint32_t>(len(request) // count)
        self._crowd.request_count = count
        with nogil:
            self._crowd.response_bytes = crowd_probe(&self._crowd)
        self._require(self._crowd.response_bytes > 0, "there is no response")
        return self._exchange(requests), self._crowd.response_bytes

    def _exchange(self, uint64_t requests):
        cdef uint64_t before, ns, done = 0
        cdef uint32_t first = 0
        cdef uint32_t many
        cdef bint complete = True
        before = self._crowd.turns_ns
        with nogil:
            while done < requests and complete:
                many = min(<uint32_t>BURST_FRAMES, self._crowd.count - first)
                complete = crowd_get(&self._crowd, first, many)
                first = first + many if first + many < self._crowd.count else 0
                done += many
            ns = self._crowd.turns_ns - before
            crowd_settle(&self._crowd)
        self._require(complete, "a response did not arrive")
        return ns / <double>done

    def cycle(self, bytes path, uint64_t cycles):
        """Open, GET, close with fresh connections; nanoseconds of the engine per cycle."""
        cdef uint64_t before, done = 0
        cdef bint complete = True
        cdef uint32_t many = min(<uint32_t>BURST_FRAMES, self._crowd.count)
        self._select(path)
        before = self._crowd.turns_ns
        with nogil:
            while done < cycles and complete:
                crowd_open(&self._crowd, 0, many)
                complete = crowd_get(&self._crowd, 0, many)
                crowd_close(&self._crowd, 0, many)
                done += many
        self._require(complete and self._worker.table.in_use == 0, "a connection did not close")
        return (self._crowd.turns_ns - before) / done

    def shuffle(self, uint64_t seed):
        """Another order in which connections take their turns."""
        crowd_shuffle(&self._crowd, seed)

    def memory(self):
        """Octets by what they are for, of the engine for each connection; and of our clients for theirs."""
        cdef Worker *worker = self._worker
        cdef double capacity = worker.table.capacity
        return {
            "record": sizeof(TcpConn),
            "session": sizeof(Session),
            "bucket": (worker.table.bucket_mask + 1) * sizeof(uint32_t) / capacity,
            "output list": (worker.listed_mask + 1) * sizeof(uint32_t) / capacity,
            "client": sizeof(Client) + sizeof(uint32_t),
        }

    @property
    def connections(self):
        """Records in use."""
        return self._worker.table.in_use

    def answered(self):
        """2xx responses so far."""
        return self._worker.counters.value[C_RESPONSES_2XX]

    def pass_time(self, uint32_t ticks):
        """Turns of the worker, one a tick, in which nothing arrives; how many timers each of them touched."""
        cdef list touched = []
        cdef uint64_t before
        for _ in range(ticks):
            before = self._worker.counters.value[C_TIMERS]
            crowd_tick(&self._crowd)
            touched.append(self._worker.counters.value[C_TIMERS] - before)
        return touched

    def drain_log(self):
        """Another thread: reads what is in the access log's ring, as a writer of lines would, and no more."""
        cdef LogRing *ring = &self._worker.service.log
        cdef uint64_t head = atomic_load_u64(&ring.published)
        cdef uint64_t octets = 0
        cdef uint64_t part
        cdef uint8_t[::1] room = self._log_room
        with nogil:
            while ring.tail != head:
                part = min(
                    head - ring.tail, ring.bytes - (ring.tail & (ring.bytes - 1)), <uint64_t>room.shape[0]
                )
                memcpy(&room[0], ring.memory + (ring.tail & (ring.bytes - 1)), part)
                atomic_store_u64(&ring.tail, ring.tail + part)
                octets += part
        return octets

    @property
    def log_dropped(self):
        return self._worker.service.log.dropped

    def _require(self, bint condition, message):
        if not condition or self._crowd.refused or self._crowd.repeated:
            raise RuntimeError(
                f"{message} (frames refused: {self._crowd.refused}, out of order: {self._crowd.repeated})"
            )

    def layers(self, bytes path, uint64_t rounds):
        """Nanoseconds per call of each layer alone, on hot caches, by name; after open()."""
        cdef uint8_t out[2048]
        cdef Frame frame
        cdef Segment segment
        cdef Request request
        cdef Session session
        cdef Worker *worker = self._worker
        cdef uint32_t number
        cdef uint64_t ns[8]
        self._select(path)
        number = host_find(&worker.service.store, worker.service.store.default_host, path, <uint32_t>len(path))
        if worker.service.store.responses[number].body_bytes < 2 * SEGMENT_OCTETS:
            raise ValueError(f"the body must have {2 * SEGMENT_OCTETS} octets at least")
        memset(out, 1, sizeof(out))
        with nogil:
            frame.bytes = crowd_frame(
                &self._crowd, 0, TCP_ACK | TCP_PSH, self._crowd.request, self._crowd.request_bytes, out
            )
            frame.data = out
            ns[0] = time_net_input(&frame, &worker.local, worker.ports[0].mac, &worker.counters, rounds)
            net_input(&frame, &worker.local, worker.ports[0].mac, False, &segment, &worker.counters)
            ns[1] = time_table(&worker.table, &segment, rounds)
            ns[2] = time_request(self._crowd.request, self._crowd.request_bytes, rounds)
            request_parse(self._crowd.request, self._crowd.request_bytes, &request)
            ns[3] = time_select(&worker.service.store, &request, &worker.service.room, rounds)
            session_start(&session)
            begin_response(&worker.service, stage_response(&worker.service, &session, number, 0))
            ns[4] = time_source(&worker.service, &session, SEGMENT_OCTETS, out, rounds)
            ns[5] = time_copy_body(&worker.service.store, number, out, rounds)
            ns[6] = time_emit(&worker.table.conns[0], &worker.local, worker.ports[0].mac, out, rounds)
            ns[7] = time_driver(&self._memory, &self._driver, rounds)
        return {
            "net: frame to segment, checksum verified": ns[0] / rounds,
            "tcp: keyed hash and table look-up": ns[1] / rounds,
            "http: request parsed": ns[2] / rounds,
            "http: path to response": ns[3] / rounds,
            "worker: head, tail and body into a frame, 1448 octets": ns[4] / rounds,
            "content: body octets with sum, 1448 octets": ns[5] / rounds,
            "tcp: headers emitted": ns[6] / rounds,
            "driver (memory): one frame out and back": ns[7] / rounds,
        }

    @property
    def frames_lost(self):
        """Frames in no pool, ring or hand: 0."""
        return (
            <int64_t>self._driver.frames_total - self._driver.frames_accounted(self._driver.state)
            - self._worker.ports[0].stash_count - self._worker.ports[0].tx_count
        )
