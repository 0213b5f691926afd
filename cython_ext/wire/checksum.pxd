"""The Internet checksum (RFC 1071), in the order of the machine.

A *sum* is the ones'-complement sum of 16-bit words as they lie in memory, folded to 16 bits,
not yet inverted. Sums add with `sum_add`; a part that starts at an odd octet of the whole is
swapped first (RFC 1071 2(B)). Storing the sum's inverse as a native uint16_t gives the right
octets on the wire whatever the machine's byte order.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.wire.bytes cimport load_u16, load_u32, swap_be16


cdef inline uint16_t sum_fold(uint64_t wide) noexcept nogil:
    """Folds a wide sum to 16 bits."""
    wide = (wide >> 32) + <uint32_t>wide
    wide = (wide >> 32) + <uint32_t>wide
    wide = (wide >> 16) + <uint16_t>wide
    wide = (wide >> 16) + <uint16_t>wide
    wide = (wide >> 16) + <uint16_t>wide
    return <uint16_t>wide


cdef inline uint64_t sum_wide(const uint8_t *data, uint64_t octets) noexcept nogil:
    """Adds up `octets` octets, unfolded; safe to add a few thousand of them together."""
    cdef uint64_t total = 0
    cdef uint64_t i = 0
    while i + 4 <= octets:
        total += load_u32(data + i)
        i += 4
    if i + 2 <= octets:
        total += load_u16(data + i)
        i += 2
    if i < octets:
        total += swap_be16(<uint16_t>(data[i] << 8))
    return total


cdef inline uint16_t sum_octets(const uint8_t *data, uint64_t octets) noexcept nogil:
    """The folded sum of `octets` octets."""
    return sum_fold(sum_wide(data, octets))


cdef inline uint16_t sum_add(uint16_t a, uint16_t b) noexcept nogil:
    return sum_fold(<uint64_t>a + b)


cdef inline uint16_t sum_subtract(uint16_t a, uint16_t b) noexcept nogil:
    """a minus b: adds the ones' complement of b."""
    return sum_fold(<uint64_t>a + <uint16_t>~b)


cdef inline uint16_t sum_swap(uint16_t value) noexcept nogil:
    """The sum of the same octets moved by one: the two octets change places."""
    return <uint16_t>((value << 8) | (value >> 8))
