"""Packet memory: one mapping cut into equal frames, and two pools of free frames.

Owns: the mapping, both free lists, the ownership states of debug builds. Does not know who lends
frames to whom.

Frames 0 .. rx_frames-1 belong to the RX pool, the rest to the TX pool, for life: a frame always
returns to its home pool, told by its index, so that slow peers cannot starve receive. Both pools
are stacks: the frame freed last, still in the cache, is used first.
"""

from libc.errno cimport EINVAL, ENOMEM, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_POPULATE, MAP_PRIVATE, PROT_READ, PROT_WRITE
from posix.mman cimport mmap, munmap

from cython_ext.base.frame cimport Frame

cdef extern from "abi/ownership.h" nogil:
    enum:
        OWNER_FREE
        OWNER_FILL
        OWNER_APP
        OWNER_TX
        OWNERSHIP_CHECKED
    void ownership_move(uint8_t *owners, uint32_t index, uint8_t from_mask, uint8_t next)
    void ownership_bounds(uint32_t index, bint inside)

cdef extern from "abi/sanitize.h" nogil:
    void memory_forbid(const void *start, size_t bytes)
    void memory_allow(const void *start, size_t bytes)

cdef enum:
    UMEM_HEADROOM = 256         # XDP_PACKET_HEADROOM: a fresh frame starts where a received one does
    UMEM_MAX_FRAMES = 1 << 24

cdef struct Umem:
    uint8_t *memory         # frames_total * frame_bytes octets
    uint32_t frame_bytes    # 2048 or 4096
    uint32_t frame_shift    # log2 of it
    uint32_t frames_total
    uint32_t rx_frames      # frames below this index are of the RX pool
    uint32_t rx_free        # frames in rx_stack
    uint32_t tx_free        # frames in tx_stack
    uint32_t *rx_stack      # indices of free frames
    uint32_t *tx_stack
    uint64_t refused        # frames put back that no pool had room for: a bug of the caller
    uint8_t *owners         # one enum frame_owner per frame; NULL unless BYPASS_DEBUG


cdef inline void umem_close(Umem *umem) noexcept nogil:
    """Releases everything; harmless on a zeroed or half-opened Umem."""
    if umem.memory != NULL:
        memory_allow(umem.memory, <uint64_t>umem.frames_total << umem.frame_shift)
        munmap(umem.memory, <uint64_t>umem.frames_total << umem.frame_shift)
    free(umem.rx_stack)
    free(umem.tx_stack)
    free(umem.owners)
    memset(umem, 0, sizeof(Umem))


cdef inline int32_t _umem_map(Umem *umem) noexcept nogil:
    cdef void *mapping = mmap(
        NULL,
        <uint64_t>umem.frames_total << umem.frame_shift,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,     # populated: no page fault on the packet path
        -1,
        0,
    )
    if mapping == MAP_FAILED:
        return -errno
    umem.memory = <uint8_t *>mapping
    return 0


cdef inline int32_t umem_open(
    Umem *umem, uint32_t rx_frames, uint32_t tx_frames, uint32_t frame_bytes
) noexcept nogil:
    """Maps the memory and fills both pools. Returns 0, or -errno with everything released.

    -EINVAL: frame_bytes is neither 2048 nor 4096, a pool is empty or absurdly large.
    """
    cdef uint32_t i
    cdef int32_t result
    memset(umem, 0, sizeof(Umem))
    if frame_bytes != 2048 and frame_bytes != 4096:
        return -EINVAL
    if not 0 < rx_frames <= UMEM_MAX_FRAMES or not 0 < tx_frames <= UMEM_MAX_FRAMES:
        return -EINVAL
    umem.frame_bytes = frame_bytes
    umem.frame_shift = 11 if frame_bytes == 2048 else 12
    umem.frames_total = rx_frames + tx_frames
    umem.rx_frames = rx_frames
    umem.rx_stack = <uint32_t *>calloc(rx_frames, sizeof(uint32_t))
    umem.tx_stack = <uint32_t *>calloc(tx_frames, sizeof(uint32_t))
    if OWNERSHIP_CHECKED:
        umem.owners = <uint8_t *>calloc(umem.frames_total, 1)
    result = _umem_map(umem)
    if result == 0 and (umem.rx_stack == NULL or umem.tx_stack == NULL):
        result = -ENOMEM
    if result == 0 and OWNERSHIP_CHECKED and umem.owners == NULL:
        result = -ENOMEM
    if result != 0:
        umem_close(umem)
        return result
    for i in range(rx_frames):                  # lowest index on top
        umem.rx_stack[i] = rx_frames - 1 - i
    for i in range(tx_frames):
        umem.tx_stack[i] = umem.frames_total - 1 - i
    if OWNERSHIP_CHECKED:
        memset(umem.owners, OWNER_FREE, umem.frames_total)
    memory_forbid(umem.memory, <uint64_t>umem.frames_total << umem.frame_shift)
    umem.rx_free = rx_frames
    umem.tx_free = tx_frames
    return 0


