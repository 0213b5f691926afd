"""Neighbour solicitation and advertisement (RFC 4861 4.3, 4.4, 7.1): parse may fail, emit may not."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from cython_ext.wire.bytes cimport load_u64, store_u32

cdef enum:
    NDP_BYTES = 24                  # type, code, checksum, flags, target
    NDP_ADVERTISEMENT_BYTES = 32    # with our own link-layer address
    NDP_HOP_LIMIT = 255             # anything else has crossed a router (RFC 4861 7.1.1)
    NDP_SOLICITATION = 135
    NDP_ADVERTISEMENT = 136
    NDP_SOLICITED = 0x40            # flags of an advertisement
    NDP_OVERRIDE = 0x20
    NDP_OPTION_SOURCE_LINK = 1
    NDP_OPTION_TARGET_LINK = 2

cdef struct Neighbour:
    uint8_t kind                    # NDP_SOLICITATION or NDP_ADVERTISEMENT
    bint has_source_link
    const uint8_t *target           # 16 octets, into the frame


cdef inline bint ndp_parse(const uint8_t *icmp, uint32_t octets, Neighbour *neighbour) noexcept nogil:
    """The checks of RFC 4861 7.1.1 and 7.1.2 that the message alone allows; its checksum is known to be
    right. False for other messages."""
    if octets < NDP_BYTES or icmp[1] != 0 or icmp[8] == 0xff:
        return False
    neighbour.kind = icmp[0]
    neighbour.target = icmp + 8
    neighbour.has_source_link = False
    if neighbour.kind != NDP_SOLICITATION and neighbour.kind != NDP_ADVERTISEMENT:
        return False
    return ndp_options_are_sound(icmp + NDP_BYTES, octets - NDP_BYTES, neighbour)


cdef inline bint ndp_options_are_sound(
    const uint8_t *option, uint32_t octets, Neighbour *neighbour
) noexcept nogil:
    """Every option has a length above 0, and they fill the message exactly."""
    cdef uint32_t size
    while octets >= 8:
        size = option[1] * 8
        if size == 0 or size > octets:
            return False
        if option[0] == NDP_OPTION_SOURCE_LINK:
            neighbour.has_source_link = True
        option += size
        octets -= size
    return octets == 0


cdef inline void ndp_emit_advertisement(
    uint8_t *icmp, const uint8_t *target, const uint8_t *mac, uint8_t flags
) noexcept nogil:
    """NDP_ADVERTISEMENT_BYTES, checksum 0. `target` and `mac` lie outside the message."""
    icmp[0] = NDP_ADVERTISEMENT
    icmp[1] = 0
    icmp[2] = 0
    icmp[3] = 0
    store_u32(icmp + 4, 0)
    icmp[4] = flags
    memcpy(icmp + 8, target, 16)
    icmp[24] = NDP_OPTION_TARGET_LINK
    icmp[25] = 1                    # in units of 8 octets
    memcpy(icmp + 26, mac, 6)


cdef inline bint is_solicited_node(const uint8_t *group, const uint8_t *address) noexcept nogil:
    """`group` is the solicited-node group of `address`: ff02::1:ff00:0/104 and its last three octets
    (RFC 4291 2.7.1)."""
    return (
        group[0] == 0xff and group[1] == 2 and group[2] == 0 and group[3] == 0
        and load_u64(group + 3) == 0 and group[11] == 1 and group[12] == 0xff
        and memcmp(group + 13, address + 13, 3) == 0
    )
