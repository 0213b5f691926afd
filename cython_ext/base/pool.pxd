"""A stack of free numbers: bounded, no allocation after the start, last freed is first used."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

cdef extern from *:
    """
    #define NIL 0xffffffffu
    """
    const uint32_t NIL          # no such number

cdef struct Pool:
    uint32_t *free              # the free numbers, `available` of them
    uint32_t available
    uint32_t total


cdef inline int pool_init(Pool *pool, uint32_t total) noexcept nogil:
    """0, or -1 without memory. Number 0 comes out first."""
    cdef uint32_t i
    pool.available = 0
    pool.total = 0
    pool.free = <uint32_t *>malloc(<size_t>total * sizeof(uint32_t) + 4)
    if pool.free == NULL:
        return -1
    for i in range(total):
        pool.free[i] = total - 1 - i
    pool.available = total
    pool.total = total
    return 0


cdef inline void pool_release(Pool *pool) noexcept nogil:
    free(pool.free)
    pool.free = NULL
    pool.available = 0


cdef inline uint32_t pool_take(Pool *pool) noexcept nogil:
    """A free number, or NIL."""
    if pool.available == 0:
        return NIL
    pool.available -= 1
    return pool.free[pool.available]


cdef inline void pool_give(Pool *pool, uint32_t number) noexcept nogil:
    pool.free[pool.available] = number
    pool.available += 1
