"""The addresses we serve: few, known before the first packet, referred to by number."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from cython_ext.wire.bytes cimport load_u32, load_u64, store_u32, swap_be16
from cython_ext.wire.checksum cimport sum_fold, sum_wide
from cython_ext.wire.ipv4 cimport IP_PROTOCOL_TCP

cdef enum:
    LOCAL_ADDRESSES_MOST = 64
    ADDRESS_BYTES = 16

cdef struct LocalAddress:
    uint8_t version             # 4 or 6
    bint own                    # the kernel lacks it: we answer ARP, neighbour discovery and echo
    uint8_t octets[ADDRESS_BYTES]   # IPv4 in the first four

cdef enum:
    PORT_ANY = 0                # who opens connections has many ports

cdef struct Local:
    uint32_t count
    uint16_t port               # that we listen on, or PORT_ANY
    LocalAddress address[LOCAL_ADDRESSES_MOST]

cdef enum:
    LOCAL_NONE = 255


cdef inline uint8_t local_find_v4(const Local *local, const uint8_t *address) noexcept nogil:
    """Number of the IPv4 address, or LOCAL_NONE."""
    cdef uint32_t i
    for i in range(local.count):
        if local.address[i].version == 4 and load_u32(local.address[i].octets) == load_u32(address):
            return <uint8_t>i
    return LOCAL_NONE


cdef inline uint8_t local_find_v6(const Local *local, const uint8_t *address) noexcept nogil:
    """Number of the IPv6 address, or LOCAL_NONE."""
    cdef uint32_t i
    for i in range(local.count):
        if local.address[i].version == 6 and memcmp(local.address[i].octets, address, 16) == 0:
            return <uint8_t>i
    return LOCAL_NONE


cdef inline void address_from_v4(uint8_t *address, const uint8_t *v4) noexcept nogil:
    """The IPv4-mapped form (RFC 4291 2.5.5.2): one key format for both families."""
    memset(address, 0, 10)
    address[10] = 0xff
    address[11] = 0xff
    store_u32(address + 12, load_u32(v4))


cdef inline bint v4_is_bad_source(const uint8_t *address) noexcept nogil:
    """0/8, 127/8, multicast, reserved and broadcast (RFC 1122 3.2.1.3)."""
    return address[0] == 0 or address[0] == 127 or address[0] >= 224


cdef inline bint v6_is_bad_source(const uint8_t *address) noexcept nogil:
    """Multicast, unspecified, loopback, IPv4-mapped (RFC 4291)."""
    if address[0] == 0xff:
        return True
    if load_u64(address) != 0:
        return False
    return load_u32(address + 8) == 0 or (load_u32(address + 8) == <uint32_t>0xffff0000)


cdef inline uint16_t pseudo_sum(const uint8_t *source, const uint8_t *destination, uint32_t octets) noexcept nogil:
    """Sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1) without the segment's length."""
    return sum_fold(sum_wide(source, octets) + sum_wide(destination, octets) + swap_be16(IP_PROTOCOL_TCP))
