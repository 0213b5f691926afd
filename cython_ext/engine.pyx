"""The one door from Python to the data plane: converts, validates, raises; no protocol here."""

import os

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport close

from cython_ext.base.counters cimport COUNTER_COUNT, counter_help, counter_names
from cython_ext.base.frame cimport Frame
from cython_ext.content cimport precompute
from cython_ext.content.store cimport IMAGE_VERSION, image_header, store_open
from cython_ext.base.pool cimport NIL
from cython_ext.http.date cimport date_make
from cython_ext.driver.af_xdp cimport af_xdp_driver
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.memory cimport (
    MemoryDriver, memory_close, memory_collect, memory_complete, memory_driver, memory_inject, memory_open,
)
from cython_ext.net.address cimport LOCAL_ADDRESSES_MOST
from cython_ext.wire cimport checksum
from cython_ext.worker.clock cimport worker_run
from cython_ext.worker.generation cimport generation_is_free
from cython_ext.worker.loop cimport worker_turn
from cython_ext.worker.service cimport GENERATIONS_MOST
from cython_ext.worker.state cimport (
    PORTS_MOST, Port, Worker, WorkerConfig, atomic_load_u32, atomic_store_u32, worker_init, worker_publish,
    worker_release,
)

COUNTERS = tuple((counter_names[i].decode(), counter_help[i].decode()) for i in range(COUNTER_COUNT))


include "engine_sums.pxi"
include "engine_socket.pxi"
include "engine_images.pxi"
include "engine_log.pxi"
include "engine_windows.pxi"
include "engine_scan.pxi"


