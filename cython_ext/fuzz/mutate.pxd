"""Frames that no sender should send: random octets, and valid frames with fields gone wrong."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from cython_ext.fuzz.chance cimport (
    Choices, chance_below, chance_between, chance_fill, chance_next, chance_one_in, chance_size, chance_spoil,
)
from cython_ext.fuzz.packet cimport Packet, packet_read
from cython_ext.fuzz.peer cimport DRAFT_BYTES, OPTIONS_MOST, Draft, draft_fix
from cython_ext.wire.bytes cimport store_be16

cdef enum:
    MUTATIONS = 12


cdef inline void draft_noise(Draft *draft, Choices *chance, uint32_t most) noexcept nogil:
    """Random octets; often with our MAC address and a type that is looked into."""
    draft.bytes = max(chance_size(chance, most), <uint32_t>1)
    chance_fill(chance, draft.octets, draft.bytes)
    if draft.bytes < 15 or chance_one_in(chance, 4):
        return
    memcpy(draft.octets, b"\x02\0\0\0\0\1", 6)
    memcpy(draft.octets + 12, b"\x08\x00\x45" if chance_one_in(chance, 2) else b"\x86\xdd\x60", 3)


cdef inline void draft_options_noise(Draft *draft, Choices *chance) noexcept nogil:
    """TCP options: a few whole ones, then perhaps one that is cut off or lies about its length."""
    cdef uint32_t _i, size
    cdef uint32_t used = 0
    for _i in range(chance_below(chance, 5)):
        size = chance_between(chance, 2, 10)
        if used + size > OPTIONS_MOST:
            break
        chance_fill(chance, draft.options + used, size)
        draft.options[used] = <uint8_t>chance_below(chance, 9)
        draft.options[used + 1] = <uint8_t>size
        used += size
    if used + 2 <= OPTIONS_MOST and chance_one_in(chance, 2):
        draft.options[used] = <uint8_t>chance_between(chance, 2, 9)
        draft.options[used + 1] = <uint8_t>chance_next(chance)
        used += 1 + chance_below(chance, 2)
    draft.option_bytes = used


cdef inline void draft_mutate(Draft *draft, Choices *chance, uint32_t most) noexcept nogil:
    """One to four things go wrong; then the sums are mostly made right, so that deep layers are reached."""
    cdef uint32_t _i
    for _i in range(1 + chance_below(chance, 4)):
        mutate_once(draft, chance, most)
    if draft.bytes == 0:
        draft.bytes = 1
    if not chance_one_in(chance, 5):
        draft_fix(draft)


cdef inline void mutate_once(Draft *draft, Choices *chance, uint32_t most) noexcept nogil:
    cdef Packet packet
    cdef uint32_t what = chance_below(chance, MUTATIONS)
    if what == 0:
        chance_spoil(chance, draft.octets, draft.bytes)
    elif what == 1:
        draft.bytes = chance_below(chance, draft.bytes + 1)
    elif what == 2:
        mutate_grow(draft, chance, most)
    elif packet_read(draft.octets, draft.bytes, &packet):
        mutate_field(draft, chance, &packet, what)


cdef inline void mutate_grow(Draft *draft, Choices *chance, uint32_t most) noexcept nogil:
    """Octets behind the packet, as padding or as a part of it that nobody announced."""
    cdef uint32_t more = chance_size(chance, 200)
    if draft.bytes + more > min(most, <uint32_t>DRAFT_BYTES):
        return
    memset(draft.octets + draft.bytes, <int>chance_below(chance, 2) * 255, more)
    draft.bytes += more


cdef inline void mutate_field(Draft *draft, Choices *chance, const Packet *packet, uint32_t what) noexcept nogil:
    cdef uint8_t *ip = draft.octets + packet.ip
    cdef uint8_t *tcp = draft.octets + packet.tcp
    if what == 3:
        mutate_length(draft, chance, packet)
    elif what == 4:
        chance_spoil(chance, ip, packet.ip_bytes)
    elif what == 5:
        tcp[12] = <uint8_t>chance_next(chance)
    elif what == 6:
        tcp[13] = <uint8_t>chance_next(chance)
    elif what == 7:
        chance_spoil(chance, tcp, packet.header_bytes)
    elif what == 8:
        chance_spoil(chance, tcp + packet.header_bytes, packet.payload_bytes)
    elif what == 9 and packet.header_bytes > 20:
        chance_fill(chance, tcp + 20, packet.header_bytes - 20)
    elif what == 10:
        if packet.version == 4:
            ip[0] = <uint8_t>(0x40 | chance_below(chance, 16))
        else:
            ip[6] = <uint8_t>chance_next(chance)
    else:
        chance_spoil(chance, draft.octets, packet.ip)


cdef inline void mutate_length(Draft *draft, Choices *chance, const Packet *packet) noexcept nogil:
    """The IP length: near the truth, at its borders, or anything."""
    cdef uint32_t at = packet.ip + (2 if packet.version == 4 else 4)
    cdef uint32_t truth = packet.end - packet.ip - (0 if packet.version == 4 else 40)
    cdef uint32_t which = chance_below(chance, 4)
    if which == 0:
        store_be16(draft.octets + at, <uint16_t>(truth + chance_below(chance, 5) - 2))
    elif which == 1:
        store_be16(draft.octets + at, <uint16_t>(packet.tcp - packet.ip + chance_below(chance, 24)))
    elif which == 2:
        store_be16(draft.octets + at, <uint16_t>chance_next(chance))
    else:
        store_be16(draft.octets + at, <uint16_t>(draft.bytes - packet.ip + chance_below(chance, 3) - 1))
