"""What must be true of a worker between two turns, whatever arrived. The first breach aborts."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from cython_ext.base.pool cimport NIL
from cython_ext.base.tally cimport tally_of
from cython_ext.fuzz.audit_pools cimport audit_pools, audit_pools_whole
from cython_ext.tcp.conn cimport (
    CONN_RTO_ARMED, CONN_TALLIED, CONN_TIMER_FAR, CONN_TIMER_LISTED, TCP_CLOSED, TCP_SYN_RCVD, TCP_TIME_WAIT, TcpConn,
)
from cython_ext.http.body cimport BODY_BAD, BODY_NONE
from cython_ext.tcp.flight cimport RUN_LOST, RUN_SACKED, Flight
from cython_ext.tcp.reassembly cimport REASSEMBLY_RUNS, Reassembly
from cython_ext.tcp.table cimport TcpTable
from cython_ext.tcp.timers cimport FAR_SLOTS, WHEEL_SLOTS, wheel_slot
from cython_ext.wire.seqnum cimport seq_le, seq_lt
from cython_ext.worker.queue cimport session_slot, slot_bytes
from cython_ext.worker.service cimport REQUEST_BUFFER_BYTES, Session
from cython_ext.worker.state cimport Port, Worker, source_hash

cdef extern from "abi/fuzz.h" nogil:
    void fuzz_require(bint holds, const char *what, int64_t a, int64_t b)


cdef inline void audit(Worker *worker, uint8_t *marks) noexcept nogil:
    """All of it; `marks` has room for the largest of the worker's pools."""
    audit_table(worker, marks)
    audit_wait_list(worker)
    audit_sources(worker)
    audit_wheel(worker)
    audit_pools(worker, marks)
    audit_listed(worker)


cdef inline void audit_frames(Worker *worker) noexcept nogil:
    """Every frame is in a pool, a ring or a hand."""
    cdef uint32_t i, found
    cdef Port *port
    for i in range(worker.port_count):
        port = &worker.ports[i]
        found = port.driver.frames_accounted(port.driver.state) + port.stash_count + port.tx_count
        fuzz_require(found == port.driver.frames_total, b"no frame is lost", found, port.driver.frames_total)


cdef inline void mark_free_records(const TcpTable *table, uint8_t *marks) noexcept nogil:
    """Marks the records that are free after use."""
    cdef uint32_t number = table.free_first
    memset(marks, 0, table.capacity)
    while number != NIL:
        fuzz_require(number < table.fresh, b"a free record was in use", number, table.fresh)
        fuzz_require(not marks[number], b"a record is free only once", number, 0)
        marks[number] = 1
        number = table.conns[number].chain


cdef inline void audit_table(Worker *worker, uint8_t *marks) noexcept nogil:
    """The chains hold exactly the records in use; each record is sound."""
    cdef uint32_t bucket, number
    cdef uint32_t records = 0
    cdef uint32_t half_open = 0
    cdef uint32_t waiting = 0
    cdef TcpConn *conn
    mark_free_records(&worker.table, marks)
    for bucket in range(worker.table.bucket_mask + 1):
        number = worker.table.buckets[bucket]
        while number != NIL:
            fuzz_require(number < worker.table.fresh, b"a record's number", number, worker.table.fresh)
            fuzz_require(not marks[number], b"a record is not free, nor chained twice", number, 0)
            marks[number] = 1
            conn = &worker.table.conns[number]
            records += 1
            half_open += 1 if conn.state == TCP_SYN_RCVD else 0
            waiting += 1 if conn.state == TCP_TIME_WAIT else 0
            audit_record(worker, number)
            number = conn.chain
    fuzz_require(records == worker.table.in_use, b"in_use counts the chained records", records, worker.table.in_use)
    for number in range(worker.table.fresh):
        fuzz_require(marks[number] != 0, b"a record is chained or free", number, records)
    fuzz_require(half_open == worker.table.half_open, b"half_open", half_open, worker.table.half_open)
    fuzz_require(waiting == worker.table.waiting, b"waiting", waiting, worker.table.waiting)


