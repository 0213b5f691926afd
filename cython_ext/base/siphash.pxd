"""SipHash (Aumasson, Bernstein 2012): a keyed hash that peers cannot steer.

1-3 rounds for hash tables, 2-4 where the value itself must not be guessed (sequence numbers,
RFC 6528). Input is whole 64-bit words: the callers' keys have a fixed length.
"""

from libc.stdint cimport uint64_t

cdef struct SipKey:
    uint64_t k0
    uint64_t k1

cdef struct SipState:
    uint64_t v0
    uint64_t v1
    uint64_t v2
    uint64_t v3


cdef inline uint64_t rotate_left(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline void sip_round(SipState *s) noexcept nogil:
    s.v0 += s.v1
    s.v1 = rotate_left(s.v1, 13) ^ s.v0
    s.v0 = rotate_left(s.v0, 32)
    s.v2 += s.v3
    s.v3 = rotate_left(s.v3, 16) ^ s.v2
    s.v0 += s.v3
    s.v3 = rotate_left(s.v3, 21) ^ s.v0
    s.v2 += s.v1
    s.v1 = rotate_left(s.v1, 17) ^ s.v2
    s.v2 = rotate_left(s.v2, 32)


cdef inline uint64_t siphash(
    const SipKey *key, const uint64_t *words, int count, int c_rounds, int d_rounds
) noexcept nogil:
    """SipHash-c-d of `count` words."""
    cdef SipState s
    cdef int i, _r
    cdef uint64_t last = (<uint64_t>(count * 8)) << 56
    s.v0 = key.k0 ^ 0x736f6d6570736575ULL
    s.v1 = key.k1 ^ 0x646f72616e646f6dULL
    s.v2 = key.k0 ^ 0x6c7967656e657261ULL
    s.v3 = key.k1 ^ 0x7465646279746573ULL
    for i in range(count):
        s.v3 ^= words[i]
        for _r in range(c_rounds):
            sip_round(&s)
        s.v0 ^= words[i]
    s.v3 ^= last
    for _r in range(c_rounds):
        sip_round(&s)
    s.v0 ^= last
    s.v2 ^= 0xff
    for _r in range(d_rounds):
        sip_round(&s)
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
