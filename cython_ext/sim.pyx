"""A door for tests: the client engine alone on a memory driver, and both engines in a simulated network."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.base.counters cimport COUNTER_COUNT, Counters, counter_names
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.client.dial cimport client_dial, client_turn
from cython_ext.client.state cimport (
    FETCH_BAD, FETCH_CUT, FETCH_DONE, FETCH_UNDER_WAY, REQUEST_BYTES_MOST, Client, ClientConfig, Fetch, client_init,
    client_release,
)
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.memory cimport (
    MemoryDriver, memory_close, memory_collect, memory_complete, memory_driver, memory_inject, memory_open,
)
from cython_ext.net.address cimport address_from_v4
from cython_ext.sim.lab cimport LAB_DONE, LAB_FULL, LAB_LATE, LAB_NO_RECORD, Lab, LabResult, lab_run
from cython_ext.sim.link cimport LinkConfig, link_init, link_release
from cython_ext.tcp.conn cimport CONN_ECN, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE
from cython_ext.worker.state cimport Worker, WorkerConfig, worker_init, worker_release

cdef enum:
    FRAME_BYTES = 2048

STATES = (
    "CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "CLOSE-WAIT",
    "LAST-ACK", "TIME-WAIT",
)
FETCHES = {FETCH_UNDER_WAY: "under way", FETCH_DONE: "done", FETCH_BAD: "bad", FETCH_CUT: "cut"}
LAB_ERRORS = {
    LAB_LATE: "the time limit came before the end", LAB_FULL: "too many frames under way",
    LAB_NO_RECORD: "a connection could not be opened",
}


cdef uint32_t _ticks(uint64_t duration_ns) except? 0:
    if duration_ns >> 20 > 1 << 30:
        raise ValueError(f"{duration_ns} ns: too long")
    return <uint32_t>((duration_ns >> 20) + 1)


cdef dict _counted(const Counters *counters):
    return {counter_names[i].decode(): counters.value[i] for i in range(COUNTER_COUNT)}


cdef class ClientEngine:
    """A client on a memory driver (see _sim.pyi)."""

    cdef Client _client
    cdef MemoryDriver _memory
    cdef Driver _driver
    cdef bint _ready

    def __init__(
        self, *, bytes address not None, bytes target not None, uint16_t target_port, bytes mac not None,
        bytes target_mac not None, bytes request not None, bytes secret not None, uint64_t now_ns,
        uint32_t connections=64, uint32_t window=65536, uint32_t mtu=1500, bint ecn=False,
        uint64_t idle_timeout_ns=60_000_000_000, uint64_t time_wait_ns=60_000_000_000, uint32_t frames=1024,
    ):
        cdef ClientConfig config
        if self._ready:
            raise RuntimeError("the client is set up already")
        if len(secret) != 16 or len(mac) != 6 or len(target_mac) != 6:
            raise ValueError("secret: 16 octets; MAC addresses: 6")
        if not 1 <= len(request) <= REQUEST_BYTES_MOST or len(address) != len(target) or len(target) not in (4, 16):
            raise ValueError("request: 1 to 1024 octets; addresses: of one family")
        if window & (window - 1) or not 2048 <= window <= 1 << 30 or not 1 <= connections <= 60000:
            raise ValueError("window: a power of two from 2048; connections: 1 to 60000")
        memset(&config, 0, sizeof(config))
        config.connections = connections
        config.window_bytes = window
        config.mtu = mtu
        config.ecn = ecn
        config.idle_ticks = _ticks(idle_timeout_ns)
        config.time_wait_ticks = _ticks(time_wait_ns)
        memcpy(&config.key, <const char *>secret, 16)
        if client_init(&self._client, &config, now_ns) != 0 or memory_open(&self._memory, frames, frames, FRAME_BYTES):
            raise MemoryError("no memory for the client")
        self._ready = True
        memory_driver(&self._memory, &self._driver)
        self._client.driver = &self._driver
        memcpy(self._client.mac, <const char *>mac, 6)
        memcpy(self._client.peer_mac, <const char *>target_mac, 6)
        self._client.request_bytes = <uint32_t>len(request)
        memcpy(self._client.request, <const char *>request, len(request))
        self._client.local.count = 1
        self._client.local.address[0].version = 4 if len(address) == 4 else 6
        memcpy(self._client.local.address[0].octets, <const char *>address, len(address))
        self._client.peer_version = self._client.local.address[0].version
        self._client.peer_port = target_port
        if len(target) == 4:
            address_from_v4(self._client.peer_address, <const uint8_t *><const char *>target)
        else:
            memcpy(self._client.peer_address, <const char *>target, 16)

    def __dealloc__(self):
        client_release(&self._client)
        memory_close(&self._memory)

    def dial(self, uint64_t now_ns):
        """Opens a connection; its number."""
        cdef uint32_t number = client_dial(&self._client, now_ns)
        if number == NIL:
            raise ConnectionError("no connection: no record or port is free, or the target is no single host")
        return number

    def turn(self, uint64_t now_ns):
        """One turn; how many frames were received."""
        return client_turn(&self._client, now_ns)

    def inject(self, bytes frame not None):
        """A frame arrives; False when there is no room."""
        return bool(memory_inject(&self._memory, <const uint8_t *><const char *>frame, <uint32_t>len(frame)))

    def collect(self):
        """Frames that were sent since the last call."""
        cdef Frame frame
        found = []
        while memory_collect(&self._memory, &frame, 1):
            found.append(frame.data[: frame.bytes])
            memory_complete(&self._memory, &frame, 1)
        return found

    def fetch(self, uint32_t number):
        """What connection `number` fetched, or the last that had this number."""
        if number >= self._client.config.connections:
            raise IndexError(number)
        return _fetched(&self._client, number)

    def counters(self):
        return _counted(&self._client.counters)

    @property
    def open_connections(self):
        return self._client.in_use

    @property
    def frames_lost(self):
        """Frames in no pool, ring or hand: 0."""
        return (
            <int64_t>self._driver.frames_total - self._driver.frames_accounted(self._driver.state)
            - self._client.tx_count
        )


cdef dict _fetched(const Client *client, uint32_t number):
    cdef const Fetch *fetch = &client.fetches[number]
    cdef uint32_t flags = client.conns[number].flags
    return {
        "tcp": STATES[client.conns[number].state],
        "state": FETCHES.get(fetch.state, "none"),
        "port": fetch.port,
        "status": fetch.response.status,
        "body_bytes": fetch.response.body_bytes - fetch.response.left,
        "crc32": fetch.response.crc,
        "started_ns": fetch.started_ns,
        "first_ns": fetch.first_ns,
        "ended_ns": fetch.ended_ns,
        "timestamps": flags & CONN_TIMESTAMPS != 0,
        "window_scale": flags & CONN_WINDOW_SCALE != 0,
        "sack": flags & CONN_SACK != 0,
        "ecn": flags & CONN_ECN != 0,
    }


cdef class Simulation:
    """A server with a site, a client, a link each way (see _sim.pyi)."""

    cdef Lab _lab
    cdef Worker _worker
    cdef Driver _server_driver
    cdef ClientEngine _client
    cdef const uint8_t[::1] _image

    def __init__(
        self, *, const uint8_t[::1] image not None, ClientEngine client not None, uint64_t seed, uint64_t now_ns,
        bytes secret not None, to_client, to_server, congestion="cubic", uint32_t connections=256,
        uint32_t mtu=1500, uint32_t slots=4096, uint64_t idle_timeout_ns=60_000_000_000,
    ):
        cdef WorkerConfig config
        cdef LinkConfig way
        if self._lab.worker != NULL:
            raise RuntimeError("the simulation is set up already")
        if len(secret) != 32 or congestion not in ("cubic", "newreno"):
            raise ValueError("secret: 32 octets; congestion: cubic or newreno")
        memset(&config, 0, sizeof(config))
        config.connections = connections
        config.request_buffers = 2 * connections    # all of one source
        config.flights = 2 * connections
        config.reassemblies = 2 * connections
        config.newreno = congestion == "newreno"
        config.mtu = mtu
        config.idle_ticks = _ticks(idle_timeout_ns)
        config.header_ticks = _ticks(idle_timeout_ns)
        config.time_wait_ticks = 1
        memcpy(&config.table_key, <const char *>secret, 16)
        memcpy(&config.isn_key, <const char *>secret + 16, 16)
        self._image = image
        self._client = client
        self._lab.worker = &self._worker
        self._lab.client = &client._client
        self._lab.now_ns = now_ns
        if worker_init(&self._worker, &config, &image[0], now_ns) != 0:
            raise MemoryError("no memory for the server")
        if memory_open(&self._lab.server_memory, 4096, 4096, FRAME_BYTES) != 0:
            raise MemoryError("no memory for frames")
        memory_driver(&self._lab.server_memory, &self._server_driver)
        self._attach()
        _link_config(&way, to_client)
        if link_init(&self._lab.to_client, &way, slots, seed) != 0:
            raise MemoryError("no memory for the link")
        _link_config(&way, to_server)
        if link_init(&self._lab.to_server, &way, slots, seed + 1) != 0:
            raise MemoryError("no memory for the link")

    def __dealloc__(self):
        worker_release(&self._worker)
        memory_close(&self._lab.server_memory)
        link_release(&self._lab.to_client)
        link_release(&self._lab.to_server)

    cdef void _attach(self) noexcept:
        """The server has the client's target address."""
        cdef Client *client = self._lab.client
        self._worker.ports[0].driver = &self._server_driver
        memcpy(self._worker.ports[0].mac, client.peer_mac, 6)
        self._worker.port_count = 1
        self._worker.local.count = 1
        self._worker.local.port = client.peer_port
        self._worker.local.address[0].version = client.peer_version
        if client.peer_version == 4:
            memcpy(self._worker.local.address[0].octets, client.peer_address + 12, 4)
        else:
            memcpy(self._worker.local.address[0].octets, client.peer_address, 16)

    def run(self, uint32_t flows, uint64_t limit_ns, uint64_t spacing_ns=0):
        """Opens `flows` connections and runs until each has its body; RuntimeError when that cannot be. Returns
        virtual nanoseconds."""
        cdef LabResult result
        cdef uint64_t started = self._lab.now_ns
        self._lab.flows = flows
        self._lab.opened = 0
        self._lab.spacing_ns = spacing_ns
        self._lab.next_open_ns = started
        self._lab.client_memory = &self._client._memory
        with nogil:
            result = lab_run(&self._lab, started + limit_ns)
        if result != LAB_DONE:
            raise RuntimeError(f"{LAB_ERRORS[result]} (after {self._lab.now_ns - started} ns)")
        return self._lab.now_ns - started

    def fetches(self):
        """What each connection fetched."""
        return [_fetched(self._lab.client, i) for i in range(self._lab.opened)]

    def counters(self):
        """The server's."""
        return _counted(&self._worker.counters)

    def links(self):
        """Counts of both ways."""
        return {"to_client": self._lab.to_client.counts, "to_server": self._lab.to_server.counts}

    @property
    def turns(self):
        return self._lab.turns