cdef inline void audit_record(Worker *worker, uint32_t number) noexcept nogil:
    cdef TcpConn *conn = &worker.table.conns[number]
    cdef Session *session = &worker.sessions[number]
    cdef uint32_t i
    cdef uint64_t queued = 0
    cdef uint32_t window = conn.rcv_edge - conn.rcv_nxt
    fuzz_require(conn.state != TCP_CLOSED, b"a chained record is not CLOSED", number, conn.state)
    fuzz_require(seq_le(conn.snd_una, conn.snd_nxt), b"snd_una <= snd_nxt", conn.snd_una, conn.snd_nxt)
    fuzz_require(seq_le(conn.snd_nxt, conn.snd_max), b"snd_nxt <= snd_max", conn.snd_nxt, conn.snd_max)
    fuzz_require(
        conn.snd_max - conn.snd_una <= conn.send_queue + 1, b"nothing is sent that was not queued",
        conn.snd_max - conn.snd_una, <int64_t>conn.send_queue,
    )
    fuzz_require(window <= REQUEST_BUFFER_BYTES + 1, b"the receive window is at most a buffer", window, number)
    fuzz_require(conn.mss != 0 and conn.cwnd != 0, b"something can be sent", conn.mss, conn.cwnd)
    fuzz_require(conn.flags & CONN_TIMER_LISTED != 0, b"a record is in the wheel", number, conn.state)
    fuzz_require(
        conn.snd_max == conn.snd_una or conn.flags & CONN_RTO_ARMED != 0,
        b"what is in flight has a timer", conn.snd_max - conn.snd_una, conn.state,
    )
    for i in range(session.slot_count - (1 if BODY_NONE < session.body.state < BODY_BAD else 0)):    # staged
        queued += slot_bytes(&worker.service, session_slot(&worker.service, session, i))
    fuzz_require(
        session.first_offset == 0 or session.first_offset < queued, b"no more is acknowledged than was queued",
        <int64_t>session.first_offset, <int64_t>queued,
    )
    fuzz_require(
        queued - session.first_offset == conn.send_queue, b"TCP's queue is HTTP's",
        <int64_t>(queued - session.first_offset), <int64_t>conn.send_queue,
    )
    audit_flight(worker, conn)
    audit_reassembly(worker, number)
    fuzz_require(session.scanned <= session.buffered, b"scanned <= buffered", session.scanned, session.buffered)
    fuzz_require(
        (session.buffer == NIL) == (session.buffered == 0), b"a session has a buffer when it holds octets",
        session.buffer, session.buffered,
    )


cdef inline void audit_flight(Worker *worker, const TcpConn *conn) noexcept nogil:
    """The runs of a flight block are the octets in flight, without gap or overlap, and add up."""
    cdef const Flight *flight
    cdef uint32_t i, octets
    cdef uint32_t at = conn.snd_una
    cdef uint32_t total = 0
    if conn.flight == NIL:
        return
    fuzz_require(conn.flight < worker.flight_pool.pool.total, b"a flight block's number", conn.flight, 0)
    flight = &worker.flights[conn.flight]
    fuzz_require(flight.count > 0, b"a block holds something", flight.count, conn.state)
    fuzz_require(conn.snd_nxt == conn.snd_max, b"with a block nothing goes back", conn.snd_nxt, conn.snd_max)
    for i in range(flight.count):
        octets = flight.runs[i].end - flight.runs[i].start
        fuzz_require(flight.runs[i].start == at and octets - 1 < 1 << 30, b"runs join", flight.runs[i].start, at)
        fuzz_require(
            flight.runs[i].state & (RUN_SACKED | RUN_LOST) != RUN_SACKED | RUN_LOST, b"SACKed is not lost", i, 0
        )
        at = flight.runs[i].end
        total += octets
    fuzz_require(at == conn.snd_max, b"the last run ends the flight", at, conn.snd_max)
    fuzz_require(
        flight.pipe + flight.lost + flight.sacked == total, b"the runs add up", flight.pipe + flight.lost, total
    )


