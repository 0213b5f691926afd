"""How many there are of each: a count-min sketch of two rows (Cormode, Muthukrishnan 2005), fixed in size.

What it tells is never too low; it is too high only where both cells of a key are shared, and its
hash is the caller's keyed one, so that nobody can bring that about.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

cdef struct Tally:
    uint32_t *cells             # two rows; NULL when nothing is counted
    uint32_t mask               # of one row


cdef inline int tally_init(Tally *tally, uint32_t keys) noexcept nogil:
    """For about `keys` at a time: 0, or -1 without memory."""
    cdef uint32_t cells = 64
    while cells < 2 * keys:
        cells *= 2
    tally.mask = cells - 1
    tally.cells = <uint32_t *>calloc(2 * <size_t>cells, sizeof(uint32_t))
    return 0 if tally.cells != NULL else -1


cdef inline void tally_release(Tally *tally) noexcept nogil:
    free(tally.cells)
    tally.cells = NULL


cdef inline uint32_t *tally_cell(const Tally *tally, uint64_t hash, int row) noexcept nogil:
    if row == 0:
        return &tally.cells[<uint32_t>hash & tally.mask]
    return &tally.cells[<size_t>tally.mask + 1 + (<uint32_t>(hash >> 32) & tally.mask)]


cdef inline uint32_t tally_of(const Tally *tally, uint64_t hash) noexcept nogil:
    return min(tally_cell(tally, hash, 0)[0], tally_cell(tally, hash, 1)[0])


cdef inline void tally_add(Tally *tally, uint64_t hash, int many) noexcept nogil:
    """`many` is 1 or -1; each key is taken away as often as it was added."""
    tally_cell(tally, hash, 0)[0] += many
    tally_cell(tally, hash, 1)[0] += many
