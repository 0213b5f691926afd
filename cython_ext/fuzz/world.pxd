"""A worker among hostile clients: built from a seed, run for some frames, then left alone until empty."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from cython_ext.base.counters cimport C_COOKIES_ACCEPTED, COUNTER_COUNT, Counters
from cython_ext.base.frame cimport Frame
from cython_ext.content.window cimport WINDOWS_LEAST
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.faults cimport FaultRates, FaultyDriver, faulty_close, faulty_driver, faulty_open
from cython_ext.driver.memory cimport MemoryDriver, memory_close, memory_driver, memory_open
from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.chance cimport (
    Choices, chance_below, chance_between, chance_next, chance_one_in, chance_seed,
)
from cython_ext.fuzz.judge cimport Judge
from cython_ext.fuzz.peer cimport SERVER_PORT, Corpus, Draft, Peer, peer_start
from cython_ext.fuzz.stingy cimport StingyDriver, stingy_driver
from cython_ext.fuzz.tap cimport TapDriver, tap_driver
from cython_ext.fuzz.witness cimport Witness
from cython_ext.worker.state cimport Worker, WorkerConfig, worker_init, worker_release

cdef enum:
    WORLD_PORTS = 2
    WORLD_POOL_MOST = 1024          # of any pool but that of connections
    WORLD_KNOWN_BITS = 1 << 24      # no two sources of a long run share one, as good as

cdef struct WorldPort:
    MemoryDriver memory
    FaultyDriver faulty
    StingyDriver stingy
    TapDriver tap
    Driver plain            # of `memory`
    Driver wrapped          # of `faulty`
    Driver outer            # of `stingy`
    Driver tapped           # what the worker sees
    Frame *held             # collected from the engine, not yet completed
    uint32_t held_count

cdef struct Shape:
    uint32_t rx_frames
    uint32_t tx_frames
    uint32_t frame_bytes
    uint32_t mtu
    uint32_t connections
    uint32_t request_buffers
    uint32_t peers
    uint32_t ports
    uint32_t leaps          # one turn in so many is followed by a leap in time
    uint32_t noise          # of a hundred frames, how many are mutated or random
    uint32_t witness_bytes  # of a connection, how many are compared
    uint32_t known_bits     # of the judge's set of sources, a power of two
    bint faults
    bint stingy
    bint partial
    bint drains             # the worker is told to drain on the way

cdef struct World:
    Choices chance
    Shape shape
    Worker *worker
    WorldPort *ports
    Judge judge
    Corpus corpus
    Draft draft
    const uint8_t *image
    uint64_t now_ns
    uint64_t turns
    uint8_t *marks          # for audits
    uint8_t *streams        # what witnesses keep

cdef struct Totals:
    uint64_t worlds
    uint64_t frames         # injected
    uint64_t refused        # not injected: the RX pool was empty
    uint64_t turns
    uint64_t judged         # frames of the engine
    uint64_t payload_octets
    uint64_t compared       # octets of bodies that were a file's
    uint64_t faults         # by the faulty driver, all kinds
    uint64_t parsed         # requests given to the parser alone
    Counters counters


cdef inline void shape_choose(Shape *shape, Choices *chance) noexcept nogil:
    cdef bint tiny = chance_one_in(chance, 2)
    shape.rx_frames = 64 if tiny else 1024
    shape.tx_frames = 32 if tiny else 1024
    shape.connections = 64 if tiny else 1024
    shape.request_buffers = 8 if tiny else 256
    shape.peers = chance_between(chance, 40, 90 if tiny else 400)
    shape.ports = 1 + chance_below(chance, WORLD_PORTS)
    shape.frame_bytes = 4096 if chance_one_in(chance, 4) else 2048
    shape.known_bits = WORLD_KNOWN_BITS
    shape.witness_bytes = 32768
    shape.mtu = 1500
    if chance_one_in(chance, 3):
        shape.mtu = 576 if shape.frame_bytes == 2048 else 3000
    shape.leaps = chance_between(chance, 50, 2000)
    shape.noise = <uint32_t>3 << 2 * chance_below(chance, 3)
    shape.faults = chance_one_in(chance, 3)
    shape.stingy = chance_one_in(chance, 3)
    shape.partial = chance_one_in(chance, 4)
    shape.drains = chance_one_in(chance, 8)


cdef inline void config_choose(WorkerConfig *config, const Shape *shape, Choices *chance) noexcept nogil:
    memset(config, 0, sizeof(WorkerConfig))
    config.connections = shape.connections
    config.request_buffers = shape.request_buffers
    config.flights = chance_between(chance, 1, 64)
    config.windows = WINDOWS_LEAST
    config.reassemblies = chance_between(chance, 1, 8)
    config.newreno = chance_one_in(chance, 4)
    config.mtu = shape.mtu
    config.idle_ticks = chance_between(chance, 500, 60000)
    config.header_ticks = chance_between(chance, 200, 10000)
    config.time_wait_ticks = chance_between(chance, 1, 60000)
    config.wall_offset_ns = 1700000000 * <int64_t>1000000000
    config.table_key.k0 = chance_next(chance)
    config.table_key.k1 = chance_next(chance)
    config.isn_key.k0 = chance_next(chance)
    config.isn_key.k1 = chance_next(chance)
    config.per_source = chance_between(chance, 1, 20) if chance_one_in(chance, 3) else 0


cdef inline uint64_t first_ns(Choices *chance) noexcept nogil:
    """Anywhere; often a little before ticks, or microseconds, wrap at 2^32."""
    cdef uint32_t which = chance_below(chance, 3)
    if which == 0:
        return chance_next(chance) >> 12
    if which == 1:
        return (<uint64_t>1 << 52) - chance_below(chance, 20) * <uint64_t>1000000000
    return (<uint64_t>1 << 32) * 1000 - chance_below(chance, 20) * <uint64_t>1000000000


cdef inline World *world_open(uint64_t seed, const uint8_t *image, const Corpus *corpus) noexcept nogil:
    """One that is as the seed says."""
    cdef Shape shape
    cdef Choices chance
    chance_seed(&chance, seed)
    shape_choose(&shape, &chance)
    return world_build(&shape, &chance, image, corpus)


cdef inline World *world_build(
    const Shape *shape, const Choices *chance, const uint8_t *image, const Corpus *corpus
) noexcept nogil:
    """Aborts when there is no memory: a fuzzer has no other use for it."""
    cdef World *world = <World *>calloc(1, sizeof(World))
    cdef WorkerConfig config
    cdef uint32_t i
    cdef int result
    fuzz_require(world != NULL, b"memory for a world", 0, 0)
    world.chance = chance[0]
    world.shape = shape[0]
    world.corpus = corpus[0]
    world.image = image
    config_choose(&config, &world.shape, &world.chance)
    world.now_ns = first_ns(&world.chance)
    world.worker = <Worker *>calloc(1, sizeof(Worker))
    world.ports = <WorldPort *>calloc(WORLD_PORTS, sizeof(WorldPort))
    world.marks = <uint8_t *>calloc(max(world.shape.connections, <uint32_t>WORLD_POOL_MOST), 1)
    world.judge.known = <uint8_t *>calloc(shape.known_bits // 8, 1)
    world.judge.known_mask = shape.known_bits - 1
    world.judge.peers = <Peer *>calloc(world.shape.peers, sizeof(Peer))
    world_add_witnesses(world)
    result = worker_init(world.worker, &config, image, world.now_ns)
    fuzz_require(result == 0, b"memory for a worker", 0, 0)
    world.judge.peer_count = world.shape.peers
    world.judge.cookies_accepted = &world.worker.counters.value[<int>C_COOKIES_ACCEPTED]
    world.judge.mtu = world.shape.mtu
    chance_seed(&world.judge.chance, chance_next(&world.chance))
    world.judge.faithful = not world.shape.faults
    world.judge.in_order = not world.shape.faults and world.shape.ports == 1
    for i in range(world.shape.peers):
        peer_start(&world.judge.peers[i], i, &world.chance, corpus.entries)
    world_set_addresses(world)
    for i in range(world.shape.ports):
        world_add_port(world, i)
    return world


cdef inline void world_add_witnesses(World *world) noexcept nogil:
    cdef uint32_t i
    world.streams = <uint8_t *>malloc(world.shape.peers * world.shape.witness_bytes)
    world.judge.witnesses = <Witness *>calloc(world.shape.peers, sizeof(Witness))
    fuzz_require(world.streams != NULL, b"memory for witnesses", 0, 0)
    for i in range(world.shape.peers):
        world.judge.witnesses[i].octets = world.streams + i * world.shape.witness_bytes
        world.judge.witnesses[i].room = world.shape.witness_bytes


cdef inline void world_set_addresses(World *world) noexcept nogil:
    """10.0.0.1, 10.0.0.2, fd00::1, port 80."""
    cdef Worker *worker = world.worker
    worker.local.count = 3
    worker.local.port = SERVER_PORT
    worker.local.address[0].version = 4
    memcpy(worker.local.address[0].octets, b"\x0a\0\0\1", 4)
    worker.local.address[1].version = 4
    memcpy(worker.local.address[1].octets, b"\x0a\0\0\2", 4)
    worker.local.address[2].version = 6
    memcpy(worker.local.address[2].octets, b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16)


cdef inline void world_add_port(World *world, uint32_t number) noexcept nogil:
    """The memory driver, behind faults and stinginess where the shape says so."""
    cdef WorldPort *port = &world.ports[number]
    cdef Driver *below = &port.plain
    cdef FaultRates rx, tx
    cdef Choices chance
    cdef int result
    chance_seed(&chance, chance_next(&world.chance))
    result = memory_open(
        &port.memory, world.shape.rx_frames, world.shape.tx_frames, world.shape.frame_bytes
    )
    fuzz_require(result == 0, b"memory for frames", result, 0)
    memory_driver(&port.memory, &port.plain)
    port.held = <Frame *>calloc(port.plain.frames_total, sizeof(Frame))
    if world.shape.faults:
        rates_choose(&rx, &world.chance)
        rates_choose(&tx, &world.chance)
        tx.corrupt_ppm = 0                  # what the engine sends is judged
        rx.corrupt_ppm = 0 if world.shape.partial else rx.corrupt_ppm
        fuzz_require(faulty_open(&port.faulty, below, &rx, &tx, chance.seeded.state), b"memory for faults", 0, 0)
        faulty_driver(&port.faulty, &port.wrapped)
        below = &port.wrapped
    if world.shape.stingy:
        stingy_driver(&port.stingy, below, &chance, &port.outer)
        below = &port.outer
    tap_driver(&port.tap, below, &world.judge, &port.tapped)
    world.worker.ports[number].driver = &port.tapped
    world.worker.ports[number].accept_partial = world.shape.partial
    memcpy(world.worker.ports[number].mac, b"\x02\0\0\0\0\1", 6)
    world.worker.port_count = number + 1


cdef inline void rates_choose(FaultRates *rates, Choices *chance) noexcept nogil:
    rates.drop_ppm = chance_below(chance, 100000)
    rates.duplicate_ppm = chance_below(chance, 100000)
    rates.reorder_ppm = chance_below(chance, 200000)
    rates.corrupt_ppm = chance_below(chance, 100000)


cdef inline void world_close(World *world, Totals *totals) noexcept nogil:
    """Every frame is home, then everything is released."""
    cdef uint32_t i
    cdef WorldPort *port
    cdef uint32_t stash
    for i in range(<uint32_t>COUNTER_COUNT):
        totals.counters.value[i] += world.worker.counters.value[i]
    for i in range(world.shape.peers):
        totals.compared += world.judge.witnesses[i].compared
    for i in range(world.shape.ports):
        port = &world.ports[i]
        stash = world.worker.ports[i].stash_count
        if world.shape.faults:
            totals.faults += port.faulty.rx_counts.dropped + port.faulty.rx_counts.duplicated
            totals.faults += port.faulty.rx_counts.reordered + port.faulty.rx_counts.corrupted
            totals.faults += port.faulty.tx_counts.dropped + port.faulty.tx_counts.duplicated
            totals.faults += port.faulty.tx_counts.reordered
            faulty_close(&port.faulty)
        fuzz_require(
            port.memory.umem.rx_free == world.shape.rx_frames, b"the RX pool is whole",
            port.memory.umem.rx_free, world.shape.rx_frames,
        )
        fuzz_require(
            port.memory.umem.tx_free + stash == world.shape.tx_frames, b"the TX pool is whole",
            port.memory.umem.tx_free, stash,
        )
        fuzz_require(port.memory.umem.refused == 0, b"no frame was put back twice", 0, 0)
        totals.refused += port.memory.inject_refused
        memory_close(&port.memory)
        free(port.held)
    worker_release(world.worker)
    free(world.worker)
    free(world.ports)
    free(world.marks)
    free(world.streams)
    free(world.judge.witnesses)
    free(world.judge.known)
    free(world.judge.peers)
    free(world)
