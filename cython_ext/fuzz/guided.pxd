"""One input of the coverage-guided fuzzer is one life of a small world: a tape of choices.

The first octets choose the world, the rest is what its clients, its device and its clock do, by the same
grammar of actions as in random worlds. When the tape ends nobody speaks any more.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from cython_ext.fuzz.chance cimport Choices, chance_seed, chance_take
from cython_ext.fuzz.peer cimport Corpus
from cython_ext.fuzz.plant cimport plant_grow
from cython_ext.fuzz.run cimport fuzz_begin, some_time_ns, world_inject, world_settle, world_step
from cython_ext.fuzz.world cimport Shape, Totals, World, world_build, world_close
from cython_ext.worker.state cimport atomic_store_u32

cdef enum:
    GUIDED_KNOWN_BITS = 1 << 14
    GUIDED_WITNESS_BYTES = 1 << 16


cdef inline void shape_take(Shape *shape, Choices *tape) noexcept nogil:
    """Small, so that a life is short; two connections are enough to fill a table."""
    cdef uint32_t bits = chance_take(tape, 1)
    memset(shape, 0, sizeof(Shape))
    shape.rx_frames = 64
    shape.tx_frames = 32
    shape.connections = (<uint32_t>2) << (bits & 3)
    shape.request_buffers = 2 + (bits >> 2 & 3)
    shape.frame_bytes = 2048
    shape.mtu = 576 if bits & 16 else 1500
    shape.faults = bits & 0xe0 == 0xe0
    shape.stingy = bits & 0xe0 == 0x60
    shape.partial = bits & 0xe0 == 0xa0
    bits = chance_take(tape, 1)
    shape.peers = 1 + (bits & 7)
    shape.ports = 1 + (bits >> 3 & 1)
    shape.drains = bits >> 4 == 15
    shape.noise = 6
    shape.leaps = 16
    shape.known_bits = GUIDED_KNOWN_BITS
    shape.witness_bytes = GUIDED_WITNESS_BYTES


cdef inline World *guided_open(
    const uint8_t *data, uint32_t octets, const uint8_t *image, const Corpus *corpus
) noexcept nogil:
    cdef Choices tape, chance
    cdef Shape shape
    cdef World *world
    chance_seed(&tape, 0)
    tape.tape = data
    tape.left = octets
    shape_take(&shape, &tape)
    chance_seed(&chance, chance_take(&tape, 2))
    world = world_build(&shape, &chance, image, corpus)
    world.chance = tape
    return world


cdef inline void guided_world(
    const uint8_t *data, uint32_t octets, const uint8_t *image, const Corpus *corpus, const Corpus *files,
    uint32_t plant, Totals *totals,
) noexcept nogil:
    """From the first octet of the tape until every connection is gone and every frame is home."""
    cdef World *world
    cdef uint32_t drain_left = octets // 2
    fuzz_begin(0, 0)
    world = guided_open(data, octets, image, corpus)
    world.judge.files = files[0]
    while world.chance.left:
        totals.frames += world_inject(world)
        world_step(world, False)
        plant_grow(world, plant)
        world.now_ns += some_time_ns(world)
        if world.shape.drains and world.chance.left < drain_left:
            atomic_store_u32(&world.worker.drain, 1)
    chance_seed(&world.chance, 1)
    world_settle(world)
    totals.worlds += 1
    totals.turns += world.turns
    totals.judged += world.judge.judged
    totals.payload_octets += world.judge.payload_octets
    world_close(world, totals)