cdef class Engine:
    """The data plane of one worker (see _engine.pyi)."""

    cdef Worker *_worker
    cdef Driver *_drivers
    cdef MemoryDriver *_memories
    cdef uint8_t _is_memory[64]
    cdef _Images _images
    cdef _Windows _windows
    cdef list _sockets
    cdef int _wake_fd
    cdef bint _running

    def __cinit__(self):
        self._sockets = []
        self._wake_fd = -1

    def __init__(
        self, *, const uint8_t[::1] image not None, addresses, uint16_t port, bytes secret not None,
        own_addresses=(), uint32_t mtu=1500, uint32_t connections=65536, uint32_t request_buffers=4096,
        uint32_t flight_blocks=4096, uint32_t reassembly_blocks=256, congestion="cubic",
        uint32_t connections_per_source=0,
        uint64_t idle_timeout_ns=60_000_000_000, uint64_t header_timeout_ns=10_000_000_000,
        uint64_t time_wait_ns=60_000_000_000, uint64_t now_ns=0, int64_t wall_offset_ns=0,
        bint accept_partial_checksums=False, uint64_t log_bytes=0, bint log_lossless=False,
        bint log_fields=True, uint32_t windows=0,
    ):
        cdef WorkerConfig config
        if self._worker != NULL:
            raise RuntimeError("the engine is set up already")
        _check_image(image)
        if len(secret) != 32:
            raise ValueError(f"secret: 32 octets are needed, not {len(secret)}")
        if not 1 <= connections <= 1 << 28 or not 1 <= request_buffers <= 1 << 20:
            raise ValueError("connections: 1 to 2^28; request_buffers: 1 to 2^20")
        if not 1 <= flight_blocks <= 1 << 20:
            raise ValueError("flight_blocks: 1 to 2^20")
        if not 1 <= reassembly_blocks <= 65535:
            raise ValueError("reassembly_blocks: 1 to 65535")
        if congestion not in ("cubic", "newreno"):
            raise ValueError(f"congestion: cubic or newreno, not {congestion!r}")
        if not 576 <= mtu <= 9216:
            raise ValueError(f"mtu: 576 to 9216 octets, not {mtu}")
        if log_bytes and (log_bytes < RING_BYTES_LEAST or log_bytes & (log_bytes - 1) or log_bytes > 1 << 32):
            raise ValueError(f"log_bytes: a power of two from {<int>RING_BYTES_LEAST} to 2^32, or 0")
        memset(&config, 0, sizeof(config))
        if windows and not WINDOWS_LEAST <= windows <= 1 << 20:
            raise ValueError(f"windows: {<int>WINDOWS_LEAST} to 2^20, or 0")
        config.windows = windows
        config.log_bytes = log_bytes
        config.log_lossless = log_lossless
        config.log_wants = LOG_WANTS_FIELDS if log_fields else 0
        config.connections = connections
        config.request_buffers = request_buffers
        config.flights = flight_blocks
        config.reassemblies = reassembly_blocks
        config.newreno = congestion == "newreno"
        config.per_source = connections_per_source
        config.mtu = mtu
        config.idle_ticks = _ticks(idle_timeout_ns)
        config.header_ticks = _ticks(header_timeout_ns)
        config.time_wait_ticks = _ticks(time_wait_ns)
        config.wall_offset_ns = wall_offset_ns
        memcpy(&config.table_key, <const char *>secret, 16)
        memcpy(&config.isn_key, <const char *>secret + 16, 16)
        self._images = _Images(image)
        self._worker = <Worker *>calloc(1, sizeof(Worker))
        self._drivers = <Driver *>calloc(PORTS_MOST, sizeof(Driver))
        self._memories = <MemoryDriver *>calloc(PORTS_MOST, sizeof(MemoryDriver))
        if self._worker == NULL or self._drivers == NULL or self._memories == NULL:
            raise MemoryError("no memory for the engine")
        if worker_init(self._worker, &config, &image[0], now_ns) != 0:
            raise MemoryError(f"no memory for {connections} connections")
        self._images._worker = self._worker
        self._windows = _Windows()
        self._windows._worker = self._worker
        self._wake_fd = self._worker.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._accept_partial = accept_partial_checksums
        self._set_addresses(addresses, set(own_addresses), port)

    cdef bint _accept_partial

    def __dealloc__(self):
        cdef int i
        if self._wake_fd >= 0:
            close(self._wake_fd)
        if self._memories != NULL:
            for i in range(PORTS_MOST):
                if self._is_memory[i]:
                    memory_close(&self._memories[i])
        if self._worker != NULL:
            worker_release(self._worker)
        free(self._worker)
        free(self._drivers)
        free(self._memories)

    def _set_addresses(self, addresses, own, uint16_t port):
        cdef int i
        cdef bytes octets
        if not 1 <= len(addresses) <= LOCAL_ADDRESSES_MOST:
            raise ValueError(f"addresses: 1 to {LOCAL_ADDRESSES_MOST}, not {len(addresses)}")
        if port == 0:
            raise ValueError("port: 1 to 65535")
        if not own <= set(addresses):
            raise ValueError("own_addresses: some are not among the addresses")
        for i, octets in enumerate(addresses):
            if len(octets) not in (4, 16):
                raise ValueError(f"an address has 4 or 16 octets, not {len(octets)}")
            self._worker.local.address[i].version = 4 if len(octets) == 4 else 6
            self._worker.local.address[i].own = octets in own
            memcpy(self._worker.local.address[i].octets, <const char *>octets, len(octets))
        self._worker.local.count = len(addresses)
        self._worker.local.port = port

    cdef int _add_port(self, bytes mac) except -1:
        """Makes room for a driver and returns its number."""
        cdef uint32_t number = self._worker.port_count
        if self._running:
            raise RuntimeError("drivers are added before run()")
        if number == PORTS_MOST:
            raise ValueError(f"one engine polls at most {PORTS_MOST} queues")
        if len(mac) != 6:
            raise ValueError(f"a MAC address has 6 octets, not {len(mac)}")
        memcpy(self._worker.ports[number].mac, <const char *>mac, 6)
        self._worker.ports[number].driver = &self._drivers[number]
        self._worker.ports[number].accept_partial = self._accept_partial
        return number

    def add_socket(self, XdpSocket socket not None, *, bytes mac not None):
        cdef int number = self._add_port(mac)
        if socket._socket.fd < 0:
            raise ValueError("the socket is closed")
        af_xdp_driver(&socket._socket, &self._drivers[number])
        self._check_capacity(number)
        self._sockets.append(socket)
        self._worker.port_count += 1
        return number

    def add_memory(
        self, *, uint32_t rx_frames, uint32_t tx_frames, uint32_t frame_bytes=2048,
        bytes mac=b"\x02\x00\x00\x00\x00\x01",
    ):
        cdef int number = self._add_port(mac)
        cdef int32_t result = memory_open(&self._memories[number], rx_frames, tx_frames, frame_bytes)
        if result != 0:
            raise OSError(-result, os.strerror(-result), "memory")
        self._is_memory[number] = 1
        memory_driver(&self._memories[number], &self._drivers[number])
        self._check_capacity(number)
        self._worker.port_count += 1
        return number

    cdef int _check_capacity(self, int number) except -1:
        """Every frame we make, 18 octets of Ethernet and tag before the IP packet, must fit."""
        if self._drivers[number].frame_capacity < self._worker.config.mtu + 18:
            raise ValueError(
                f"frames hold {self._drivers[number].frame_capacity} octets; "
                f"MTU {self._worker.config.mtu} needs {self._worker.config.mtu + 18}"
            )
        return 0

    cdef MemoryDriver *_memory(self, int number) except NULL:
        if not 0 <= number < <int>self._worker.port_count or not self._is_memory[number]:
            raise ValueError(f"driver {number} is no memory driver")
        return &self._memories[number]

    def inject(self, int driver, const uint8_t[::1] frame not None):
        cdef MemoryDriver *memory = self._memory(driver)
        return bool(memory_inject(memory, &frame[0] if frame.shape[0] else NULL, <uint32_t>frame.shape[0]))

    def collect(self, int driver):
        cdef MemoryDriver *memory = self._memory(driver)
        cdef Frame frame
        cdef list out = []
        while memory_collect(memory, &frame, 1):
            out.append((<const char *>frame.data)[:frame.bytes])
            memory_complete(memory, &frame, 1)
        return out

    def turn(self, uint64_t now_ns):
        cdef uint32_t received
        with nogil:
            received = worker_turn(self._worker, now_ns)
            worker_publish(self._worker, now_ns)
        return received

    def run(self, *, int64_t spin_ns, int sleep_ms, int cpu=-1):
        cdef int result
        if self._worker.port_count == 0:
            raise ValueError("no driver has been added")
        if self._running:
            raise RuntimeError("the engine runs already")
        if cpu >= 0:
            os.sched_setaffinity(0, {cpu})
        self._running = True
        try:
            with nogil:
                result = worker_run(self._worker, spin_ns, max(sleep_ms, 1))
        finally:
            self._running = False
        return result

    def stop(self):
        atomic_store_u32(&self._worker.stop, 1)
        os.eventfd_write(self._wake_fd, 1)

    def drain(self):
        atomic_store_u32(&self._worker.drain, 1)
        os.eventfd_write(self._wake_fd, 1)

    def offer_image(self, image):
        if not self._images.offer(image):
            return False
        os.eventfd_write(self._wake_fd, 1)
        return True

    @property
    def image_taken(self):
        return self._images.offered == self._images.serving

    def images_held(self):
        return self._images.release()

    @property
    def image_serial(self):
        return self._images.serial

    def image_serials(self):
        return self._images.serials()

    def wake_readers(self, int fd):
        self._worker.service.windows.reader_fd = fd

    def next_window(self):
        return self._windows.next_wanted()

    def window_memory(self, uint32_t window):
        return self._windows.memory(window)

    def sum_window(self, uint32_t window, uint32_t octets):
        self._windows.fill_sums(window, octets)

    def finish_window(self, uint32_t window, bint sound):
        self._windows.finish(window, sound)
        os.eventfd_write(self._wake_fd, 1)

    def format_log(self, LogFormat form not None, uint8_t[::1] out not None):
        cdef uint64_t lines = 0
        cdef uint64_t octets = 0
        if self._worker.service.log.memory == NULL:
            raise ValueError("the engine keeps no access log")
        if <uint64_t>out.shape[0] < line_bytes_most(&form._format):
            raise ValueError(f"a line may take {line_bytes_most(&form._format)} octets")
        with nogil:
            octets = format_records(
                &self._worker.service.log, &form._format, &out[0], <uint64_t>out.shape[0], &lines
            )
        return octets, lines

    def counters(self):
        return {name: self._worker.published.value[i] for i, (name, _) in enumerate(COUNTERS)}

    @property
    def open_connections(self):
        return atomic_load_u32(&self._worker.open_connections)

    def frames_lost(self):
        cdef uint32_t i
        cdef int64_t lost = 0
        cdef Port *port
        for i in range(self._worker.port_count):
            port = &self._worker.ports[i]
            lost += port.driver.frames_total
            lost -= port.driver.frames_accounted(port.driver.state)
            lost -= port.stash_count + port.tx_count
        return lost


cdef uint32_t _ticks(uint64_t duration_ns) except? 0:
    """At least 1, at most a month: ticks compare modulo 2^32."""
    return <uint32_t>min(max(duration_ns >> 20, <uint64_t>1), <uint64_t>(1 << 31) - 1)


def _check_image(const uint8_t[::1] image not None):
    """What the engine itself needs to be sure of; bypass.site.image has validated the rest."""
    cdef const image_header *header
    if image.shape[0] < <Py_ssize_t>sizeof(image_header) or <uint64_t>&image[0] % 64:
        raise ValueError("image: too short, or not aligned to 64 octets")
    header = <const image_header *>&image[0]
    if header.version != IMAGE_VERSION or header.image_bytes != <uint64_t>image.shape[0]:
        raise ValueError("image: of another version, or truncated")
