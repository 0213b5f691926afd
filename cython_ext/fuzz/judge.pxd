"""The engine's answers: each is judged, and the peer it goes to learns from it."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.chance cimport Choices, chance_one_in
from cython_ext.fuzz.packet cimport Packet, packet_read, packet_sum, plain_fold, plain_sum
from cython_ext.fuzz.peer cimport (
    LINES, PEER_CLOSED, PEER_OPEN, PEER_SYN_SENT, SERVER_PORT, Corpus, Peer, peer_is_v6, peer_port,
    put_peer_address, put_server_address,
)
from cython_ext.fuzz.witness cimport Witness, witness_begin, witness_take
from cython_ext.wire.bytes cimport load_be16, load_be32

cdef extern from "abi/fuzz.h" nogil:
    void fuzz_judge(const uint8_t *frame, uint32_t octets)

cdef enum:
    NEAR = 1 << 20                  # sequence numbers further off than this are no part of a connection
    BEHIND = 1 << 26                # so far acknowledgements of what was never sent may lead away, step by step

cdef struct Judge:
    Choices chance
    Peer *peers
    uint32_t peer_count
    Witness *witnesses              # of each peer
    const uint64_t *cookies_accepted    # the worker's count
    uint64_t cookies_before         # of it, when the turn began
    Corpus files                    # of the site; no entries: bodies are not compared
    uint32_t mtu
    bint faithful                   # what arrives is what was injected: no source but those is answered
    bint in_order                   # nothing sent comes late or twice: windows can be judged
    uint8_t *known                  # sources of injected frames, by hash: a set of `known_mask` + 1 bits
    uint32_t known_mask
    uint64_t judged
    uint64_t payload_octets


cdef inline uint32_t known_bit(
    const Judge *judge, const uint8_t *address, uint32_t octets, uint32_t port
) noexcept nogil:
    cdef uint64_t hash = port + 0x9e3779b97f4a7c15ULL
    cdef uint32_t i
    for i in range(octets):
        hash = (hash ^ address[i]) * 0x100000001b3ULL
    return <uint32_t>(hash ^ (hash >> 32)) & judge.known_mask


cdef inline Peer *judge_peer(
    Judge *judge, const uint8_t *address, const uint8_t *server, uint32_t octets, uint32_t port
) noexcept nogil:
    """The peer with this address and port that speaks to this address of the server, or NULL."""
    cdef uint8_t own[16]
    cdef uint32_t number = load_be32(address + octets - 4) - 1
    cdef Peer *peer
    if octets == 4:
        number -= 0x0a4d0000
    if number >= judge.peer_count:
        return NULL
    peer = &judge.peers[number]
    if peer_is_v6(peer) != (octets == 16) or peer_port(peer) != port:
        return NULL
    put_server_address(peer, own)
    if memcmp(own, server, octets) != 0:
        return NULL
    put_peer_address(peer, own)
    return peer if memcmp(own, address, octets) == 0 else NULL


cdef inline void judge_injected(Judge *judge, const uint8_t *frame, uint32_t octets) noexcept nogil:
    """Notes who may be answered, and what windows a peer may have offered, mutated frames included."""
    cdef Packet packet
    cdef Peer *peer
    cdef uint32_t bit, i
    if not packet_read(frame, octets, &packet):
        return
    bit = known_bit(judge, packet.source, packet.address_bytes, packet.source_port)
    judge.known[bit >> 3] |= <uint8_t>(1 << (bit & 7))
    peer = judge_peer(
        judge, packet.source, packet.destination, packet.address_bytes, packet.source_port
    )
    if peer == NULL:
        return
    if packet.flags & 2:
        peer.scale_seen = max(peer.scale_seen, scale_of_syn(frame + packet.tcp, packet.header_bytes))
    peer.edge_window = max(peer.edge_window, <uint64_t>packet.window << peer.scale_seen)
    if packet.flags & 16:
        for i in range(<uint32_t>LINES):
            if packet.ack - peer.lines[i] < NEAR:
                peer.lines[i] = packet.ack


cdef inline uint8_t scale_of_syn(const uint8_t *tcp, uint32_t header_bytes) noexcept nogil:
    """The largest that any reading of the options can give: wherever 3, 3, n stands."""
    cdef uint32_t i
    cdef uint8_t most = 0
    for i in range(20, header_bytes - 2):
        if tcp[i] == 3 and tcp[i + 1] == 3:
            most = max(most, min(tcp[i + 2], <uint8_t>14))
    return most


cdef inline void judge_sent(Judge *judge, const uint8_t *frame, uint32_t octets) noexcept nogil:
    """Judges one frame of the engine."""
    cdef Packet packet
    cdef Peer *peer
    cdef uint32_t bit
    fuzz_judge(frame, octets)
    fuzz_require(packet_read(frame, octets, &packet), b"what is sent can be read", octets, 0)
    judge_headers(judge, frame, octets, &packet)
    judge_flags(&packet)
    bit = known_bit(judge, packet.destination, packet.address_bytes, packet.destination_port)
    fuzz_require(
        judge.known[bit >> 3] >> (bit & 7) & 1 or not judge.faithful, b"an answer goes to who asked",
        packet.destination_port, 0,
    )
    judge.judged += 1
    judge.payload_octets += packet.payload_bytes
    peer = judge_peer(
        judge, packet.destination, packet.source, packet.address_bytes, packet.destination_port
    )
    if peer != NULL:
        peer_learn(judge, peer, &packet, frame + packet.tcp)
    fuzz_judge(NULL, 0)


cdef inline void judge_submitted(Judge *judge, const uint8_t *frame, uint32_t octets) noexcept nogil:
    """Shows the witnesses one frame that the engine gives to a driver, whatever becomes of it."""
    cdef Packet packet
    cdef Peer *peer
    cdef Witness *witness
    if not packet_read(frame, octets, &packet) or packet.flags & 4:
        return                          # judge_sent has a say in it
    if packet.payload_bytes == 0 and packet.flags & 2 == 0:
        return
    peer = judge_peer(
        judge, packet.destination, packet.source, packet.address_bytes, packet.destination_port
    )
    if peer == NULL:
        return
    fuzz_judge(frame, octets)
    witness = &judge.witnesses[peer.number]
    if packet.flags & 2 == 0:
        witness_take(
            witness, &judge.files, packet.seq, frame + packet.tcp + packet.header_bytes, packet.payload_bytes,
            judge.cookies_before, judge.cookies_accepted[0],
        )
    elif witness.start != packet.seq + 1 or witness.bytes:      # the same number again: no time has passed here
        witness_begin(witness, packet.seq + 1)
    fuzz_judge(NULL, 0)


cdef inline void judge_headers(
    Judge *judge, const uint8_t *frame, uint32_t octets, const Packet *packet
) noexcept nogil:
    cdef const uint8_t *ip = frame + packet.ip
    fuzz_require(packet.end == octets, b"the IP length is the frame's", packet.end, octets)
    fuzz_require(octets - packet.ip <= judge.mtu, b"a packet keeps to the MTU", octets - packet.ip, judge.mtu)
    fuzz_require(memcmp(frame + 6, b"\x02\0\0\0\0", 5) == 0, b"the source MAC is ours", frame[6], frame[11])
    fuzz_require(packet.source_port == SERVER_PORT, b"the source port is ours", packet.source_port, 0)
    fuzz_require(packet.destination_port != 0, b"the destination has a port", 0, 0)
    if packet.version == 4:
        fuzz_require(ip[0] == 0x45 and ip[8] == 64 and ip[9] == 6, b"an IPv4 header of ours", ip[0], ip[9])
        fuzz_require(plain_fold(plain_sum(ip, 20)) == 0xffff, b"the IPv4 checksum", load_be16(ip + 10), 0)
        fuzz_require(memcmp(packet.source, b"\x0a\0\0", 3) == 0, b"the source address is ours", ip[12], ip[15])
    else:
        fuzz_require(ip[0] >> 4 == 6 and ip[6] == 6 and ip[7] == 64, b"an IPv6 header of ours", ip[0], ip[6])
        fuzz_require(memcmp(packet.source, b"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0, b"our IPv6", ip[8], 0)
    fuzz_require(
        plain_fold(packet_sum(frame, packet)) == 0xffff, b"the TCP checksum", packet.payload_bytes, packet.flags
    )


cdef inline void judge_flags(const Packet *packet) noexcept nogil:
    cdef uint32_t kind = packet.flags & 7
    fuzz_require(kind & (kind - 1) == 0, b"one of FIN, SYN and RST at most", packet.flags, 0)
    fuzz_require(packet.flags & 0x20 == 0, b"nothing of ours is urgent", packet.flags, 0)
    fuzz_require(packet.flags & 16 or kind == 4, b"ACK is set but in some RSTs", packet.flags, 0)
    fuzz_require(kind & 6 == 0 or packet.payload_bytes == 0, b"SYN and RST carry nothing", packet.payload_bytes, 0)


cdef inline void peer_learn(Judge *judge, Peer *peer, const Packet *packet, const uint8_t *tcp) noexcept nogil:
    cdef uint32_t end = packet.seq + packet.payload_bytes
    if packet.flags & 4:
        if packet.flags & 16 or chance_one_in(&judge.chance, 2):
            peer.state = PEER_CLOSED
        return
    if packet.header_bytes >= 32 and load_be32(tcp + (24 if packet.flags & 2 else 20)) & 0xffff == 0x080a:
        peer.ts_recent = load_be32(tcp + (28 if packet.flags & 2 else 24))
    if packet.flags & 2:
        peer_learn_syn(judge, peer, packet)
        return
    if packet.payload_bytes and judge.in_order:
        judge_edge(peer, end)
    if peer.state == PEER_SYN_SENT:     # one that it had forgotten, or whose SYN-ACK was never sent
        peer.state = PEER_OPEN
        peer.rcv_nxt = packet.seq
        if not peer_knows_line(peer, packet.seq):
            peer_add_line(peer, packet.seq)
        peer.timestamps = packet.header_bytes >= 32
    if packet.payload_bytes or peer.acked != packet.ack:
        peer.fruitless = 0
    peer.acked = packet.ack
    if not chance_one_in(&judge.chance, 16):
        peer.snd_nxt = packet.ack       # else it goes on as if all it sent had been taken
    if packet.seq == peer.rcv_nxt and not chance_one_in(&judge.chance, 16):      # else it was lost
        peer.rcv_nxt = end + (packet.flags & 1)


cdef inline void peer_learn_syn(Judge *judge, Peer *peer, const Packet *packet) noexcept nogil:
    if peer.irs != packet.seq:
        peer.irs = packet.seq
        peer_add_line(peer, packet.seq + 1)
    peer.rcv_nxt = packet.seq + 1
    peer.snd_nxt = packet.ack
    peer.acked = packet.ack
    if peer.state == PEER_SYN_SENT:
        peer.state = PEER_OPEN


cdef inline void peer_add_line(Peer *peer, uint32_t ack) noexcept nogil:
    peer.lines[peer.line_next] = ack
    peer.line_next = (peer.line_next + 1) % LINES


cdef inline bint peer_knows_line(const Peer *peer, uint32_t seq) noexcept nogil:
    cdef uint32_t i
    for i in range(<uint32_t>LINES):
        if seq - peer.lines[i] + NEAR <= 2 * NEAR:
            return True
    return False


cdef inline void judge_edge(const Peer *peer, uint32_t end) noexcept nogil:
    """No octet beyond what the peer acknowledged and offered, but for one that probes: on any of the lines
    of sequence numbers that SYN-ACKs lately began. Each of them may have been a cookie, and it is the
    peer who chooses which of several it takes up."""
    cdef uint32_t i
    cdef int64_t least = <int64_t>1 << 32
    for i in range(<uint32_t>LINES):
        if end - peer.lines[i] + BEHIND < <uint32_t>1 << 31:
            least = min(least, <int64_t>(<int32_t>(end - peer.lines[i])))
    least -= <int64_t>peer.edge_window
    fuzz_require(least <= 1, b"the peer's window is kept to", least, <int64_t>peer.edge_window)
