"""A door for tests only: drivers as Python objects, and a mock kernel for the rings of AF_XDP.

Frames that a driver handed out are known by their index until they are recycled or submitted.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from cython_ext.base.frame cimport Frame
from cython_ext.driver.af_xdp cimport *
from cython_ext.driver.contract cimport BURST_FRAMES, Driver
from cython_ext.driver.faults cimport (
    FaultRates,
    FaultyDriver,
    faulty_close,
    faulty_driver,
    faulty_open,
)
from cython_ext.driver.memory cimport (
    MemoryDriver,
    memory_close,
    memory_collect,
    memory_complete,
    memory_driver,
    memory_inject,
    memory_open,
)
from cython_ext.driver.ring cimport Ring, atomic_load_u32, atomic_store_u32
from cython_ext.driver.umem cimport OWNERSHIP_CHECKED, Umem, umem_close, umem_open
from cython_ext.driver.xdp_abi cimport XskDesc, XskStatistics

import os

CHECKED = bool(OWNERSHIP_CHECKED)
"""Whether this build aborts on a wrong change of a frame's owner."""

STAGES = ("none", "memory", "socket", "umem", "rings", "bind", "options")


cdef class Probe:
    """What every driver offers, one Python call per burst."""

    cdef Driver driver
    cdef Umem *umem
    cdef dict held          # index -> (offset of the data in the driver's memory, octets)

    def _hold(self, uint32_t index, uint64_t offset, uint32_t octets):
        if index in self.held:
            raise AssertionError(f"frame {index} was handed out twice")
        self.held[index] = (offset, octets)

    def rx_burst(self, uint32_t most=BURST_FRAMES):
        """Received frames as (index, octets); they stay held."""
        cdef Frame frames[BURST_FRAMES]
        cdef uint32_t count
        cdef uint32_t i
        with nogil:
            count = self.driver.rx_burst(self.driver.state, frames, most)
        result = []
        for i in range(count):
            self._hold(frames[i].index, frames[i].data - self.umem.memory, frames[i].bytes)
            result.append((frames[i].index, PyBytes_FromStringAndSize(<char *>frames[i].data, frames[i].bytes)))
        return result

    def alloc(self, uint32_t most):
        """Indices of frames drawn from the TX pool; they stay held, with no octets."""
        cdef Frame frames[BURST_FRAMES]
        cdef uint32_t i
        cdef uint32_t count = self.driver.alloc(self.driver.state, frames, min(most, <uint32_t>BURST_FRAMES))
        for i in range(count):
            assert frames[i].bytes == 0
            self._hold(frames[i].index, frames[i].data - self.umem.memory, 0)
        return [frames[i].index for i in range(count)]

    def write(self, uint32_t index, bytes payload):
        """Writes the octets of a held frame."""
        offset = self.held[index][0]
        assert len(payload) <= self.driver.frame_capacity
        memcpy(self.umem.memory + <uint64_t>offset, <const uint8_t *>payload, len(payload))
        self.held[index] = (offset, len(payload))

    def submit(self, indices):
        """tx_burst of held frames; returns how many were accepted."""
        cdef Frame frames[BURST_FRAMES]
        cdef uint32_t count = 0
        cdef uint32_t accepted
        for index in indices:
            offset, octets = self.held[index]
            frames[count].index = index
            frames[count].data = self.umem.memory + <uint64_t>offset
            frames[count].bytes = octets
            count += 1
        accepted = self.driver.tx_burst(self.driver.state, frames, count)
        for index in indices[:accepted]:
            del self.held[index]
        return accepted

    def send(self, payloads):
        """alloc, write, submit, wakeup; returns how many were accepted, the others are recycled."""
        indices = self.alloc(len(payloads))
        for index, payload in zip(indices, payloads):
            self.write(index, payload)
        accepted = self.submit(indices)
        self.recycle(indices[accepted:])
        self.wakeup()
        return accepted

    def recycle(self, indices):
        cdef Frame frame
        for index in indices:
            offset, octets = self.held.pop(index)
            frame.index = index
            frame.data = self.umem.memory + <uint64_t>offset
            frame.bytes = octets
            self.driver.recycle(self.driver.state, &frame, 1)

    def wakeup(self):
        cdef int32_t result
        with nogil:
            result = self.driver.wakeup(self.driver.state)
        return result

    def held_indices(self):
        return sorted(self.held)

    def lost(self):
        """Frames in no pool, ring or hand."""
        accounted = self.driver.frames_accounted(self.driver.state)
        return self.driver.frames_total - accounted - len(self.held)

    @property
    def pools(self):
        """Free frames of the RX pool and of the TX pool."""
        return self.umem.rx_free, self.umem.tx_free

    @property
    def refused(self):
        return self.umem.refused

    @property
    def capacity(self):
        return self.driver.frame_capacity

    @property
    def stats(self):
        return self.driver.stats[0]