cdef inline void audit_reassembly(Worker *worker, uint32_t number) noexcept nogil:
    """What is held lies in the window, in order, with holes between; a FIN is the end of it."""
    cdef const TcpConn *conn = &worker.table.conns[number]
    cdef const Reassembly *block
    cdef uint32_t i
    cdef uint32_t at = conn.rcv_nxt
    if conn.reassembly == 0:
        return
    fuzz_require(
        conn.reassembly <= worker.reassembly_pool.pool.total, b"a reassembly block's number", conn.reassembly, 0
    )
    block = &worker.reassemblies[conn.reassembly - 1]
    fuzz_require(block.owner == number, b"a block's owner has it", block.owner, number)
    fuzz_require(0 < block.count <= REASSEMBLY_RUNS, b"a block holds something", block.count, conn.state)
    for i in range(block.count):
        fuzz_require(seq_lt(at, block.runs[i].start), b"a hole comes before each run", block.runs[i].start, at)
        at = block.runs[i].end
        fuzz_require(seq_lt(block.runs[i].start, at), b"a run is not empty", block.runs[i].start, at)
    fuzz_require(seq_le(at, conn.rcv_edge + 1), b"what is held is in the window", at, conn.rcv_edge)
    fuzz_require(not block.has_fin or block.fin_at + 1 == at, b"a FIN is the last that is held", block.fin_at, at)


cdef inline void audit_sources(Worker *worker) noexcept nogil:
    """Each established connection is counted once among its source's, and nobody else is."""
    cdef uint32_t number, cell
    cdef uint64_t tallied = 0
    cdef uint64_t counted = 0
    cdef TcpConn *conn
    if worker.sources.cells == NULL:
        return
    for number in range(worker.table.capacity):
        conn = &worker.table.conns[number]
        if conn.state == TCP_CLOSED or not conn.flags & CONN_TALLIED:
            continue
        tallied += 1
        fuzz_require(
            tally_of(&worker.sources, source_hash(worker, conn)) > 0, b"a source's tally is not too low", number, 0
        )
    for cell in range(worker.sources.mask + 1):
        counted += worker.sources.cells[cell]
    fuzz_require(tallied == counted, b"tallies add up", <int64_t>tallied, <int64_t>counted)


cdef inline void audit_wait_list(Worker *worker) noexcept nogil:
    """The list of TIME-WAIT holds them all, linked both ways."""
    cdef uint32_t number = worker.table.wait_oldest
    cdef uint32_t before = NIL
    cdef uint32_t found = 0
    while number != NIL and found <= worker.table.waiting:
        fuzz_require(worker.table.conns[number].state == TCP_TIME_WAIT, b"the wait list waits", number, found)
        fuzz_require(worker.table.conns[number].phase.wait.prev == before, b"wait_prev", number, before)
        before = number
        number = worker.table.conns[number].phase.wait.next
        found += 1
    fuzz_require(found == worker.table.waiting, b"the wait list is whole", found, worker.table.waiting)
    fuzz_require(before == worker.table.wait_newest, b"wait_newest", before, worker.table.wait_newest)


cdef inline void audit_wheel(Worker *worker) noexcept nogil:
    """Each listed connection is in the slot of its tick, and no other is."""
    cdef uint32_t slot, number, before
    cdef uint32_t found = 0
    cdef TcpConn *conn
    for slot in range(<uint32_t>(WHEEL_SLOTS + FAR_SLOTS)):
        number = worker.wheel.slots[slot]
        before = NIL
        while number != NIL and found <= worker.wheel.listed:
            conn = &worker.table.conns[number]
            fuzz_require(conn.flags & CONN_TIMER_LISTED != 0, b"what the wheel lists knows it", number, slot)
            fuzz_require(
                wheel_slot(conn.timer_at, conn.flags & CONN_TIMER_FAR != 0) == slot, b"a timer is in its slot",
                conn.timer_at, slot,
            )
            fuzz_require(conn.timer_prev == before, b"timer_prev", conn.timer_prev, before)
            before = number
            number = conn.timer_next
            found += 1
    fuzz_require(found == worker.wheel.listed, b"the wheel's count", found, worker.wheel.listed)


cdef inline void audit_listed(Worker *worker) noexcept nogil:
    cdef uint32_t listed = worker.listed_head - worker.listed_tail
    fuzz_require(listed <= worker.listed_mask + 1, b"the list of put-off output holds what it can", listed, 0)


cdef inline void audit_empty(Worker *worker) noexcept nogil:
    """The end: nothing is left of anyone."""
    fuzz_require(worker.table.in_use == 0, b"no connection is left", worker.table.in_use, 0)
    fuzz_require(worker.wheel.listed == 0, b"no timer is left", worker.wheel.listed, 0)
    audit_pools_whole(worker)