cdef inline uint8_t *umem_start(const Umem *umem, uint32_t index) noexcept nogil:
    """Where the packet of a frame starts when we write it ourselves."""
    return umem.memory + (<uint64_t>index << umem.frame_shift) + UMEM_HEADROOM


cdef inline uint32_t umem_capacity(const Umem *umem) noexcept nogil:
    """Octets that fit from umem_start() on."""
    return umem.frame_bytes - UMEM_HEADROOM


cdef inline void umem_move(Umem *umem, uint32_t index, uint8_t from_mask, uint8_t next) noexcept nogil:
    """Notes a change of owner; aborts in a debug build when `from_mask` does not hold."""
    ownership_move(umem.owners, index, from_mask, next)


cdef inline void umem_forbid(const Umem *umem, uint32_t index) noexcept nogil:
    """Nobody may touch the frame, as far as a debug build can see to it."""
    memory_forbid(umem.memory + (<uint64_t>index << umem.frame_shift), umem.frame_bytes)


cdef inline void umem_allow(const Umem *umem, const Frame *frame) noexcept nogil:
    """Of the whole frame, exactly the octets of `frame` may be touched."""
    umem_forbid(umem, frame.index)
    memory_allow(frame.data, frame.bytes)


cdef inline uint32_t umem_take_rx(Umem *umem, uint8_t next) noexcept nogil:
    """Draws one frame from the RX pool, which must not be empty, for `next`; returns its index."""
    cdef uint32_t index
    umem.rx_free -= 1
    index = umem.rx_stack[umem.rx_free]
    ownership_move(umem.owners, index, OWNER_FREE, next)
    memory_allow(umem.memory + (<uint64_t>index << umem.frame_shift), umem.frame_bytes)
    return index


cdef inline uint32_t umem_alloc(Umem *umem, Frame *frames, uint32_t most) noexcept nogil:
    """Draws up to `most` frames from the TX pool, `bytes` 0; returns how many."""
    cdef uint32_t count = most if most < umem.tx_free else umem.tx_free
    cdef uint32_t i, index
    for i in range(count):
        umem.tx_free -= 1
        index = umem.tx_stack[umem.tx_free]
        ownership_move(umem.owners, index, OWNER_FREE, OWNER_APP)
        memory_allow(umem_start(umem, index), umem_capacity(umem))
        frames[i].data = umem_start(umem, index)
        frames[i].bytes = 0
        frames[i].index = index
    return count


cdef inline void umem_put(Umem *umem, uint32_t index, uint8_t from_mask) noexcept nogil:
    """Puts a frame back into its home pool; refuses, and counts, what cannot be one of ours."""
    if index < umem.rx_frames:
        if umem.rx_free < umem.rx_frames:
            ownership_move(umem.owners, index, from_mask, OWNER_FREE)
            umem_forbid(umem, index)
            umem.rx_stack[umem.rx_free] = index
            umem.rx_free += 1
            return
    elif index < umem.frames_total:
        if umem.tx_free < umem.frames_total - umem.rx_frames:
            ownership_move(umem.owners, index, from_mask, OWNER_FREE)
            umem_forbid(umem, index)
            umem.tx_stack[umem.tx_free] = index
            umem.tx_free += 1
            return
    umem.refused += 1


cdef inline bint umem_holds(const Umem *umem, uint64_t address, uint32_t octets) noexcept nogil:
    """Whether `octets` octets at offset `address` lie inside one frame."""
    cdef uint64_t within = address & (umem.frame_bytes - 1)
    return address >> umem.frame_shift < umem.frames_total and within + octets <= umem.frame_bytes