cdef class MemoryProbe(Probe):
    """The memory driver, behind the fault wrapper where rates are given (ppm dictionaries)."""

    cdef MemoryDriver memory
    cdef Driver inner
    cdef FaultyDriver faulty
    cdef bint has_faults

    def __init__(self, rx_frames, tx_frames, frame_bytes=2048, *, rx_faults=None, tx_faults=None, seed=1):
        cdef FaultRates rx
        cdef FaultRates tx
        cdef int32_t result = memory_open(&self.memory, rx_frames, tx_frames, frame_bytes)
        if result != 0:
            raise OSError(-result, os.strerror(-result))
        self.held = {}
        self.umem = &self.memory.umem
        memory_driver(&self.memory, &self.inner)
        self.driver = self.inner
        self.has_faults = rx_faults is not None or tx_faults is not None
        if self.has_faults:
            _rates(&rx, rx_faults or {})
            _rates(&tx, tx_faults or {})
            if not faulty_open(&self.faulty, &self.inner, &rx, &tx, seed):
                raise MemoryError
            faulty_driver(&self.faulty, &self.driver)

    def __dealloc__(self):
        if self.has_faults:
            faulty_close(&self.faulty)
        memory_close(&self.memory)

    def end_faults(self):
        """Gives back what the wrapper holds and works without it from here on."""
        faulty_close(&self.faulty)
        self.has_faults = False
        self.driver = self.inner

    def inject(self, bytes payload):
        cdef const uint8_t *data = payload
        return memory_inject(&self.memory, data, len(payload))

    def collect(self, uint32_t most=BURST_FRAMES):
        """Sent frames as (index, octets), not yet completed."""
        cdef Frame frames[BURST_FRAMES]
        cdef uint32_t i
        cdef uint32_t count = memory_collect(&self.memory, frames, min(most, <uint32_t>BURST_FRAMES))
        return [
            (frames[i].index, PyBytes_FromStringAndSize(<char *>frames[i].data, frames[i].bytes))
            for i in range(count)
        ]

    def complete(self, uint32_t index):
        cdef Frame frame
        memset(&frame, 0, sizeof(frame))
        frame.index = index
        memory_complete(&self.memory, &frame, 1)

    @property
    def inject_refused(self):
        return self.memory.inject_refused

    @property
    def fault_counts(self):
        return self.faulty.rx_counts, self.faulty.tx_counts


cdef void _rates(FaultRates *rates, dict given):
    rates.drop_ppm = given.get("drop", 0)
    rates.duplicate_ppm = given.get("duplicate", 0)
    rates.reorder_ppm = given.get("reorder", 0)
    rates.corrupt_ppm = given.get("corrupt", 0)


cdef class XdpProbe(Probe):
    """A real AF_XDP socket."""

    cdef AfXdp socket

    def __cinit__(self):
        self.socket.fd = -1

    def __init__(self, ifindex, queue=0, *, rx_frames=64, tx_frames=64, frame_bytes=2048, mode=0, busy_poll_us=0):
        cdef AfXdpConfig config
        cdef int32_t result
        config.ifindex = ifindex
        config.queue = queue
        config.rx_frames = rx_frames
        config.tx_frames = tx_frames
        config.frame_bytes = frame_bytes
        config.mode = mode
        config.busy_poll_us = busy_poll_us
        with nogil:
            result = af_xdp_open(&self.socket, &config)
        if result != 0:
            raise OSError(-result, os.strerror(-result), STAGES[self.socket.failed_stage])
        self.held = {}
        self.umem = &self.socket.umem
        af_xdp_driver(&self.socket, &self.driver)

    def __dealloc__(self):
        af_xdp_close(&self.socket)

    def close(self):
        with nogil:
            af_xdp_close(&self.socket)

    @property
    def fd(self):
        return self.socket.fd

    @property
    def zero_copy(self):
        return bool(self.socket.zero_copy)

    @property
    def busy_poll(self):
        return bool(self.socket.busy_poll)

    @property
    def tx_budget(self):
        return self.socket.tx_budget

    @property
    def outstanding(self):
        return self.socket.outstanding

    def statistics(self):
        cdef XskStatistics statistics
        cdef int32_t result = af_xdp_statistics(&self.socket, &statistics)
        if result != 0:
            raise OSError(-result, os.strerror(-result))
        return statistics


