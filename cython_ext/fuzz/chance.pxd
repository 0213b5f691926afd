"""Choices, from a seed or from a tape of octets.

The same seed gives the same frames (base/chance). A tape is what the coverage-guided
fuzzer mutates: each choice takes as few octets as it needs, so that a changed octet is one changed choice.
At its end every choice is 0, which is the usual course where something unusual is asked for.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.base.chance cimport Chance, chance_below as seeded_below, chance_next as seeded_next

cdef struct Choices:
    Chance seeded
    const uint8_t *tape             # NULL: by the seed
    uint32_t left                   # octets of the tape


cdef inline void chance_seed(Choices *chance, uint64_t seed) noexcept nogil:
    chance.seeded.state = seed
    chance.tape = NULL
    chance.left = 0


cdef inline uint32_t chance_take(Choices *chance, uint32_t octets) noexcept nogil:
    """The next 1 to 4 octets of the tape as a number."""
    cdef uint32_t value = 0
    while octets and chance.left:
        value = value << 8 | chance.tape[0]
        chance.tape += 1
        chance.left -= 1
        octets -= 1
    return value


cdef inline uint64_t chance_next(Choices *chance) noexcept nogil:
    """64 bits; off a tape, 32."""
    if chance.tape != NULL:
        return chance_take(chance, 4)
    return seeded_next(&chance.seeded)


cdef inline uint32_t chance_below(Choices *chance, uint32_t limit) noexcept nogil:
    """0 to limit - 1; limit is not 0."""
    if chance.tape != NULL:
        if limit <= 256:
            return chance_take(chance, 1) * limit >> 8
        if limit <= 65536:
            return chance_take(chance, 2) * limit >> 16
        return <uint32_t>(<uint64_t>chance_take(chance, 4) * limit >> 32)
    return seeded_below(&chance.seeded, limit)


cdef inline uint32_t chance_between(Choices *chance, uint32_t least, uint32_t most) noexcept nogil:
    return least + chance_below(chance, most - least + 1)


cdef inline bint chance_one_in(Choices *chance, uint32_t many) noexcept nogil:
    """Off a tape: the highest octets, for mutation is fond of 0."""
    if chance.tape != NULL:
        return chance_below(chance, many) == many - 1
    return chance_below(chance, many) == 0


cdef inline uint32_t chance_size(Choices *chance, uint32_t most) noexcept nogil:
    """0 to most; small sizes as often as large ones."""
    cdef uint32_t bits = chance_below(chance, 12)
    return min(chance_below(chance, (<uint32_t>2 << bits) + 1), most)


cdef inline void chance_fill(Choices *chance, uint8_t *out, uint32_t octets) noexcept nogil:
    cdef uint32_t i
    for i in range(octets):
        out[i] = <uint8_t>(chance_next(chance) if chance.tape == NULL else chance_take(chance, 1))


cdef inline void chance_spoil(Choices *chance, uint8_t *data, uint32_t octets) noexcept nogil:
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
