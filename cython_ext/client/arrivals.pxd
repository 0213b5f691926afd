"""What a client holds of octets that came before their turn, and the SACK blocks that tell (RFC 2018, RFC 2883).

A ring of the size of the window, addressed by sequence number; only what is out of order is ever written
there, so the pages of a connection that loses nothing stay untouched.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memmove

from cython_ext.tcp.reassembly cimport SackBlocks, sack_add
from cython_ext.wire.seqnum cimport seq_le, seq_lt, seq_max, seq_min

cdef enum:
    ARRIVAL_RUNS = 128

cdef struct ArrivalRun:
    uint32_t start
    uint32_t end                # first sequence number behind it

cdef struct Arrivals:
    uint8_t *ring
    uint32_t mask               # ring size - 1
    uint32_t count
    uint32_t newest             # a sequence number in the run that grew last
    uint32_t again_start        # octets that came twice, not reported yet; equal: none
    uint32_t again_end
    ArrivalRun runs[ARRIVAL_RUNS]   # sorted, no two touch


cdef inline void arrivals_start(Arrivals *arrivals, uint8_t *ring, uint32_t octets) noexcept nogil:
    """octets: a power of two."""
    arrivals.ring = ring
    arrivals.mask = octets - 1
    arrivals.count = 0
    arrivals.again_start = 0
    arrivals.again_end = 0


cdef inline bint arrivals_add(
    Arrivals *arrivals, const uint8_t *octets, uint32_t start, uint32_t end
) noexcept nogil:
    """Keeps [start, end), which lies in the window beyond the next octet. False when the list is full."""
    cdef uint32_t first = 0
    cdef uint32_t last
    while first < arrivals.count and seq_lt(arrivals.runs[first].end, start):
        first += 1
    last = first                                    # runs [first, last) touch the new one
    while last < arrivals.count and seq_le(arrivals.runs[last].start, end):
        last += 1
    if first < last and seq_le(arrivals.runs[first].start, start) and seq_le(end, arrivals.runs[first].end):
        arrivals.again_start = start                # RFC 2883 4: all of it is here already
        arrivals.again_end = end
        return True
    if first == last and not insert_run(arrivals, first, start, end):
        return False
    ring_write(arrivals, octets, start, end - start)
    if first < last:
        arrivals.runs[first].start = seq_min(arrivals.runs[first].start, start)
        arrivals.runs[first].end = seq_max(arrivals.runs[last - 1].end, end)
        remove_runs(arrivals, first + 1, last)
    arrivals.newest = start
    return True


cdef inline bint insert_run(Arrivals *arrivals, uint32_t at, uint32_t start, uint32_t end) noexcept nogil:
    if arrivals.count == ARRIVAL_RUNS:
        return False
    memmove(&arrivals.runs[at + 1], &arrivals.runs[at], (arrivals.count - at) * sizeof(ArrivalRun))
    arrivals.runs[at].start = start
    arrivals.runs[at].end = end
    arrivals.count += 1
    return True


cdef inline void remove_runs(Arrivals *arrivals, uint32_t first, uint32_t last) noexcept nogil:
    memmove(&arrivals.runs[first], &arrivals.runs[last], (arrivals.count - last) * sizeof(ArrivalRun))
    arrivals.count -= last - first


cdef inline void ring_write(Arrivals *arrivals, const uint8_t *octets, uint32_t start, uint32_t many) noexcept nogil:
    cdef uint32_t at = start & arrivals.mask
    cdef uint32_t head = min(many, arrivals.mask + 1 - at)
    memcpy(arrivals.ring + at, octets, head)
    memcpy(arrivals.ring, octets + head, many - head)


cdef inline uint32_t arrivals_next(Arrivals *arrivals, uint32_t rcv_nxt, const uint8_t **octets) noexcept nogil:
    """Octets that are now in order at rcv_nxt and lie together in the ring: how many, 0 for none. The caller
    moves rcv_nxt by as many and asks again."""
    cdef uint32_t at, many
    while arrivals.count and seq_le(arrivals.runs[0].end, rcv_nxt):
        remove_runs(arrivals, 0, 1)
    if arrivals.count == 0 or seq_lt(rcv_nxt, arrivals.runs[0].start):
        return 0
    at = rcv_nxt & arrivals.mask
    many = min(arrivals.runs[0].end - rcv_nxt, arrivals.mask + 1 - at)
    octets[0] = arrivals.ring + at
    return many


cdef inline void arrivals_again(Arrivals *arrivals, uint32_t start, uint32_t end) noexcept nogil:
    """[start, end) was in order and acknowledged already: a DSACK is due."""
    arrivals.again_start = start
    arrivals.again_end = end


cdef inline void arrivals_report(Arrivals *arrivals, SackBlocks *sack, uint32_t most) noexcept nogil:
    """Up to `most` blocks: first what came twice, then the run that grew last, then the others from the highest
    down (RFC 2018 4, RFC 2883 4)."""
    cdef uint32_t i
    cdef uint32_t newest = arrivals.count
    sack.count = 0
    if arrivals.again_start != arrivals.again_end:
        sack_add(sack, arrivals.again_start, arrivals.again_end)
        arrivals.again_start = arrivals.again_end
    for i in range(arrivals.count):
        if arrivals.newest - arrivals.runs[i].start < arrivals.runs[i].end - arrivals.runs[i].start:
            newest = i
    if newest < arrivals.count and sack.count < most:
        sack_add(sack, arrivals.runs[newest].start, arrivals.runs[newest].end)
    i = arrivals.count
    while i and sack.count < most:
        i -= 1
        if i != newest:
            sack_add(sack, arrivals.runs[i].start, arrivals.runs[i].end)
