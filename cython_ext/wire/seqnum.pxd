"""Sequence numbers: the only place that compares them (RFC 9293 3.4; arithmetic modulo 2^32).

Of two numbers exactly 2^31 apart neither comes before the other (RFC 1982 3.2 leaves it open): a peer
that acknowledges una + 2^31 acknowledges nothing old and nothing new.
"""

from libc.stdint cimport int32_t, uint32_t


cdef inline bint seq_lt(uint32_t a, uint32_t b) noexcept nogil:
    """a comes before b."""
    return <int32_t>(b - a) > 0


cdef inline bint seq_le(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t>(b - a) >= 0


cdef inline bint seq_in(uint32_t value, uint32_t start, uint32_t size) noexcept nogil:
    """value lies in [start, start + size)."""
    return value - start < size


cdef inline uint32_t seq_max(uint32_t a, uint32_t b) noexcept nogil:
    return b if seq_lt(a, b) else a


cdef inline uint32_t seq_min(uint32_t a, uint32_t b) noexcept nogil:
    return a if seq_lt(a, b) else b
