"""A door for measurements only: whole requests, and each layer alone, on the memory driver."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC

from cython_ext.base.counters cimport Counters
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.bench.client cimport Client, Crowd, crowd_close, crowd_get, crowd_open, crowd_run
from cython_ext.content.store cimport Store, store_copy_body, store_find, store_open
from cython_ext.driver.contract cimport BURST_FRAMES, Driver
from cython_ext.driver.memory cimport MemoryDriver, memory_close, memory_driver, memory_open
from cython_ext.http.request cimport Request, request_parse
from cython_ext.net.input cimport Segment, net_input
from cython_ext.tcp.table cimport table_find, table_hash
from cython_ext.wire.checksum cimport sum_octets
from cython_ext.worker.loop cimport clock_ns
from cython_ext.worker.queue cimport Slot, slot_bytes
from cython_ext.worker.state cimport Worker, WorkerConfig, worker_init, worker_release


cdef class Bench:
    """An engine on a memory driver and a crowd of clients in front of it."""

    cdef Worker *_worker
    cdef MemoryDriver _memory
    cdef Driver _driver
    cdef Crowd _crowd
    cdef const uint8_t[::1] _image
    cdef bytes _request

    def __init__(self, const uint8_t[::1] image not None, uint32_t connections):
        cdef WorkerConfig config
        memset(&config, 0, sizeof(config))
        config.connections = connections + 64
        config.request_buffers = 4096
        config.mtu = 1500
        config.idle_ticks = 1 << 20
        config.header_ticks = 1 << 20
        config.time_wait_ticks = 1
        config.table_key.k0 = 1
        config.isn_key.k0 = 2
        self._image = image
        self._worker = <Worker *>calloc(1, sizeof(Worker))
        self._crowd.clients = <Client *>calloc(connections, sizeof(Client))
        if self._worker == NULL or self._crowd.clients == NULL:
            raise MemoryError("no memory for the benchmark")
        if worker_init(self._worker, &config, &image[0], clock_ns(CLOCK_MONOTONIC)) != 0:
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
        memcpy(&self._crowd.server_address, b"\x0a\0\0\1", 4)

    def __dealloc__(self):
        if self._worker != NULL:
            worker_release(self._worker)
        free(self._worker)
        free(self._crowd.clients)
        memory_close(&self._memory)

    def _select(self, bytes path):
        """Fixes the request and finds out how long its response is."""
        cdef uint32_t number = store_find(&self._worker.service.store, path, <uint32_t>len(path))
        cdef Slot slot
        if number == NIL:
            raise ValueError(f"the site has no {path!r}")
        slot.response = number
        slot.flags = 0
        self._request = b"GET " + path + b" HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
        self._crowd.request = self._request
        self._crowd.request_bytes = <uint32_t>len(self._request)
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
        cdef uint64_t before, done = 0
        cdef uint32_t first = 0
        cdef uint32_t many
        cdef bint complete = True
        self._select(path)
        before = self._crowd.turns_ns
        with nogil:
            while done < requests and complete:
                many = min(<uint32_t>BURST_FRAMES, self._crowd.count - first)
                complete = crowd_get(&self._crowd, first, many)
                first = first + many if first + many < self._crowd.count else 0
                done += many
        self._require(complete, "a response did not arrive")
        return (self._crowd.turns_ns - before) / done

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

    def _require(self, bint condition, message):
        if not condition or self._crowd.refused:
            raise RuntimeError(f"{message} (frames refused: {self._crowd.refused})")


def layers(const uint8_t[::1] image not None, bytes path, uint64_t rounds):
    """Nanoseconds per call of each layer alone, on hot caches; a dictionary."""
    cdef Store store
    cdef Request request
    cdef uint8_t out[2048]
    cdef uint64_t i, before, sink = 0
    cdef uint32_t number
    cdef bytes text = b"GET " + path + b" HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: wrk\r\n\r\n"
    cdef const uint8_t *octets = text
    cdef const uint8_t *name = path
    cdef uint32_t length = <uint32_t>len(text)
    cdef uint32_t name_bytes = <uint32_t>len(path)
    cdef dict result = {}
    store_open(&store, &image[0])
    number = store_find(&store, name, name_bytes)
    if number == NIL or store.responses[number].body_bytes < 1460:
        raise ValueError("the path must name a body of at least 1460 octets")
    with nogil:
        before = clock_ns(CLOCK_MONOTONIC)
        for i in range(rounds):
            request_parse(octets, length, &request)
            sink += request.target_bytes
        before = clock_ns(CLOCK_MONOTONIC) - before
    result["http request"] = before / rounds
    with nogil:
        before = clock_ns(CLOCK_MONOTONIC)
        for i in range(rounds):
            sink += store_find(&store, name, name_bytes)
        before = clock_ns(CLOCK_MONOTONIC) - before
    result["content find"] = before / rounds
    with nogil:
        before = clock_ns(CLOCK_MONOTONIC)
        for i in range(rounds):
            sink += store_copy_body(&store, &store.responses[number], i & 7, 1448, out)
        before = clock_ns(CLOCK_MONOTONIC) - before
    result["content copy 1448 octets with sum"] = before / rounds
    with nogil:
        before = clock_ns(CLOCK_MONOTONIC)
        for i in range(rounds):
            sink += sum_octets(out + (i & 1), 1448)
        before = clock_ns(CLOCK_MONOTONIC) - before
    result["wire checksum of 1448 octets"] = before / rounds
    result["sink"] = sink & 1
    return result
