"""What a hostile client does next, knowing its connection: valid and nearly valid segments."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from cython_ext.fuzz.chance cimport (
    Choices, chance_below, chance_between, chance_next, chance_one_in, chance_size,
)
from cython_ext.fuzz.mutate cimport draft_options_noise
from cython_ext.fuzz.peer cimport (
    OPTIONS_MOST, PAYLOAD_MOST, PEER_CLOSED, PEER_SYN_SENT, Corpus, Draft, Peer, draft_segment, peer_take_request,
)
from cython_ext.wire.bytes cimport store_be16, store_be32

cdef enum:
    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    HALF_WAY = 1 << 31              # where sequence numbers are neither before nor behind
    FRUITLESS_MOST = 12             # actions without progress, before a peer thinks of leaving


cdef inline void peer_act(
    Peer *peer, Choices *chance, const Corpus *corpus, uint32_t payload_most, Draft *draft
) noexcept nogil:
    """Writes one frame of the peer into `draft` and books what the peer believes to have sent."""
    cdef uint32_t what = chance_below(chance, 100)
    draft.option_bytes = 0
    if peer.state == PEER_CLOSED:
        act_syn(peer, chance, draft)
        return
    put_timestamps(peer, chance, draft)
    if chance_one_in(chance, 3):
        put_sack(peer, chance, draft)
    peer.fruitless += 1
    if peer.fruitless > FRUITLESS_MOST and chance_one_in(chance, 4):
        act_leave(peer, chance, draft)
        return
    if peer.state == PEER_SYN_SENT:
        if what < 10:
            act_syn(peer, chance, draft)
            return
        peer.rcv_nxt = peer.rcv_nxt if peer.irs else <uint32_t>chance_next(chance)
    if what < 58:
        act_data(peer, chance, corpus, min(payload_most, <uint32_t>PAYLOAD_MOST), draft)
    elif what < 92:
        act_ack(peer, chance, draft)
    elif what < 95:
        act_fin(peer, chance, corpus, draft)
    elif what < 97:
        act_reset(peer, chance, draft)
    elif what < 98:
        act_strange(peer, chance, draft)
    elif what < 99:
        act_syn(peer, chance, draft)
    else:
        act_leave(peer, chance, draft)


cdef inline uint32_t usual_window(const Peer *peer) noexcept nogil:
    """The field as on the wire."""
    return min(peer.window_most >> min(peer.scale, <uint8_t>14), <uint32_t>65535)


cdef inline uint32_t some_window(const Peer *peer, Choices *chance) noexcept nogil:
    """Often small or zero."""
    cdef uint32_t most = usual_window(peer)
    if chance_one_in(chance, 8):
        return 0
    if chance_one_in(chance, 4):
        return chance_size(chance, most)
    return most


cdef inline uint32_t some_ack(const Peer *peer, Choices *chance) noexcept nogil:
    """Mostly all that arrived; else a part of it, old, or ahead of it."""
    cdef uint32_t which = chance_below(chance, 16)
    if which < 11:
        return peer.rcv_nxt
    if which < 14:
        return peer.rcv_nxt - chance_size(chance, 3000)
    if which == 14:
        return peer.rcv_nxt + chance_size(chance, 3000)
    if chance_one_in(chance, 4):
        return peer.rcv_nxt + HALF_WAY - 1 + chance_below(chance, 3)
    return <uint32_t>chance_next(chance) if chance_one_in(chance, 4) else peer.irs


cdef inline uint32_t some_seq(const Peer *peer, Choices *chance) noexcept nogil:
    """Mostly the next one; else one that overlaps, leaves a hole, or is far off."""
    cdef uint32_t which = chance_below(chance, 16)
    if which < 12:
        return peer.snd_nxt
    if which == 12:
        return peer.snd_nxt - chance_size(chance, 2000)
    if which == 13:
        return peer.snd_nxt + chance_size(chance, 20000)
    if which == 14:
        return peer.acked - chance_below(chance, 3)
    if chance_one_in(chance, 4):
        return peer.snd_nxt + HALF_WAY - 1 + chance_below(chance, 3)
    return <uint32_t>chance_next(chance) if chance_one_in(chance, 4) else peer.snd_nxt + 16384 - 1


cdef inline void put_timestamps(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """What the connection agreed on; now and then missing, old, or something else."""
    if chance_one_in(chance, 64):
        draft_options_noise(draft, chance)
        return
    if peer.timestamps == chance_one_in(chance, 64):
        return
    peer.ts_value += chance_below(chance, 3)
    draft.option_bytes = 12
    store_be32(draft.options, 0x0101080a)
    store_be32(draft.options + 4, peer.ts_value - (chance_size(chance, 4000) if chance_one_in(chance, 32) else 0))
    store_be32(draft.options + 8, peer.ts_recent)


cdef inline void put_sack(const Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """One to three blocks of what is said to have arrived (RFC 2018): likely ones, and nonsense."""
    cdef uint32_t blocks = chance_between(chance, 1, 3)
    cdef uint32_t start = peer.rcv_nxt
    cdef uint32_t i, end
    cdef uint8_t *option = draft.options + draft.option_bytes
    if draft.option_bytes % 4 != 0 or draft.option_bytes + 4 + 8 * blocks > OPTIONS_MOST:
        return
    store_be32(option, <uint32_t>0x01010500 + 2 + 8 * blocks)
    for i in range(blocks):
        start += chance_size(chance, 6000)
        if chance_one_in(chance, 8):        # a duplicate (RFC 2883), or far off
            start = peer.rcv_nxt - chance_size(chance, 6000) if chance_one_in(chance, 2) else peer.rcv_nxt + HALF_WAY
        end = start + chance_size(chance, 6000)
        store_be32(option + 4 + 8 * i, start)
        store_be32(option + 8 + 8 * i, end if not chance_one_in(chance, 16) else <uint32_t>chance_next(chance))
        start = end
    draft.option_bytes += 4 + 8 * blocks


cdef inline uint32_t some_ecn(Choices *chance) noexcept nogil:
    """ECE, CWR or both, now and then."""
    return chance_below(chance, 4) << 6 if chance_one_in(chance, 8) else 0


cdef inline void act_syn(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """A new attempt, or the last one again; now and then with data or FIN, which we ignore or refuse."""
    cdef uint32_t payload_bytes = 0
    cdef uint32_t flags = SYN | (192 if chance_one_in(chance, 3) else 0)       # offers ECN
    if peer.state == PEER_CLOSED or chance_one_in(chance, 2):
        peer.isn = <uint32_t>chance_next(chance) if chance_one_in(chance, 2) else peer.snd_nxt + 100000
        peer.snd_nxt = peer.isn + 1
        peer.acked = peer.snd_nxt
    put_syn_options(peer, chance, draft)
    if peer.state == PEER_CLOSED:
        peer.irs = 0
        peer.fruitless = 0
        peer.state = PEER_SYN_SENT
    if chance_one_in(chance, 40):
        payload_bytes = chance_size(chance, 500)
        memset(draft.payload, 71, payload_bytes)
    if chance_one_in(chance, 60):
        flags = <uint32_t>chance_next(chance) & 0xff
    draft_segment(draft, peer, peer.isn, 0, flags, some_window(peer, chance), payload_bytes)


cdef inline void put_syn_options(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    cdef uint8_t *option = draft.options
    cdef uint32_t used = 0
    if chance_one_in(chance, 20):
        draft_options_noise(draft, chance)
        return
    if peer.state == PEER_CLOSED and chance_one_in(chance, 8):
        peer.timestamps = 1 - peer.timestamps
    if not chance_one_in(chance, 8):
        store_be32(option, 0x02040000)
        store_be16(option + 2, <uint16_t>some_mss(chance))
        used += 4
    if peer.timestamps:
        store_be32(option + used, 0x0101080a)
        store_be32(option + used + 4, peer.ts_value)
        store_be32(option + used + 8, 0)
        used += 12
    if peer.scale:
        store_be32(option + used, <uint32_t>0x01030300 + peer.scale)
        used += 4
    if chance_one_in(chance, 2):
        store_be32(option + used, 0x04020101)
        used += 4
    draft.option_bytes = used


cdef inline uint32_t some_mss(Choices *chance) noexcept nogil:
    cdef uint32_t which = chance_below(chance, 8)
    if which == 0:
        return chance_below(chance, 130)
    if which == 1:
        return <uint32_t>chance_next(chance) & 0xffff
    return 536 if which == 2 else 1460


cdef inline void act_data(
    Peer *peer, Choices *chance, const Corpus *corpus, uint32_t payload_most, Draft *draft
) noexcept nogil:
    """A piece of requests."""
    cdef uint32_t most = payload_most - draft.option_bytes
    cdef uint32_t wanted = most if chance_one_in(chance, 2) else chance_size(chance, most)
    cdef uint32_t octets = peer_take_request(peer, chance, corpus, draft.payload, wanted)
    cdef uint32_t seq = some_seq(peer, chance)
    cdef uint32_t flags = ACK | (PSH if chance_one_in(chance, 2) else 0) | (URG if chance_one_in(chance, 64) else 0)
    flags |= some_ecn(chance)
    draft_segment(draft, peer, seq, some_ack(peer, chance), flags, some_window(peer, chance), octets)
    if seq == peer.snd_nxt:
        peer.snd_nxt += octets


cdef inline void act_ack(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """Without payload; the same one again is a duplicate."""
    if chance_one_in(chance, 2):
        draft_segment(draft, peer, peer.snd_nxt, peer.rcv_nxt, ACK | some_ecn(chance), usual_window(peer), 0)
    else:
        draft_segment(
            draft, peer, some_seq(peer, chance), some_ack(peer, chance), ACK, some_window(peer, chance), 0
        )


cdef inline void act_fin(Peer *peer, Choices *chance, const Corpus *corpus, Draft *draft) noexcept nogil:
    cdef uint32_t octets = 0
    if chance_one_in(chance, 3):
        octets = peer_take_request(peer, chance, corpus, draft.payload, chance_size(chance, 400))
    draft_segment(
        draft, peer, some_seq(peer, chance), some_ack(peer, chance), FIN | ACK, some_window(peer, chance), octets
    )
    if chance_one_in(chance, 2):
        peer.snd_nxt += octets + 1


cdef inline void act_reset(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """At the window's edge, within it, or off it."""
    cdef uint32_t flags = RST | (ACK if chance_one_in(chance, 2) else 0)
    cdef uint32_t seq = some_seq(peer, chance)
    draft_segment(draft, peer, seq, some_ack(peer, chance), flags, 0, 0)
    if seq == peer.snd_nxt and chance_one_in(chance, 2):
        peer.state = PEER_CLOSED


cdef inline void act_strange(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """Any flags at all, any numbers."""
    memset(draft.payload, 13, 64)
    draft_segment(
        draft, peer, some_seq(peer, chance), some_ack(peer, chance), <uint32_t>chance_next(chance) & 0xff,
        <uint32_t>chance_next(chance) & 0xffff, chance_below(chance, 65),
    )


cdef inline void act_leave(Peer *peer, Choices *chance, Draft *draft) noexcept nogil:
    """A last acknowledgement, then the peer forgets everything: later it begins anew from the same port."""
    draft_segment(draft, peer, peer.snd_nxt, peer.rcv_nxt, ACK, chance_between(chance, 0, 1000), 0)
    peer.state = PEER_CLOSED
