"""Chance from a seed: the same seed gives the same numbers (splitmix64, Steele and others 2014)."""

from libc.stdint cimport uint32_t, uint64_t

cdef struct Chance:
    uint64_t state


cdef inline uint64_t chance_next(Chance *chance) noexcept nogil:
    cdef uint64_t z
    chance.state += 0x9e3779b97f4a7c15ULL
    z = chance.state
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL
    return z ^ (z >> 31)


cdef inline uint32_t chance_below(Chance *chance, uint32_t limit) noexcept nogil:
    """0 to limit - 1; limit is not 0."""
    return <uint32_t>(((chance_next(chance) >> 32) * limit) >> 32)
