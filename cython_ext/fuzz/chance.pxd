"""What a fuzzer asks of chance besides numbers below a limit (base/chance)."""

from libc.stdint cimport uint8_t, uint32_t

from cython_ext.base.chance cimport Chance, chance_below, chance_next


cdef inline uint32_t chance_between(Chance *chance, uint32_t least, uint32_t most) noexcept nogil:
    return least + chance_below(chance, most - least + 1)


cdef inline bint chance_one_in(Chance *chance, uint32_t many) noexcept nogil:
    return chance_below(chance, many) == 0


cdef inline uint32_t chance_size(Chance *chance, uint32_t most) noexcept nogil:
    """0 to most; small sizes as often as large ones."""
    cdef uint32_t bits = chance_below(chance, 12)
    return min(chance_below(chance, (<uint32_t>2 << bits) + 1), most)


cdef inline void chance_fill(Chance *chance, uint8_t *out, uint32_t octets) noexcept nogil:
    cdef uint32_t i
    for i in range(octets):
        out[i] = <uint8_t>chance_next(chance)


cdef inline void chance_spoil(Chance *chance, uint8_t *data, uint32_t octets) noexcept nogil:
    """Changes one octet: a bit, to anything, or to one that grammars are fond of."""
    cdef const char *fond = b"\r\n :;,%/.?0\x00\xff\t"
    cdef uint32_t at
    if octets == 0:
        return
    at = chance_below(chance, octets)
    if chance_one_in(chance, 3):
        data[at] ^= <uint8_t>(1 << chance_below(chance, 8))
    elif chance_one_in(chance, 2):
        data[at] = <uint8_t>chance_next(chance)
    else:
        data[at] = <uint8_t>fond[chance_below(chance, 14)]
