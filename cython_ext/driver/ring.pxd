"""The single-producer single-consumer rings shared with the kernel (net/xdp/xsk_queue.h).

Owns: index arithmetic and memory ordering. Knows nothing of sockets, frames or pools: a ring is
just memory, so a test can play the kernel.

Indices run freely over 32 bits; an entry lies at `index & mask`. The producer writes entries, then
publishes its index with release; the consumer reads that index with acquire, then the entries, and
gives the slots back by publishing its own index with release. Each side keeps a private copy of the
other's index and looks at the shared word only when the copy says full or empty.
"""

from libc.stdint cimport uint32_t, uint64_t

from cython_ext.driver.xdp_abi cimport XSK_RING_NEED_WAKEUP, XskDesc

cdef extern from "abi/atomics.h" nogil:
    uint32_t atomic_load_u32(const uint32_t *word)
    void atomic_store_u32(uint32_t *word, uint32_t value)

cdef struct Ring:
    # For fill and TX we are the producer, for RX and completion the consumer.
    uint32_t own            # our index, ahead of the published one; only we write it
    uint32_t seen           # the other side's index when we last looked; only we write it
    uint32_t mask           # entries - 1; set once
    uint32_t entries        # a power of two; set once
    void *slots             # XskDesc (RX, TX) or uint64_t (fill, completion); the producer writes them
    uint32_t *producer      # shared word; only the producer writes it
    uint32_t *consumer      # shared word; only the consumer writes it
    uint32_t *flags         # shared word; only the kernel writes it; NULL where there is none
    void *mapping           # start of the mapping, for munmap; set once
    uint64_t mapping_bytes


cdef inline uint32_t ring_room(Ring *ring, uint32_t wanted) noexcept nogil:
    """As the producer: how many entries can be written now, at most `wanted`."""
    cdef uint32_t room = ring.entries - (ring.own - ring.seen)
    if room < wanted:
        ring.seen = atomic_load_u32(ring.consumer)
        room = ring.entries - (ring.own - ring.seen)
    return wanted if wanted < room else room


cdef inline uint32_t ring_filled(Ring *ring, uint32_t wanted) noexcept nogil:
    """As the consumer: how many entries can be read now, at most `wanted`."""
    cdef uint32_t filled = ring.seen - ring.own
    if filled < wanted:
        ring.seen = atomic_load_u32(ring.producer)
        filled = ring.seen - ring.own
        if filled > ring.entries:       # the shared word is broken: never read beyond one lap
            filled = ring.entries
    return wanted if wanted < filled else filled


cdef inline uint64_t *ring_address(const Ring *ring, uint32_t ahead) noexcept nogil:
    """The slot of a fill or completion ring `ahead` entries after our index."""
    return <uint64_t *>ring.slots + ((ring.own + ahead) & ring.mask)


cdef inline XskDesc *ring_descriptor(const Ring *ring, uint32_t ahead) noexcept nogil:
    """The slot of an RX or TX ring `ahead` entries after our index."""
    return <XskDesc *>ring.slots + ((ring.own + ahead) & ring.mask)


cdef inline void ring_produce(Ring *ring, uint32_t count) noexcept nogil:
    """Publishes `count` written entries."""
    ring.own += count
    atomic_store_u32(ring.producer, ring.own)


cdef inline void ring_consume(Ring *ring, uint32_t count) noexcept nogil:
    """Gives `count` read entries back to the producer."""
    ring.own += count
    atomic_store_u32(ring.consumer, ring.own)


cdef inline uint32_t ring_unread(Ring *ring) noexcept nogil:
    """As the producer: entries the consumer has not taken yet."""
    ring.seen = atomic_load_u32(ring.consumer)
    return ring.own - ring.seen


cdef inline bint ring_needs_wakeup(const Ring *ring) noexcept nogil:
    """Whether the kernel sleeps until a system call wakes it (XDP_USE_NEED_WAKEUP)."""
    return ring.flags != NULL and atomic_load_u32(ring.flags) & XSK_RING_NEED_WAKEUP != 0
