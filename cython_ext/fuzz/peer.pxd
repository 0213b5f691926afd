"""A hostile client: what it knows of its connection, and its frames, valid before any mutation."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.fuzz.chance cimport Choices, chance_below, chance_between, chance_one_in, chance_spoil
from cython_ext.fuzz.packet cimport Packet, packet_read, packet_sum, plain_fold, plain_sum
from cython_ext.wire.bytes cimport store_be16, store_be32

cdef enum:
    DRAFT_BYTES = 2048
    PAYLOAD_MOST = 1500
    OPTIONS_MOST = 40
    SERVER_PORT = 80
    LINES = 8

cdef enum PeerState:
    PEER_CLOSED
    PEER_SYN_SENT
    PEER_OPEN

cdef struct Corpus:                 # requests, or files
    const uint8_t *octets           # all entries, one after the other
    const uint32_t *ends            # where each ends
    uint32_t entries

cdef struct Peer:
    uint32_t number
    uint32_t state                  # PeerState
    uint32_t isn
    uint32_t snd_nxt                # next sequence number of ours
    uint32_t acked                  # the server's last acknowledgement
    uint32_t rcv_nxt                # next sequence number of the server
    uint32_t irs                    # the server's initial sequence number
    uint32_t ts_value
    uint32_t ts_recent
    uint32_t window_most            # what this peer likes to offer at most, octets
    uint32_t lines[LINES]           # highest acknowledgement that we may have sent, of each of the last SYN-ACKs
    uint32_t line_next              # the oldest of them
    uint64_t edge_window            # largest window that we may have sent
    uint32_t entry                  # of the corpus, being sent
    uint32_t position               # octets of it sent
    uint32_t fruitless              # actions since the server last took or sent anything
    uint8_t scale                   # our window scale
    uint8_t scale_seen              # largest scale that a SYN of ours may have offered
    uint8_t timestamps              # both sides use them
    uint8_t clean                   # sends no spoiled requests

cdef struct Draft:
    uint32_t bytes
    uint32_t option_bytes
    uint8_t options[OPTIONS_MOST]
    uint8_t octets[DRAFT_BYTES]
    uint8_t payload[PAYLOAD_MOST]


cdef inline bint peer_is_v6(const Peer *peer) noexcept nogil:
    return peer.number % 3 == 0


cdef inline uint16_t peer_port(const Peer *peer) noexcept nogil:
    return <uint16_t>(1024 + peer.number)


cdef inline void put_peer_address(const Peer *peer, uint8_t *out) noexcept nogil:
    """fd00:77::number, or 10.77.number."""
    if peer_is_v6(peer):
        memset(out, 0, 16)
        store_be32(out, <uint32_t>0xfd000077)
        store_be32(out + 12, peer.number + 1)
    else:
        store_be32(out, (<uint32_t>0x0a4d0000) + peer.number + 1)


cdef inline void put_server_address(const Peer *peer, uint8_t *out) noexcept nogil:
    """fd00::1, 10.0.0.1 or 10.0.0.2."""
    if peer_is_v6(peer):
        memset(out, 0, 16)
        store_be32(out, <uint32_t>0xfd000000)
        out[15] = 1
    else:
        store_be32(out, (<uint32_t>0x0a000001) + (peer.number & 1))


cdef inline uint32_t draft_link(Draft *draft, const Peer *peer) noexcept nogil:
    """Ethernet, for some peers with a tag; returns where the IP header begins."""
    cdef uint8_t *frame = draft.octets
    cdef uint32_t at = 12
    memcpy(frame, b"\x02\0\0\0\0\1", 6)
    memcpy(frame + 6, b"\x02\x77\0\0\0\0", 6)
    store_be16(frame + 10, <uint16_t>peer.number)
    if peer.number % 5 == 0:
        store_be16(frame + at, 0x88a8 if peer.number % 10 == 0 else 0x8100)
        store_be16(frame + at + 2, <uint16_t>(peer.number & 0x0fff))
        at += 4
    store_be16(frame + at, 0x86dd if peer_is_v6(peer) else 0x0800)
    return at + 2


cdef inline uint32_t draft_ip(Draft *draft, const Peer *peer, uint32_t at, uint32_t segment_bytes) noexcept nogil:
    """Returns where the TCP header begins."""
    cdef uint8_t *ip = draft.octets + at
    if peer_is_v6(peer):
        store_be32(ip, 0x60000000)
        store_be16(ip + 4, <uint16_t>segment_bytes)
        ip[6] = 6
        ip[7] = 64
        put_peer_address(peer, ip + 8)
        put_server_address(peer, ip + 24)
        return at + 40
    memset(ip, 0, 20)
    ip[0] = 0x45
    store_be16(ip + 2, <uint16_t>(20 + segment_bytes))
    ip[8] = 64
    ip[9] = 6
    put_peer_address(peer, ip + 12)
    put_server_address(peer, ip + 16)
    return at + 20


cdef inline void draft_segment(
    Draft *draft, const Peer *peer, uint32_t seq, uint32_t ack, uint32_t flags, uint32_t window,
    uint32_t payload_bytes,
) noexcept nogil:
    """A whole valid frame around draft.options and draft.payload."""
    cdef uint32_t header_bytes = 20 + (draft.option_bytes + 3) // 4 * 4
    cdef uint32_t at = draft_ip(draft, peer, draft_link(draft, peer), header_bytes + payload_bytes)
    cdef uint8_t *tcp = draft.octets + at
    memset(tcp, 0, header_bytes)
    store_be16(tcp, peer_port(peer))
    store_be16(tcp + 2, SERVER_PORT)
    store_be32(tcp + 4, seq)
    store_be32(tcp + 8, ack)
    tcp[12] = <uint8_t>(header_bytes << 2)
    tcp[13] = <uint8_t>flags
    store_be16(tcp + 14, <uint16_t>window)
    memcpy(tcp + 20, draft.options, draft.option_bytes)
    memcpy(tcp + header_bytes, draft.payload, payload_bytes)
    draft.bytes = at + header_bytes + payload_bytes
    draft_fix(draft)


cdef inline void draft_fix(Draft *draft) noexcept nogil:
    """Makes both checksums right, as far as the frame still has places for them."""
    cdef Packet packet
    if not packet_read(draft.octets, draft.bytes, &packet):
        return
    if packet.version == 4 and packet.ip_bytes >= 20:
        store_be16(draft.octets + packet.ip + 10, 0)
        store_be16(
            draft.octets + packet.ip + 10,
            <uint16_t>~plain_fold(plain_sum(draft.octets + packet.ip, packet.ip_bytes)),
        )
    store_be16(draft.octets + packet.tcp + 16, 0)
    store_be16(draft.octets + packet.tcp + 16, <uint16_t>~plain_fold(packet_sum(draft.octets, &packet)))


cdef inline void draft_begin_only(Draft *draft) noexcept nogil:
    """Leaves in the checksum field what a sender's kernel leaves there for its device to finish."""
    cdef Packet packet
    if packet_read(draft.octets, draft.bytes, &packet):
        store_be16(
            draft.octets + packet.tcp + 16,
            <uint16_t>plain_fold(
                plain_sum(packet.source, packet.address_bytes)
                + plain_sum(packet.destination, packet.address_bytes) + 6 + packet.end - packet.tcp
            ),
        )


