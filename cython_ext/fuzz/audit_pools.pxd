"""What must be true of a worker's pools: a block is free or a live connection's, and counted for who has it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from cython_ext.base.pool cimport NIL, Pool
from cython_ext.base.share cimport Share
from cython_ext.base.tally cimport tally_of
from cython_ext.tcp.conn cimport TCP_CLOSED
from cython_ext.worker.queue cimport session_slot, slot_extent
from cython_ext.worker.service cimport SLOT_NOTED, Session, Slot
from cython_ext.worker.state cimport Worker

cdef extern from "abi/fuzz.h" nogil:
    void fuzz_require(bint holds, const char *what, int64_t a, int64_t b)


cdef inline void mark_free(const Pool *pool, uint8_t *marks) noexcept nogil:
    """Marks the numbers that are free; none twice, none beyond the pool."""
    cdef uint32_t i, number
    memset(marks, 0, pool.total)
    fuzz_require(pool.available <= pool.total, b"a pool holds no more than its total", pool.available, pool.total)
    for i in range(pool.available):
        number = pool.free[i]
        fuzz_require(number < pool.total, b"a free number is the pool's own", number, pool.total)
        fuzz_require(not marks[number], b"a number is free only once", number, i)
        marks[number] = 1


cdef inline void mark_used(const Pool *pool, uint8_t *marks, uint32_t number) noexcept nogil:
    fuzz_require(number < pool.total, b"a number in use is the pool's own", number, pool.total)
    fuzz_require(not marks[number], b"a number in use is not free nor used twice", number, 0)
    marks[number] = 1


cdef inline void audit_share(const Share *share, uint8_t *marks) noexcept nogil:
    """Marks the free blocks of the pool; what it counts is the blocks that are out and have an owner."""
    cdef uint32_t i
    cdef uint32_t owned = 0
    cdef uint64_t counted = 0
    mark_free(&share.pool, marks)
    for i in range(share.pool.total):
        if share.owners[i]:
            owned += 1
            fuzz_require(not marks[i], b"a free block is nobody's", i, 0)
            fuzz_require(tally_of(&share.tally, share.owners[i]) > 0, b"an owned block is counted", i, 0)
    for i in range(share.tally.mask + 1):
        counted += share.tally.cells[i]
    fuzz_require(counted == owned, b"the blocks counted are those owned", <int64_t>counted, owned)


cdef inline void audit_used(const Share *share, uint32_t used, const char *what) noexcept nogil:
    fuzz_require(used + share.pool.available == share.pool.total, what, used, share.pool.available)


cdef inline void audit_pools(Worker *worker, uint8_t *marks) noexcept nogil:
    """Blocks are free or a live connection's, none lost."""
    audit_buffers(worker, marks)
    audit_blocks(worker, marks)
    audit_notes(worker, marks)
    audit_flights(worker, marks)
    audit_reassemblies(worker, marks)


cdef inline void audit_buffers(Worker *worker, uint8_t *marks) noexcept nogil:
    cdef uint32_t number
    cdef uint32_t used = 0
    audit_share(&worker.service.buffers, marks)
    for number in range(worker.table.capacity):
        if worker.table.conns[number].state != TCP_CLOSED and worker.sessions[number].buffer != NIL:
            mark_used(&worker.service.buffers.pool, marks, worker.sessions[number].buffer)
            used += 1
    audit_used(&worker.service.buffers, used, b"no request buffer is lost")


cdef inline void audit_blocks(Worker *worker, uint8_t *marks) noexcept nogil:
    cdef uint32_t number
    cdef uint32_t used = 0
    audit_share(&worker.service.blocks, marks)
    for number in range(worker.table.capacity):
        if worker.table.conns[number].state != TCP_CLOSED and worker.sessions[number].block != NIL:
            mark_used(&worker.service.blocks.pool, marks, worker.sessions[number].block)
            used += 1
    audit_used(&worker.service.blocks, used, b"no queue block is lost")


cdef inline void audit_notes(Worker *worker, uint8_t *marks) noexcept nogil:
    cdef uint32_t number
    cdef uint32_t used = 0
    audit_share(&worker.service.notes, marks)
    for number in range(worker.table.capacity):
        if worker.table.conns[number].state != TCP_CLOSED:
            used += mark_notes(worker, &worker.sessions[number], marks)
    audit_used(&worker.service.notes, used, b"no note is lost")


cdef inline uint32_t mark_notes(Worker *worker, Session *session, uint8_t *marks) noexcept nogil:
    """Those of the responses queued; returns how many."""
    cdef uint32_t i
    cdef uint32_t found = 0
    cdef Slot *slot
    for i in range(session.slot_count):
        slot = session_slot(&worker.service, session, i)
        if slot.flags & SLOT_NOTED:
            mark_used(&worker.service.notes.pool, marks, <uint32_t>slot_extent(&worker.service, slot).first)
            found += 1
    return found


cdef inline void audit_flights(Worker *worker, uint8_t *marks) noexcept nogil:
    cdef uint32_t number
    cdef uint32_t used = 0
    audit_share(&worker.flight_pool, marks)
    for number in range(worker.table.capacity):
        if worker.table.conns[number].state != TCP_CLOSED and worker.table.conns[number].flight != NIL:
            mark_used(&worker.flight_pool.pool, marks, worker.table.conns[number].flight)
            used += 1
    audit_used(&worker.flight_pool, used, b"no flight block is lost")


cdef inline void audit_reassemblies(Worker *worker, uint8_t *marks) noexcept nogil:
    cdef uint32_t number
    cdef uint32_t used = 0
    audit_share(&worker.reassembly_pool, marks)
    for number in range(worker.table.capacity):
        if worker.table.conns[number].state != TCP_CLOSED and worker.table.conns[number].reassembly:
            mark_used(&worker.reassembly_pool.pool, marks, worker.table.conns[number].reassembly - 1)
            used += 1
    audit_used(&worker.reassembly_pool, used, b"no reassembly block is lost")


cdef inline void audit_pools_whole(Worker *worker) noexcept nogil:
    """The end: all blocks are back."""
    audit_used(&worker.service.buffers, 0, b"all request buffers are back")
    audit_used(&worker.service.blocks, 0, b"all queue blocks are back")
    audit_used(&worker.service.notes, 0, b"all notes are back")
    audit_used(&worker.flight_pool, 0, b"all flight blocks are back")
    audit_used(&worker.reassembly_pool, 0, b"all reassembly blocks are back")
