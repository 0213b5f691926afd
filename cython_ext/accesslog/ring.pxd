"""The access log's ring: one worker writes a record for each response, one other thread reads them.

A record is a fixed part and the request's own octets behind it, as they came and clipped to bounds; what is made of
them is the reader's affair (format.pxd). Records never wrap: where one does not fit before the end, a filler takes
the rest. `head` and `tail` count octets for ever; each has one writer.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset
from posix.stdlib cimport posix_memalign

cdef extern from "abi/atomics.h" nogil:
    uint64_t atomic_load_u64(const uint64_t *word)
    void atomic_store_u64(uint64_t *word, uint64_t value)

from cython_ext.wire.bytes cimport prefetch

cdef enum:
    LINE_BYTES_MOST = 1024          # of the request line
    REFERER_BYTES_MOST = 512
    AGENT_BYTES_MOST = 256
    HOST_BYTES_MOST = 256
    RECORD_BYTES_MOST = 2112        # with the fixed part, rounded up
    RING_BYTES_LEAST = 65536        # a power of two
    LINE_OCTETS = 64                # of a cache line
    FETCH_AHEAD_BYTES = 512

cdef enum RecordFlag:
    RECORD_FILLER = 1               # nothing: go on at the ring's start
    RECORD_LINE_CLIPPED = 2
    RECORD_REFERER_CLIPPED = 4
    RECORD_AGENT_CLIPPED = 8
    RECORD_HOST_CLIPPED = 16

cdef enum LogWants:
    LOG_WANTS_FIELDS = 1            # Host, Referer and User-Agent are looked for

cdef struct Record:
    uint32_t bytes                  # of all of it, a multiple of 8
    uint16_t flags                  # RecordFlag
    uint16_t status
    int64_t wall_ns                 # since 1970
    uint64_t body_octets            # of the response as it is sent: none in answer to HEAD
    uint8_t peer_address[16]        # IPv4 mapped
    uint16_t peer_port
    uint16_t line_bytes             # the texts follow, in this order
    uint16_t referer_bytes
    uint16_t agent_bytes
    uint16_t host_bytes
    uint16_t pad[3]

cdef struct LogRing:
    uint8_t *memory                 # NULL: no log is kept
    uint64_t bytes                  # a power of two
    uint64_t head                   # octets written; read by the other side as `published`
    uint64_t tail_seen              # `tail` when it was last looked at
    uint64_t dropped
    int64_t wall_ns                 # of the present turn
    const uint8_t *peer_address     # whose octets are being looked at
    uint16_t peer_port
    bint lossless                   # no request is taken while there is no room
    uint32_t wants                  # LogWants
    uint8_t apart[64]               # what the reader writes lies in other cache lines
    uint64_t published
    uint8_t apart_too[64]
    uint64_t tail                   # octets read


cdef inline int ring_init(LogRing *ring, uint64_t octets, bint lossless, uint32_t wants) noexcept nogil:
    """0, or -1 without memory. octets: a power of two, RING_BYTES_LEAST at least."""
    memset(ring, 0, sizeof(LogRing))
    if posix_memalign(<void **>&ring.memory, 64, octets) != 0:
        ring.memory = NULL
        return -1
    memset(ring.memory, 0, octets)          # its pages are there before the first request
    ring.bytes = octets
    ring.lossless = lossless
    ring.wants = wants
    return 0


cdef inline void ring_release(LogRing *ring) noexcept nogil:
    free(ring.memory)
    ring.memory = NULL


cdef inline bint ring_has_room(LogRing *ring, uint64_t octets) noexcept nogil:
    """Also behind a filler."""
    if ring.head + 2 * octets - ring.tail_seen <= ring.bytes:
        return True
    ring.tail_seen = atomic_load_u64(&ring.tail)
    return ring.head + 2 * octets - ring.tail_seen <= ring.bytes


cdef inline Record *ring_reserve(LogRing *ring, uint64_t octets) noexcept nogil:
    """Room for a record of so many octets, to be filled before ring_publish(); NULL: dropped and counted."""
    cdef uint64_t at = ring.head & (ring.bytes - 1)
    cdef uint64_t rest = ring.bytes - at
    cdef Record *record
    if not ring_has_room(ring, octets):
        ring.dropped += 1
        return NULL
    if rest < octets:
        record = <Record *>(ring.memory + at)
        record.bytes = <uint32_t>rest
        record.flags = RECORD_FILLER
        ring.head += rest
        at = 0
    ring.head += octets
    ring_fetch(ring, octets)
    record = <Record *>(ring.memory + at)
    record.bytes = <uint32_t>octets
    record.flags = 0
    return record


cdef inline void ring_publish(LogRing *ring) noexcept nogil:
    """The reader may have all that was written: once a turn."""
    if ring.head != ring.published:
        atomic_store_u64(&ring.published, ring.head)


cdef inline uint16_t clipped(uint32_t octets, uint32_t most, uint16_t flag, uint16_t *flags) noexcept nogil:
    if octets <= most:
        return <uint16_t>octets
    flags[0] |= flag
    return <uint16_t>most


cdef inline uint8_t *put_text(uint8_t *out, const uint8_t *text, uint32_t octets) noexcept nogil:
    """Most texts are short: two copies of a fixed size that overlap cost less than a call of memcpy."""
    if octets > 64:
        memcpy(out, text, octets)
    elif octets > 32:
        memcpy(out, text, 32)
        memcpy(out + octets - 32, text + octets - 32, 32)
    elif octets > 16:
        memcpy(out, text, 16)
        memcpy(out + octets - 16, text + octets - 16, 16)
    elif octets >= 8:
        memcpy(out, text, 8)
        memcpy(out + octets - 8, text + octets - 8, 8)
    elif octets >= 4:
        memcpy(out, text, 4)
        memcpy(out + octets - 4, text + octets - 4, 4)
    else:
        put_few(out, text, octets)
    return out + octets


cdef inline void put_few(uint8_t *out, const uint8_t *text, uint32_t octets) noexcept nogil:
    """At most 3."""
    if octets:
        out[0] = text[0]
        out[octets >> 1] = text[octets >> 1]
        out[octets - 1] = text[octets - 1]


cdef inline void ring_fetch(const LogRing *ring, uint64_t octets) noexcept nogil:
    """Has memory fetched that a later record, about as long as this one, is written to: the reader had it last."""
    cdef uint64_t at = ring.head + FETCH_AHEAD_BYTES
    cdef uint64_t end = at + min(octets, <uint64_t>4 * LINE_OCTETS)
    while at < end:
        prefetch(ring.memory + (at & (ring.bytes - 1)))
        at += LINE_OCTETS
