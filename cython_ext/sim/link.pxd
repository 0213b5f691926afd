"""One way of a simulated path: rate, delay, a queue, and what goes wrong on it; everything from one seed.

A frame that is offered either vanishes or is due at the far end at a known time, perhaps twice, perhaps
changed. Frames wait in a heap by (time, order): equal seeds give equal runs.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from cython_ext.base.chance cimport Chance, chance_below
from cython_ext.base.pool cimport NIL, Pool, pool_give, pool_init, pool_release, pool_take
from cython_ext.wire.bytes cimport store_u16
from cython_ext.wire.checksum cimport sum_octets
from cython_ext.wire.ethernet cimport ETH_BYTES
from cython_ext.wire.ipv4 cimport IPV4_BYTES

cdef extern from *:
    """
    #define NS_PER_OCTET_BIT 8000000000ull
    """
    const uint64_t NS_PER_OCTET_BIT     # nanoseconds of a second, times the bits of an octet

cdef enum:
    MILLION = 1000000
    FRAME_ROOM = 2048

cdef struct LinkConfig:
    uint64_t rate_bps               # bits a second, 0: no limit
    uint64_t delay_ns               # one way, besides queue and rate
    uint64_t queue_bytes            # what waits for the rate beyond it is dropped
    uint64_t mark_bytes             # where more waits, who listens to ECN is told (RFC 3168 5). 0: never
    uint64_t late_ns                # so much later arrives what is reordered
    uint32_t loss_ppm               # random, each frame alone
    uint32_t bad_ppm                # Gilbert-Elliott: from the good state to the bad one, at each frame
    uint32_t good_ppm               # and back
    uint32_t bad_loss_ppm           # loss in the bad state
    uint32_t reorder_ppm
    uint32_t duplicate_ppm
    uint32_t corrupt_ppm            # one bit behind the Ethernet header changes
    uint32_t largest                # octets of the IP packet; larger ones vanish in silence. 0: no limit

cdef struct LinkCounts:
    uint64_t frames                 # offered
    uint64_t octets
    uint64_t lost                   # at random or in bursts
    uint64_t overflowed             # the queue was full
    uint64_t too_large
    uint64_t reordered
    uint64_t duplicated
    uint64_t corrupted
    uint64_t marked
    uint64_t queue_most             # octets that ever waited

cdef struct Passage:
    uint64_t due_ns
    uint64_t order
    uint32_t slot

cdef struct Link:
    LinkConfig config
    LinkCounts counts
    Chance chance
    bint bad                        # Gilbert-Elliott state
    uint64_t free_ns                # when the rate has sent what waits
    uint64_t order
    Pool slots
    uint8_t *memory                 # FRAME_ROOM each
    uint32_t *bytes
    Passage *heap
    uint32_t waiting


cdef inline int link_init(Link *link, const LinkConfig *config, uint32_t frames, uint64_t seed) noexcept nogil:
    """frames: most that may be under way. 0, or -1 without memory."""
    memset(link, 0, sizeof(Link))
    link.config = config[0]
    link.chance.state = seed
    link.memory = <uint8_t *>calloc(frames, FRAME_ROOM)
    link.bytes = <uint32_t *>calloc(frames, sizeof(uint32_t))
    link.heap = <Passage *>calloc(frames, sizeof(Passage))
    if link.memory == NULL or link.bytes == NULL or link.heap == NULL:
        return -1
    return pool_init(&link.slots, frames)


cdef inline void link_release(Link *link) noexcept nogil:
    free(link.memory)
    free(link.bytes)
    free(link.heap)
    pool_release(&link.slots)
    memset(link, 0, sizeof(Link))


cdef inline bint happens(Chance *chance, uint32_t ppm) noexcept nogil:
    """With nothing to decide the seed is not touched: scenarios stay comparable."""
    return ppm != 0 and chance_below(chance, MILLION) < ppm


cdef inline bint loses(Link *link) noexcept nogil:
    """Random loss, or that of the state (Gilbert 1960, Elliott 1963)."""
    if link.config.bad_ppm:
        if happens(&link.chance, link.config.good_ppm if link.bad else link.config.bad_ppm):
            link.bad = not link.bad
        if link.bad and happens(&link.chance, link.config.bad_loss_ppm):
            return True
    return happens(&link.chance, link.config.loss_ppm)


cdef inline bint link_offer(Link *link, const uint8_t *frame, uint32_t octets, uint64_t now_ns) noexcept nogil:
    """A frame enters. False only when the simulation has no slot left for it: it is too small for this run."""
    cdef uint64_t sent_ns, due_ns
    cdef bint twice, mark
    link.counts.frames += 1
    link.counts.octets += octets
    if link.config.largest and octets - ETH_BYTES > link.config.largest:
        link.counts.too_large += 1
        return True
    if not queue_takes(link, octets, now_ns, &sent_ns):
        link.counts.overflowed += 1
        return True
    if loses(link):
        link.counts.lost += 1
        return True
    mark = link.config.mark_bytes != 0 and sent_ns - now_ns > time_of(link, link.config.mark_bytes)
    due_ns = sent_ns + link.config.delay_ns
    if happens(&link.chance, link.config.reorder_ppm):
        link.counts.reordered += 1
        due_ns += link.config.late_ns
    twice = happens(&link.chance, link.config.duplicate_ppm)
    if twice:
        link.counts.duplicated += 1
        if not carry(link, frame, octets, due_ns, mark):
            return False
    return carry(link, frame, octets, due_ns, mark)


cdef inline uint64_t time_of(const Link *link, uint64_t octets) noexcept nogil:
    """Nanoseconds that the rate needs."""
    return octets * NS_PER_OCTET_BIT // link.config.rate_bps


cdef inline bint queue_takes(Link *link, uint32_t octets, uint64_t now_ns, uint64_t *sent_ns) noexcept nogil:
    """A queue that drops what comes when it is full. sent_ns: when the last bit has left."""
    cdef uint64_t waiting
    sent_ns[0] = now_ns
    if link.config.rate_bps == 0:
        return True
    link.free_ns = max(link.free_ns, now_ns)
    waiting = (link.free_ns - now_ns) * link.config.rate_bps // NS_PER_OCTET_BIT
    if waiting + octets > link.config.queue_bytes:
        return False
    link.counts.queue_most = max(link.counts.queue_most, waiting + octets)
    link.free_ns += time_of(link, octets)
    sent_ns[0] = link.free_ns
    return True


cdef inline bint carry(
    Link *link, const uint8_t *frame, uint32_t octets, uint64_t due_ns, bint mark
) noexcept nogil:
    """Into the heap, perhaps marked, perhaps with one bit changed."""
    cdef uint32_t slot = pool_take(&link.slots)
    cdef uint8_t *copy
    cdef uint32_t at
    if slot == NIL:
        return False
    copy = link.memory + <size_t>slot * FRAME_ROOM
    memcpy(copy, frame, octets)
    link.bytes[slot] = octets
    if mark and congestion_marked(copy + ETH_BYTES):
        link.counts.marked += 1
    if happens(&link.chance, link.config.corrupt_ppm):
        link.counts.corrupted += 1
        at = ETH_BYTES + chance_below(&link.chance, octets - ETH_BYTES)
        copy[at] ^= <uint8_t>(1 << chance_below(&link.chance, 8))
    heap_push(link, due_ns, slot)
    return True


cdef inline bint congestion_marked(uint8_t *ip) noexcept nogil:
    """An IPv4 packet whose sender listens gets CE, and its header the right sum."""
    if ip[0] >> 4 != 4 or ip[1] & 3 == 0:
        return False
    ip[1] |= 3
    store_u16(ip + 10, 0)
    store_u16(ip + 10, <uint16_t>~sum_octets(ip, IPV4_BYTES))
    return True


cdef inline bint earlier(const Passage *a, const Passage *b) noexcept nogil:
    return a.due_ns < b.due_ns or (a.due_ns == b.due_ns and a.order < b.order)


cdef inline void heap_push(Link *link, uint64_t due_ns, uint32_t slot) noexcept nogil:
    cdef uint32_t i = link.waiting
    cdef Passage passage
    passage.due_ns = due_ns
    passage.order = link.order
    passage.slot = slot
    link.order += 1
    link.waiting += 1
    while i and earlier(&passage, &link.heap[(i - 1) // 2]):
        link.heap[i] = link.heap[(i - 1) // 2]
        i = (i - 1) // 2
    link.heap[i] = passage


cdef inline uint32_t link_take(Link *link, uint64_t now_ns, uint8_t **frame) noexcept nogil:
    """The next frame that is due: its octets, 0 for none. It is readable until the next call of link_offer."""
    cdef uint32_t slot, i, child
    cdef Passage last
    if link.waiting == 0 or link.heap[0].due_ns > now_ns:
        return 0
    slot = link.heap[0].slot
    link.waiting -= 1
    last = link.heap[link.waiting]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= link.waiting:
            break
        if child + 1 < link.waiting and earlier(&link.heap[child + 1], &link.heap[child]):
            child += 1
        if not earlier(&link.heap[child], &last):
            break
        link.heap[i] = link.heap[child]
        i = child
    link.heap[i] = last
    pool_give(&link.slots, slot)
    frame[0] = link.memory + <size_t>slot * FRAME_ROOM
    return link.bytes[slot]