cdef class RingsProbe(Probe):
    """The AF_XDP driver over rings in plain memory; the test plays the kernel.

    `fd` receives the driver's wakeups: one end of a datagram socket pair.
    """

    cdef AfXdp socket
    cdef uint32_t words[16]         # producer, consumer, flags of rx, fill, tx, completion
    cdef uint32_t kernel_rx         # the kernel's own indices
    cdef uint32_t kernel_fill
    cdef uint32_t kernel_tx
    cdef uint32_t kernel_completion

    def __cinit__(self):
        self.socket.fd = -1

    def __init__(self, int fd, *, rx_frames, tx_frames, rx_entries, tx_entries, start=0, zero_copy=False):
        cdef int32_t result
        memset(&self.socket, 0, sizeof(AfXdp))
        self.socket.fd = -1
        result = umem_open(&self.socket.umem, rx_frames, tx_frames, 2048)
        if result != 0:
            raise OSError(-result, os.strerror(-result))
        self._ring(&self.socket.rx, 0, rx_entries, sizeof(XskDesc), start)
        self._ring(&self.socket.fill, 1, rx_entries, sizeof(uint64_t), start)
        self._ring(&self.socket.tx, 2, tx_entries, sizeof(XskDesc), start)
        self._ring(&self.socket.completion, 3, tx_entries, sizeof(uint64_t), start)
        self.kernel_rx = self.kernel_fill = self.kernel_tx = self.kernel_completion = start
        self.socket.fd = os.dup(fd)
        self.socket.zero_copy = zero_copy
        self.held = {}
        self.umem = &self.socket.umem
        af_xdp_driver(&self.socket, &self.driver)

    cdef void _ring(self, Ring *ring, int number, uint32_t entries, uint32_t entry_bytes, uint32_t start):
        ring.slots = calloc(entries, entry_bytes)
        ring.entries = entries
        ring.mask = entries - 1
        ring.producer = &self.words[number * 4]
        ring.consumer = &self.words[number * 4 + 1]
        ring.flags = &self.words[number * 4 + 2]
        ring.producer[0] = ring.consumer[0] = ring.own = ring.seen = start

    def __dealloc__(self):
        if self.socket.fd >= 0:
            os.close(self.socket.fd)
        umem_close(&self.socket.umem)
        free(self.socket.rx.slots)
        free(self.socket.fill.slots)
        free(self.socket.tx.slots)
        free(self.socket.completion.slots)

    @property
    def prefer_busy_poll(self):
        return bool(self.socket.prefer_busy_poll)

    @prefer_busy_poll.setter
    def prefer_busy_poll(self, bint wanted):
        self.socket.prefer_busy_poll = wanted

    def break_socket(self):
        """From here on every system call answers EBADF."""
        os.close(self.socket.fd)
        self.socket.fd = -1

    # -- the kernel's side

    def kernel_flags(self, *, bint fill, bint tx):
        """Sets or clears NEED_WAKEUP in the two rings."""
        atomic_store_u32(self.socket.fill.flags, fill)
        atomic_store_u32(self.socket.tx.flags, tx)

    def kernel_take_buffer(self):
        """One address from the fill ring, or None."""
        cdef uint64_t address
        if atomic_load_u32(self.socket.fill.producer) == self.kernel_fill:
            return None
        address = (<uint64_t *>self.socket.fill.slots)[self.kernel_fill & self.socket.fill.mask]
        self.kernel_fill += 1
        atomic_store_u32(self.socket.fill.consumer, self.kernel_fill)
        return address

    def kernel_deliver(self, uint64_t address, uint32_t octets):
        """One RX descriptor; False when the RX ring is full."""
        cdef Ring *ring = &self.socket.rx
        cdef XskDesc *slot
        if self.kernel_rx - atomic_load_u32(ring.consumer) == ring.entries:
            return False
        slot = &(<XskDesc *>ring.slots)[self.kernel_rx & ring.mask]
        slot.addr = address
        slot.len = octets
        slot.options = 0
        self.kernel_rx += 1
        atomic_store_u32(ring.producer, self.kernel_rx)
        return True

    def kernel_write(self, uint64_t address, bytes payload):
        """What the device puts into a frame."""
        assert address + len(payload) <= <uint64_t>self.umem.frames_total << self.umem.frame_shift
        memcpy(self.umem.memory + address, <const uint8_t *>payload, len(payload))

    def kernel_take_tx(self):
        """One TX descriptor as (address, octets, options), or None."""
        cdef Ring *ring = &self.socket.tx
        cdef XskDesc *slot
        if atomic_load_u32(ring.producer) == self.kernel_tx:
            return None
        slot = &(<XskDesc *>ring.slots)[self.kernel_tx & ring.mask]
        address, options = slot.addr, slot.options
        octets = PyBytes_FromStringAndSize(<char *>self.umem.memory + slot.addr, slot.len)
        self.kernel_tx += 1
        atomic_store_u32(ring.consumer, self.kernel_tx)
        return address, octets, options

    def kernel_complete(self, uint64_t address):
        """One completion. The kernel reserves its slot before it sends, so it is always there."""
        cdef Ring *ring = &self.socket.completion
        if self.kernel_completion - atomic_load_u32(ring.consumer) == ring.entries:
            raise AssertionError("the completion ring overflows")
        (<uint64_t *>ring.slots)[self.kernel_completion & ring.mask] = address
        self.kernel_completion += 1
        atomic_store_u32(ring.producer, self.kernel_completion)

    @property
    def lent(self):
        return self.socket.lent

    @property
    def outstanding(self):
        return self.socket.outstanding
