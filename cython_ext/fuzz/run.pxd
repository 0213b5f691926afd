"""The fuzz loop: frames in, a turn, answers judged, frames completed late and in any order."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.base.frame cimport Frame
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.driver.memory cimport memory_collect, memory_complete, memory_inject
from cython_ext.driver.umem cimport umem_capacity
from cython_ext.fuzz.act cimport peer_act
from cython_ext.fuzz.audit cimport audit, audit_empty, audit_frames, fuzz_require
from cython_ext.fuzz.chance cimport (
    Choices, chance_below, chance_between, chance_next, chance_one_in, chance_seed, chance_size,
)
from cython_ext.fuzz.judge cimport judge_injected, judge_sent
from cython_ext.fuzz.mutate cimport draft_mutate, draft_noise
from cython_ext.fuzz.peer cimport DRAFT_BYTES, Corpus, draft_begin_only
from cython_ext.fuzz.reader cimport world_read
from cython_ext.fuzz.world cimport Totals, World, WorldPort, world_close, world_open
from cython_ext.worker.loop cimport worker_turn
from cython_ext.worker.state cimport atomic_store_u32

cdef extern from "abi/fuzz.h" nogil:
    void fuzz_watch()
    void fuzz_begin(uint64_t world, unsigned int limit_s)
    void fuzz_count()

cdef enum:
    AUDIT_EVERY_TURNS = 16
    WORLD_LIMIT_S = 60
    SETTLE_TURNS_MOST = 20000
    WORLD_FRAMES_LEAST = 2000
    WORLD_FRAMES_MOST = 40000
    BURST_MOST = 96


cdef inline void world_draft(World *world) noexcept nogil:
    """The next frame."""
    cdef Choices *chance = &world.chance
    cdef uint32_t number = chance_below(chance, world.shape.peers)
    cdef uint32_t most = min(umem_capacity(&world.ports[0].memory.umem), <uint32_t>DRAFT_BYTES)
    if chance_below(chance, 100) >= world.shape.noise:
        peer_act(&world.judge.peers[number], chance, &world.corpus, world.shape.mtu - 100, &world.draft)
    elif chance_one_in(chance, 6):
        draft_noise(&world.draft, chance, most)
    else:
        peer_act(&world.judge.peers[number], chance, &world.corpus, world.shape.mtu - 100, &world.draft)
        draft_mutate(&world.draft, chance, most)
    if world.shape.partial and chance_one_in(chance, 3):
        draft_begin_only(&world.draft)


cdef inline uint32_t world_inject(World *world) noexcept nogil:
    """A burst on the ports; returns how many frames found room."""
    cdef uint32_t _i
    cdef uint32_t taken = 0
    cdef uint32_t port
    for _i in range(1 + chance_size(&world.chance, BURST_MOST)):
        world_draft(world)
        port = chance_below(&world.chance, world.shape.ports)
        if memory_inject(&world.ports[port].memory, world.draft.octets, world.draft.bytes):
            judge_injected(&world.judge, world.draft.octets, world.draft.bytes)
            fuzz_count()
            taken += 1
    return taken


cdef inline void world_collect(World *world) noexcept nogil:
    """All that the engine sent is judged and held."""
    cdef uint32_t i, k, many
    cdef WorldPort *port
    for i in range(world.shape.ports):
        port = &world.ports[i]
        while True:
            many = memory_collect(&port.memory, port.held + port.held_count, BURST_FRAMES)
            if many == 0:
                break
            for k in range(many):
                judge_sent(&world.judge, port.held[port.held_count + k].data, port.held[port.held_count + k].bytes)
            port.held_count += many


cdef inline void world_complete(World *world, bint everything) noexcept nogil:
    """The device finishes with some of the frames, in any order."""
    cdef uint32_t i, which, left
    cdef WorldPort *port
    for i in range(world.shape.ports):
        port = &world.ports[i]
        left = 0 if everything or chance_one_in(&world.chance, 2) else chance_below(
            &world.chance, port.held_count + 1
        )
        while port.held_count > left:
            which = chance_below(&world.chance, port.held_count)
            memory_complete(&port.memory, &port.held[which], 1)
            port.held_count -= 1
            port.held[which] = port.held[port.held_count]


cdef inline uint64_t some_time_ns(World *world) noexcept nogil:
    """From nothing to minutes."""
    cdef Choices *chance = &world.chance
    cdef uint32_t which = chance_below(chance, 100)
    if chance_one_in(chance, world.shape.leaps):
        return <uint64_t>chance_below(chance, 130000) * 1000000
    if which < 60:
        return chance_below(chance, 200000)
    if which < 90:
        return chance_below(chance, 5000000)
    return chance_below(chance, 400000000)


cdef inline void world_step(World *world, bint everything) noexcept nogil:
    world.judge.cookies_before = world.judge.cookies_accepted[0]
    worker_turn(world.worker, world.now_ns)
    audit_frames(world.worker)
    world_read(world, everything)
    world_collect(world)
    world_complete(world, everything)
    audit_frames(world.worker)
    world.turns += 1
    if world.turns % AUDIT_EVERY_TURNS == 0:
        audit(world.worker, world.marks)


cdef inline bint world_is_quiet(const World *world) noexcept nogil:
    """No connection, and no frame on its way."""
    cdef uint32_t i, here
    for i in range(world.shape.ports):
        here = world.ports[i].memory.umem.rx_free + world.ports[i].memory.umem.tx_free
        if here + world.worker.ports[i].stash_count != world.ports[i].plain.frames_total:
            return False
    return world.worker.table.in_use == 0


cdef inline void world_settle(World *world) noexcept nogil:
    """Nobody speaks any more: time alone must empty the worker."""
    cdef uint32_t _i
    for _i in range(<uint32_t>SETTLE_TURNS_MOST):
        world.now_ns += chance_below(&world.chance, 500000000)
        world_step(world, True)
        if world_is_quiet(world):
            break
    world_step(world, True)
    audit(world.worker, world.marks)
    audit_empty(world.worker)


cdef inline void world_run(
    uint64_t seed, uint64_t frames, const uint8_t *image, const Corpus *corpus, Totals *totals
) noexcept nogil:
    """One world from its seed, for `frames` frames at least."""
    cdef World *world
    cdef uint64_t taken = 0
    cdef uint64_t drain_at
    fuzz_begin(seed, WORLD_LIMIT_S)
    world = world_open(seed, image, corpus)
    drain_at = frames // 2 if world.shape.drains else frames * 2
    while taken < frames:
        taken += world_inject(world)
        world_step(world, False)
        world.now_ns += some_time_ns(world)
        if taken >= drain_at:
            atomic_store_u32(&world.worker.drain, 1)
    world_settle(world)
    totals.worlds += 1
    totals.frames += taken
    totals.turns += world.turns
    totals.judged += world.judge.judged
    totals.payload_octets += world.judge.payload_octets
    world_close(world, totals)


cdef inline void fuzz_run(
    uint64_t seed, uint64_t frames, const uint8_t *image, const Corpus *corpus, Totals *totals
) noexcept nogil:
    """World after world until `frames` more frames were injected."""
    cdef Choices chance
    cdef uint64_t until = totals.frames + frames
    cdef uint64_t world_seed
    chance_seed(&chance, seed)
    while totals.frames < until:
        world_seed = chance_next(&chance)
        world_run(
            world_seed, frames_of_world(world_seed), image, corpus, totals
        )


cdef inline uint64_t frames_of_world(uint64_t seed) noexcept nogil:
    """Told by its seed alone, so that a world can be run again by itself."""
    cdef Choices chance
    chance_seed(&chance, seed ^ 1)
    return chance_between(&chance, WORLD_FRAMES_LEAST, WORLD_FRAMES_MOST)
