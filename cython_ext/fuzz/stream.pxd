"""Requests over one connection: whole, octet by octet and with more behind them, the answers are the same.

The engine alone, without loss and with one client that takes everything at once. What the responses are is
for the witness to judge; here only that they do not depend on how the requests were cut.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.chance cimport Choices, chance_seed
from cython_ext.fuzz.judge cimport judge_injected
from cython_ext.fuzz.peer cimport PEER_OPEN, PEER_SYN_SENT, Corpus, Peer, draft_segment, peer_start
from cython_ext.fuzz.run cimport fuzz_begin, memory_inject, world_settle, world_step
from cython_ext.fuzz.world cimport Shape, Totals, World, world_build, world_close
from cython_ext.wire.bytes cimport store_be32

cdef enum:
    STREAM_MOST = 1200              # octets of requests
    STREAM_ANSWER_MOST = 1 << 16    # octets of the answers that are compared
    STREAM_QUIET_TURNS = 3          # without an answer, until there is none
    STREAM_TURNS_MOST = 4000
    STREAM_STEP_NS = 100000         # so many turns are less than a second: no date changes
    STREAM_WINDOW = 60000
    SYN = 2
    PSH_ACK = 24
    ACK = 16

cdef struct Answer:
    uint8_t octets[STREAM_ANSWER_MOST]
    uint32_t bytes
    uint32_t taken                  # octets of requests acknowledged


cdef inline World *stream_open(const uint8_t *image, const Corpus *corpus, const Corpus *files) noexcept nogil:
    """A small world with one client that is never contrary."""
    cdef Choices chance
    cdef Shape shape
    cdef World *world
    memset(&shape, 0, sizeof(Shape))
    shape.rx_frames = 32
    shape.tx_frames = 64
    shape.frame_bytes = 2048
    shape.mtu = 1500
    shape.connections = 4
    shape.request_buffers = 4
    shape.peers = 1
    shape.ports = 1
    shape.known_bits = 1 << 10
    shape.witness_bytes = STREAM_ANSWER_MOST
    chance_seed(&chance, 7)
    world = world_build(&shape, &chance, image, corpus)
    world.judge.files = files[0]
    world.judge.chance.tape = image         # a tape at its end: nothing unusual happens
    world.judge.chance.left = 0
    world.now_ns = (world.now_ns // 1000000000 + 1) * 1000000000     # a second begins
    return world


cdef inline void stream_say(World *world, uint32_t flags, const uint8_t *data, uint32_t octets) noexcept nogil:
    """One segment of the client, and the engine's turn."""
    cdef Peer *peer = &world.judge.peers[0]
    if octets:
        memcpy(world.draft.payload, data, octets)
    draft_segment(&world.draft, peer, peer.snd_nxt, peer.rcv_nxt if flags & ACK else 0, flags, STREAM_WINDOW, octets)
    fuzz_require(
        memory_inject(&world.ports[0].memory, world.draft.octets, world.draft.bytes), b"a frame has room", octets, 0
    )
    judge_injected(&world.judge, world.draft.octets, world.draft.bytes)
    world_step(world, True)
    world.now_ns += STREAM_STEP_NS


cdef inline void stream_connect(World *world) noexcept nogil:
    cdef Peer *peer = &world.judge.peers[0]
    peer_start(peer, 0, &world.judge.chance, 1)
    peer.isn = 5000
    peer.snd_nxt = peer.isn
    peer.state = PEER_SYN_SENT
    world.draft.option_bytes = 4
    store_be32(world.draft.options, 0x020405b4)
    stream_say(world, SYN, NULL, 0)
    fuzz_require(peer.state == PEER_OPEN, b"a client is let in", peer.state, 0)
    world.draft.option_bytes = 0
    stream_say(world, ACK, NULL, 0)


cdef inline void stream_run(
    const uint8_t *data, uint32_t octets, uint32_t piece, const uint8_t *image, const Corpus *corpus,
    const Corpus *files, bint settle, Totals *totals, Answer *answer,
) noexcept nogil:
    """All of the requests in pieces; then until nothing more is answered. settle: and until time has emptied
    the worker."""
    cdef World *world = stream_open(image, corpus, files)
    cdef Peer *peer = &world.judge.peers[0]
    cdef uint32_t quiet = 0
    cdef uint32_t _turn, done, heard
    stream_connect(world)
    for _turn in range(<uint32_t>STREAM_TURNS_MOST):
        if peer.state != PEER_OPEN or quiet == STREAM_QUIET_TURNS:
            break
        done = min(peer.snd_nxt - peer.isn - 1, octets)
        heard = peer.rcv_nxt
        if done < octets:
            stream_say(world, PSH_ACK, data + done, min(piece, octets - done))
        else:
            stream_say(world, ACK, NULL, 0)
        quiet = quiet + 1 if heard == peer.rcv_nxt and done == min(peer.snd_nxt - peer.isn - 1, octets) else 0
    answer.taken = min(peer.acked - peer.isn - 1, octets)
    answer.bytes = world.judge.witnesses[0].bytes
    memcpy(answer.octets, world.judge.witnesses[0].octets, answer.bytes)
    if settle:
        chance_seed(&world.chance, 1)
        world_settle(world)
    totals.worlds += 1
    totals.turns += world.turns
    totals.judged += world.judge.judged
    world_close(world, totals)


cdef inline void stream_judge(
    const uint8_t *data, uint32_t octets, const uint8_t *image, const Corpus *corpus, const Corpus *files,
    Totals *totals, Answer *whole, Answer *other,
) noexcept nogil:
    """An empty line ends the head that is last: until then it is not judged when it comes in pieces."""
    cdef uint8_t longer[STREAM_MOST + 64]
    if octets > STREAM_MOST:
        return
    memcpy(longer, data, octets)
    memcpy(longer + octets, b"\r\n\r\nGET /one.txt HTTP/1.1\r\nHost: b\r\n\r\n", 38)
    octets += 4
    fuzz_begin(0, 0)
    stream_run(longer, octets, 1400, image, corpus, files, True, totals, whole)
    stream_run(longer, octets, 1, image, corpus, files, False, totals, other)
    stream_same(whole, other, b"answers do not depend on cuts, octet by octet")
    stream_run(longer, octets, 2 + octets // 3, image, corpus, files, False, totals, other)
    stream_same(whole, other, b"answers do not depend on cuts")
    stream_run(longer, octets + 34, 1400, image, corpus, files, False, totals, other)
    fuzz_require(
        other.bytes >= whole.bytes and memcmp(other.octets, whole.octets, whole.bytes) == 0,
        b"what follows does not change an answer", whole.bytes, other.bytes,
    )


cdef inline void stream_same(const Answer *one, const Answer *other, const char *what) noexcept nogil:
    fuzz_require(
        one.bytes == other.bytes and memcmp(one.octets, other.octets, one.bytes) == 0, what, one.bytes, other.bytes
    )
