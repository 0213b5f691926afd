"""Octets that arrived ahead of their turn wait here for what is missing, and are SACKed (RFC 2018, RFC 2883).

A block is a ring as large as the receive window and a short sorted list of runs, neither touching nor
overlapping. Blocks come from a bounded pool: a connection has one only while something is missing. Of
octets that come twice the first copy counts, whatever the second says: what has been acknowledged never
changes, and no order of arrival makes it change. When the list is full a new run is not kept, unless it is
the one that is missing: then the last run gives way, and its SACK is taken back (RFC 2018 8).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memmove

from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport TcpConn
from cython_ext.tcp.event cimport TcpEvents
from cython_ext.wire.bytes cimport store_be32
from cython_ext.wire.seqnum cimport seq_le, seq_lt, seq_max, seq_min
from cython_ext.wire.tcp cimport TCP_FIN

cdef enum:
    REASSEMBLY_BYTES = 16384    # a power of two, and the largest window that we offer
    REASSEMBLY_MASK = 16383
    REASSEMBLY_RUNS = 8
    SACK_BLOCKS_MOST = 4        # of an option; three beside timestamps

cdef struct HeldRun:
    uint32_t start
    uint32_t end                # first sequence number behind it; a FIN has one too
    uint32_t touched            # the higher, the later a segment came to it

cdef struct Reassembly:
    uint32_t owner              # number of the connection
    uint32_t since              # tick of the last progress
    uint32_t count
    uint32_t touches
    uint32_t fin_at             # sequence number of the FIN, when has_fin
    bint has_fin
    HeldRun runs[REASSEMBLY_RUNS]
    uint8_t octets[REASSEMBLY_BYTES]    # that of number n at n mod REASSEMBLY_BYTES

cdef struct Duplicate:          # what a segment repeated: the next ACK says so first (RFC 2883 4)
    uint32_t start
    uint32_t end                # start: nothing

cdef struct SackBlocks:
    uint32_t count
    uint32_t edges[2 * SACK_BLOCKS_MOST]


cdef inline void reassembly_start(Reassembly *block, uint32_t owner, uint32_t tick) noexcept nogil:
    block.owner = owner
    block.since = tick
    block.count = 0
    block.touches = 0
    block.has_fin = False


cdef inline void store_octets(Reassembly *block, uint32_t start, uint32_t end, const Segment *segment) noexcept nogil:
    """The segment's octets [start, end) go to their places; nothing when that is no range."""
    cdef uint32_t at = start & REASSEMBLY_MASK
    cdef const uint8_t *octets
    cdef uint32_t first
    if not seq_lt(start, end):
        return
    octets = segment.payload + (start - segment.tcp.seq)
    first = min(end - start, REASSEMBLY_BYTES - at)
    memcpy(block.octets + at, octets, first)
    memcpy(block.octets, octets + first, end - start - first)


cdef inline bint may_end_at(const Reassembly *block, uint32_t at) noexcept nogil:
    """Whether a FIN at `at` contradicts nothing that came before it."""
    if block.has_fin:
        return block.fin_at == at
    return block.count == 0 or seq_le(block.runs[block.count - 1].end, at)


cdef inline bint reassembly_hold(
    Reassembly *block, const TcpConn *conn, const Segment *segment, Duplicate *duplicate
) noexcept nogil:
    """Keeps what of the segment is new and in the window; False when the list is full. Says in
    `duplicate` what of it was held already, unless that names something yet."""
    cdef uint32_t start = seq_max(segment.tcp.seq, conn.rcv_nxt)
    cdef uint32_t octets_end = segment.tcp.seq + segment.payload_bytes
    cdef uint32_t limit = conn.rcv_nxt + min(conn.rcv_edge - conn.rcv_nxt, <uint32_t>REASSEMBLY_BYTES)
    cdef bint fin = segment.tcp.flags & TCP_FIN != 0
    if block.has_fin:
        limit = seq_min(limit, block.fin_at)
    if seq_lt(limit, octets_end):
        octets_end = limit
        fin = False
    fin = fin and may_end_at(block, octets_end)
    if not seq_lt(start, octets_end + fin):
        return True
    if not insert_run(block, conn.rcv_nxt, start, octets_end, octets_end + fin, segment, duplicate):
        return False
    if fin:
        block.has_fin = True
        block.fin_at = octets_end
    return True