cdef int _link_config(LinkConfig *way, settings) except -1:
    """From keywords; an unknown one is a KeyError."""
    known = {
        "rate_bps", "delay_ns", "queue_bytes", "mark_bytes", "late_ns", "loss_ppm", "bad_ppm", "good_ppm",
        "bad_loss_ppm", "reorder_ppm", "duplicate_ppm", "corrupt_ppm", "largest",
    }
    for name in settings:
        if name not in known:
            raise KeyError(name)
    way.rate_bps = settings.get("rate_bps", 0)
    way.delay_ns = settings.get("delay_ns", 0)
    way.queue_bytes = settings.get("queue_bytes", 0)
    way.mark_bytes = settings.get("mark_bytes", 0)
    way.late_ns = settings.get("late_ns", 0)
    way.loss_ppm = settings.get("loss_ppm", 0)
    way.bad_ppm = settings.get("bad_ppm", 0)
    way.good_ppm = settings.get("good_ppm", 0)
    way.bad_loss_ppm = settings.get("bad_loss_ppm", 0)
    way.reorder_ppm = settings.get("reorder_ppm", 0)
    way.duplicate_ppm = settings.get("duplicate_ppm", 0)
    way.corrupt_ppm = settings.get("corrupt_ppm", 0)
    way.largest = settings.get("largest", 0)
    return 0
