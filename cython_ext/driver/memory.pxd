"""The in-memory driver: the contract over plain memory, for tests, simulation and benchmarks.

Owns: a Umem, an RX queue that a test fills with memory_inject, a TX queue that it empties with
memory_collect and memory_complete. Does not know who plays the network.

As with a real device, frames given to tx_burst can be collected only after the next wakeup, and
belong to "the wire" until memory_complete, which may take them in any order.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport BURST_FRAMES, Driver, DriverStats
from cython_ext.driver.frame_queue cimport (
    FrameQueue,
    queue_close,
    queue_count,
    queue_open,
    queue_pop,
    queue_push,
)
from cython_ext.driver.umem cimport (
    OWNER_APP,
    OWNER_FILL,
    OWNER_TX,
    Umem,
    memory_allow,
    ownership_bounds,
    umem_alloc,
    umem_allow,
    umem_capacity,
    umem_close,
    umem_forbid,
    umem_holds,
    umem_move,
    umem_open,
    umem_put,
    umem_start,
    umem_take_rx,
)

cdef struct MemoryDriver:
    Umem umem
    FrameQueue rx           # injected, not yet received
    FrameQueue tx           # submitted, not yet collected
    uint32_t tx_visible     # of those, how many a wakeup has released
    uint32_t on_wire        # collected, not yet completed
    uint64_t inject_refused     # no free RX frame, or a frame too large or empty
    DriverStats stats


cdef inline void memory_close(MemoryDriver *memory) noexcept nogil:
    """Releases everything; harmless on a zeroed or half-opened driver."""
    queue_close(&memory.rx)
    queue_close(&memory.tx)
    umem_close(&memory.umem)


cdef inline int32_t memory_open(
    MemoryDriver *memory, uint32_t rx_frames, uint32_t tx_frames, uint32_t frame_bytes
) noexcept nogil:
    """Returns 0, or -errno with everything released (see umem_open)."""
    cdef int32_t result
    memset(memory, 0, sizeof(MemoryDriver))
    result = umem_open(&memory.umem, rx_frames, tx_frames, frame_bytes)
    if result == 0 and not queue_open(&memory.rx, rx_frames):
        result = -ENOMEM
    if result == 0 and not queue_open(&memory.tx, rx_frames + tx_frames):
        result = -ENOMEM
    if result != 0:
        memory_close(memory)
    return result


# ---- the network's side ----

cdef inline bint memory_inject(MemoryDriver *memory, const uint8_t *data, uint32_t octets) noexcept nogil:
    """One frame arrives: copied into a frame of the RX pool. False, and counted, when refused."""
    cdef Frame frame
    if octets == 0 or octets > umem_capacity(&memory.umem) or memory.umem.rx_free == 0:
        memory.inject_refused += 1
        return False
    frame.index = umem_take_rx(&memory.umem, OWNER_FILL)
    frame.data = umem_start(&memory.umem, frame.index)
    frame.bytes = octets
    memcpy(frame.data, data, octets)
    umem_allow(&memory.umem, &frame)            # in a debug build, a read behind the end is seen
    return queue_push(&memory.rx, &frame)       # the queue holds the whole RX pool: never full


cdef inline uint32_t memory_collect(MemoryDriver *memory, Frame *out, uint32_t most) noexcept nogil:
    """Takes up to `most` sent frames off the TX queue, to be read in place and then completed."""
    cdef uint32_t count = 0
    while count < most and memory.tx_visible != 0 and queue_pop(&memory.tx, &out[count]):
        memory.tx_visible -= 1
        memory_allow(out[count].data, out[count].bytes)
        count += 1
    memory.on_wire += count
    return count


cdef inline void memory_complete(MemoryDriver *memory, const Frame *frames, uint32_t count) noexcept nogil:
    """The device has finished with collected frames: each goes back to its home pool."""
    cdef uint32_t i
    for i in range(count):
        umem_put(&memory.umem, frames[i].index, OWNER_TX)
    memory.on_wire -= count
    memory.stats.tx_completed += count


# ---- the worker's side: the driver contract ----

cdef inline uint32_t memory_rx_burst(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    cdef uint32_t count = 0
    if most > BURST_FRAMES:
        most = BURST_FRAMES
    while count < most and queue_pop(&memory.rx, &frames[count]):
        umem_move(&memory.umem, frames[count].index, OWNER_FILL, OWNER_APP)
        count += 1
    memory.stats.rx_frames += count
    return count


cdef inline uint32_t memory_tx_burst(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    cdef uint32_t accepted = 0
    cdef uint64_t address
    while accepted < count and queue_push(&memory.tx, &frames[accepted]):
        address = <uint64_t>(frames[accepted].data - memory.umem.memory)
        ownership_bounds(
            frames[accepted].index,
            address >> memory.umem.frame_shift == frames[accepted].index
            and frames[accepted].bytes != 0
            and umem_holds(&memory.umem, address, frames[accepted].bytes),
        )
        umem_move(&memory.umem, frames[accepted].index, OWNER_APP, OWNER_TX)
        umem_forbid(&memory.umem, frames[accepted].index)
        accepted += 1
    memory.stats.tx_frames += accepted
    memory.stats.tx_ring_full += count - accepted
    return accepted


cdef inline uint32_t memory_alloc(void *state, Frame *frames, uint32_t most) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    cdef uint32_t count = umem_alloc(&memory.umem, frames, most)
    if count == 0 and most != 0:
        memory.stats.alloc_failed += 1
    return count


cdef inline void memory_recycle(void *state, const Frame *frames, uint32_t count) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    cdef uint32_t i
    for i in range(count):
        umem_put(&memory.umem, frames[i].index, OWNER_APP)


cdef inline int32_t memory_wakeup(void *state) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    memory.tx_visible = queue_count(&memory.tx)
    return 0


cdef inline uint32_t memory_frames_accounted(void *state) noexcept nogil:
    cdef MemoryDriver *memory = <MemoryDriver *>state
    return (
        memory.umem.rx_free
        + memory.umem.tx_free
        + queue_count(&memory.rx)
        + queue_count(&memory.tx)
        + memory.on_wire
    )


cdef inline void memory_driver(MemoryDriver *memory, Driver *out) noexcept nogil:
    """Fills the contract. `memory` must stay where it is as long as `out` is used."""
    memset(out, 0, sizeof(Driver))
    out.state = memory
    out.rx_burst = memory_rx_burst
    out.tx_burst = memory_tx_burst
    out.alloc = memory_alloc
    out.recycle = memory_recycle
    out.wakeup = memory_wakeup
    out.frames_accounted = memory_frames_accounted
    out.frames_total = memory.umem.frames_total
    out.frame_capacity = umem_capacity(&memory.umem)
    out.fd = -1
    out.stats = &memory.stats