cdef inline bint insert_run(
    Reassembly *block, uint32_t rcv_nxt, uint32_t start, uint32_t octets_end, uint32_t end,
    const Segment *segment, Duplicate *duplicate,
) noexcept nogil:
    """[start, end), octets up to octets_end, joins the runs that it touches; only gaps are filled."""
    cdef uint32_t first = 0
    cdef uint32_t last
    cdef uint32_t at = start
    while first < block.count and seq_lt(block.runs[first].end, start):
        first += 1
    last = first
    if last == block.count or seq_lt(end, block.runs[last].start):
        if block.count == REASSEMBLY_RUNS and not give_up_last(block, rcv_nxt, start):
            return False
    while last < block.count and seq_le(block.runs[last].start, end):
        store_octets(block, at, seq_min(block.runs[last].start, octets_end), segment)
        note_duplicate(duplicate, seq_max(start, block.runs[last].start), seq_min(end, block.runs[last].end))
        at = seq_max(at, block.runs[last].end)
        last += 1
    store_octets(block, at, octets_end, segment)
    replace_runs(block, first, last, start, end)
    return True


cdef inline bint give_up_last(Reassembly *block, uint32_t rcv_nxt, uint32_t start) noexcept nogil:
    """Room for a run that begins at `start`, if it is the one that everything waits for."""
    if start != rcv_nxt:
        return False
    block.count -= 1
    if block.has_fin and seq_lt(block.fin_at, block.runs[block.count].end):
        block.has_fin = False
    return True


cdef inline void note_duplicate(Duplicate *duplicate, uint32_t start, uint32_t end) noexcept nogil:
    if duplicate.start == duplicate.end and seq_lt(start, end):
        duplicate.start = start
        duplicate.end = end


cdef inline void replace_runs(
    Reassembly *block, uint32_t first, uint32_t last, uint32_t start, uint32_t end
) noexcept nogil:
    """Runs [first, last), all of which [start, end) touches, become one with it."""
    if first < last:
        start = seq_min(start, block.runs[first].start)
        end = seq_max(end, block.runs[last - 1].end)
    memmove(&block.runs[first + 1], &block.runs[last], (block.count - last) * sizeof(HeldRun))
    block.count = block.count + 1 - (last - first)
    block.touches += 1
    block.runs[first].start = start
    block.runs[first].end = end
    block.runs[first].touched = block.touches


cdef inline bint reassembly_next(const Reassembly *block, uint32_t rcv_nxt, TcpEvents *events) noexcept nogil:
    """The octets whose turn has come, as far as they lie in one piece; False when some are missing."""
    cdef uint32_t octets, at
    if block.count == 0 or seq_lt(rcv_nxt, block.runs[0].start):
        return False
    octets = block.runs[0].end - rcv_nxt
    events.fin = 1 if block.has_fin and block.fin_at + 1 == block.runs[0].end else 0
    octets -= events.fin
    at = rcv_nxt & REASSEMBLY_MASK
    events.data = block.octets + at
    events.data_bytes = min(octets, REASSEMBLY_BYTES - at)
    if events.data_bytes < octets:
        events.fin = 0
    return True


cdef inline void reassembly_advance(Reassembly *block, uint32_t rcv_nxt, uint32_t tick) noexcept nogil:
    """Everything before rcv_nxt has been taken."""
    block.since = tick
    if block.count and seq_le(block.runs[0].end, rcv_nxt):
        block.count -= 1
        memmove(&block.runs[0], &block.runs[1], block.count * sizeof(HeldRun))


# ---- what we say of it ----

cdef inline void sack_add(SackBlocks *sack, uint32_t start, uint32_t end) noexcept nogil:
    sack.edges[2 * sack.count] = start
    sack.edges[2 * sack.count + 1] = end
    sack.count += 1


cdef inline void sack_from(SackBlocks *sack, const Reassembly *block, uint32_t most) noexcept nogil:
    """Up to `most` runs behind what `sack` has, the most recently touched first (RFC 2018 4)."""
    cdef uint32_t i, newest
    cdef uint32_t below = block.touches + 1
    while sack.count < most:
        newest = block.count
        for i in range(block.count):
            if block.runs[i].touched < below and (
                newest == block.count or block.runs[newest].touched < block.runs[i].touched
            ):
                newest = i
        if newest == block.count:
            return
        below = block.runs[newest].touched
        sack_add(sack, block.runs[newest].start, block.runs[newest].end)


cdef inline uint32_t tcp_emit_sack(uint8_t *option, const SackBlocks *sack) noexcept nogil:
    """NOP NOP SACK; returns its octets."""
    cdef uint32_t i
    store_be32(option, <uint32_t>0x01010502 + 8 * sack.count)
    for i in range(2 * sack.count):
        store_be32(option + 4 + 4 * i, sack.edges[i])
    return 4 + 8 * sack.count
