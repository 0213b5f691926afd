"""Faults put into a guided world on purpose: proof that its invariants are looked at (tests/fuzz/test_guided.py)."""

from libc.stdint cimport uint8_t, uint32_t

from cython_ext.base.counters cimport C_FAST_RETRANSMIT, C_RESPONSES_2XX
from cython_ext.fuzz.audit cimport audit, fuzz_require
from cython_ext.fuzz.world cimport World
from cython_ext.tcp.conn cimport TCP_ESTABLISHED

cdef enum Plant:
    PLANT_NONE
    PLANT_LEAK              # a frame of the TX pool vanishes
    PLANT_SEQUENCE          # a connection takes for acknowledged what was never sent
    PLANT_BUFFER            # a request buffer vanishes
    PLANT_WINDOW            # the peers never offered a window
    PLANT_BODY              # a file has other octets than the site serves
    PLANT_RESENT            # the first octet of a connection was another
    PLANT_RESENT_FAULTY     # the same, and only where the driver loses, doubles and delays
    PLANT_DEEP              # none at all, but an end that only deep worlds come to


cdef inline void plant_grow(World *world, uint32_t plant) noexcept nogil:
    """Between two turns. Most wait until something was answered, so that a world must come so far."""
    cdef uint32_t i
    if plant == PLANT_NONE:
        return
    if plant == PLANT_WINDOW:
        for i in range(world.shape.peers):
            world.judge.peers[i].edge_window = 0
    if world.worker.counters.value[<int>C_RESPONSES_2XX] == 0:
        return
    if plant == PLANT_LEAK and world.ports[0].memory.umem.tx_free:
        world.ports[0].memory.umem.tx_free -= 1
    elif plant == PLANT_BUFFER and world.worker.service.buffers.pool.available:
        world.worker.service.buffers.pool.available -= 1
    elif plant == PLANT_SEQUENCE:
        plant_sequence(world)
    elif plant == PLANT_RESENT or plant == PLANT_RESENT_FAULTY and world.shape.faults:
        for i in range(world.shape.peers):
            if world.judge.witnesses[i].at:         # it is read: only when it comes again it is looked at
                world.judge.witnesses[i].octets[0] = 0
    elif plant == PLANT_DEEP:
        fuzz_require(
            world.worker.counters.value[<int>C_FAST_RETRANSMIT] == 0, b"planted: a fast retransmission", 0, 0
        )


cdef inline void plant_sequence(World *world) noexcept nogil:
    cdef uint32_t i
    for i in range(world.worker.table.capacity):
        if world.worker.table.conns[i].state == TCP_ESTABLISHED:
            world.worker.table.conns[i].snd_una = world.worker.table.conns[i].snd_nxt + 1
    audit(world.worker, world.marks)        # at once: other invariants would notice, too


cdef inline void plant_body(uint8_t *octets, uint32_t count) noexcept nogil:
    """PLANT_BODY, before the first world: of the files as the witness knows them."""
    cdef uint32_t i
    for i in range(count):
        octets[i] ^= 1