cdef inline uint32_t peer_take_request(
    Peer *peer, Choices *chance, const Corpus *corpus, uint8_t *out, uint32_t octets
) noexcept nogil:
    """The next `octets` of the peer's requests; each entry of the corpus follows another at random."""
    cdef uint32_t done = 0
    cdef uint32_t start, step
    while done < octets:
        start = corpus.ends[peer.entry - 1] if peer.entry else 0
        step = min(octets - done, corpus.ends[peer.entry] - start - peer.position)
        memcpy(out + done, corpus.octets + start + peer.position, step)
        done += step
        peer.position += step
        if start + peer.position == corpus.ends[peer.entry]:
            peer.position = 0
            peer.entry = chance_below(chance, corpus.entries)
            if chance_one_in(chance, 3):
                break
    if not peer.clean and chance_one_in(chance, 12):
        chance_spoil(chance, out, done)
    return done


cdef inline void peer_start(Peer *peer, uint32_t number, Choices *chance, uint32_t entries) noexcept nogil:
    """Its habits, for the life of a world."""
    memset(peer, 0, sizeof(Peer))
    peer.number = number
    peer.entry = chance_below(chance, entries)
    peer.clean = chance_one_in(chance, 2)
    peer.timestamps = chance_one_in(chance, 2)
    peer.scale = <uint8_t>(chance_below(chance, 16) if chance_one_in(chance, 2) else 0)
    peer.window_most = (<uint32_t>1) << chance_between(chance, 6, 20)
    peer.ts_value = <uint32_t>chance_between(chance, 0, 1 << 30) * 4
