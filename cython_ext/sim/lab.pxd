"""Two engines with a link each way between them, in virtual time: a server's worker and a client."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.client.dial cimport client_dial, client_turn
from cython_ext.client.state cimport FETCH_UNDER_WAY, Client
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.driver.memory cimport MemoryDriver, memory_collect, memory_complete, memory_inject
from cython_ext.sim.link cimport Link, link_offer, link_take
from cython_ext.worker.loop cimport worker_turn
from cython_ext.worker.state cimport Worker

cdef enum:
    TICK_SHIFT = 20

cdef enum LabResult:
    LAB_DONE = 0
    LAB_LATE = 1                # the time limit came first
    LAB_FULL = 2                # more frames under way than the links have room for
    LAB_NO_RECORD = 3           # a connection could not be opened

cdef struct Lab:
    Worker *worker
    Client *client
    MemoryDriver server_memory
    MemoryDriver *client_memory     # the client has its own
    Link to_client
    Link to_server
    uint64_t now_ns
    uint64_t turns
    uint32_t flows              # to be opened, one each
    uint32_t opened
    uint64_t spacing_ns         # between openings
    uint64_t next_open_ns


cdef inline LabResult lab_run(Lab *lab, uint64_t limit_ns) noexcept nogil:
    """Until every fetch is over."""
    while lab.now_ns < limit_ns:
        while lab.opened < lab.flows and lab.next_open_ns <= lab.now_ns:
            if client_dial(lab.client, lab.now_ns) == NIL:
                return LAB_NO_RECORD
            lab.opened += 1
            lab.next_open_ns += lab.spacing_ns
        if not lab_moment(lab):
            return LAB_FULL
        if lab.opened == lab.flows and not lab_busy(lab):
            return LAB_DONE
        lab_advance(lab)
    return LAB_LATE


cdef inline bint lab_busy(const Lab *lab) noexcept nogil:
    """A fetch is under way. Connections may still be closing then."""
    cdef uint32_t i
    for i in range(lab.opened):
        if lab.client.fetches[i].state == FETCH_UNDER_WAY:
            return True
    return False


cdef inline void lab_advance(Lab *lab) noexcept nogil:
    """To what comes next: a frame, an opening, or the next tick of the timers."""
    cdef uint64_t next_ns = ((lab.now_ns >> TICK_SHIFT) + 1) << TICK_SHIFT
    if lab.to_client.waiting:
        next_ns = min(next_ns, lab.to_client.heap[0].due_ns)
    if lab.to_server.waiting:
        next_ns = min(next_ns, lab.to_server.heap[0].due_ns)
    if lab.opened < lab.flows:
        next_ns = min(next_ns, lab.next_open_ns)
    lab.now_ns = max(next_ns, lab.now_ns)


cdef inline bint lab_moment(Lab *lab) noexcept nogil:
    """All that happens at the present time: engines take no time. False when a link has no slot left."""
    cdef bint more = True
    while more:
        deliver(&lab.to_server, &lab.server_memory, lab.now_ns)
        deliver(&lab.to_client, lab.client_memory, lab.now_ns)
        more = worker_turn(lab.worker, lab.now_ns) != 0
        more = client_turn(lab.client, lab.now_ns) != 0 or more
        more = more or lab.worker.listed_head != lab.worker.listed_tail
        lab.turns += 1
        if not carry_off(&lab.server_memory, &lab.to_client, lab.now_ns):
            return False
        if not carry_off(lab.client_memory, &lab.to_server, lab.now_ns):
            return False
    return True


cdef inline void deliver(Link *link, MemoryDriver *memory, uint64_t now_ns) noexcept nogil:
    """Frames that are due, as many as one turn takes."""
    cdef uint8_t *frame
    cdef uint32_t octets
    cdef uint32_t done = 0
    while done < BURST_FRAMES:
        octets = link_take(link, now_ns, &frame)
        if octets == 0:
            return
        memory_inject(memory, frame, octets)
        done += 1


cdef inline bint carry_off(MemoryDriver *memory, Link *link, uint64_t now_ns) noexcept nogil:
    cdef Frame frames[BURST_FRAMES]
    cdef uint32_t i, many
    cdef bint room = True
    while True:
        many = memory_collect(memory, frames, BURST_FRAMES)
        if many == 0:
            return room
        for i in range(many):
            room = link_offer(link, frames[i].data, frames[i].bytes, now_ns) and room
        memory_complete(memory, frames, many)
