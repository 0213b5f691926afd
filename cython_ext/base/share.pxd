"""A pool of blocks that no single source can empty.

The first half goes to whoever asks. Of the second half a source has at most an eighth of the pool: while one holds
what it can get, every other still finds blocks. Until half the pool is out nothing is counted, and it costs nothing.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from cython_ext.base.pool cimport NIL, Pool, pool_give, pool_init, pool_release, pool_take
from cython_ext.base.siphash cimport SipKey, siphash
from cython_ext.base.tally cimport Tally, tally_add, tally_init, tally_of, tally_release

cdef enum:
    SHARE_PARTS = 8                 # a source has at most one of so many parts beyond the first half

cdef struct Share:
    Pool pool
    Tally tally                     # blocks of the second half, by source
    uint64_t *owners                # by block: hash of the source it counts for, 0: not counted
    SipKey key


cdef inline int share_init(Share *share, uint32_t total, const SipKey *key) noexcept nogil:
    """0, or -1 without memory. The key is what a peer must not know."""
    share.key = key[0]
    share.owners = <uint64_t *>calloc(<size_t>total + 1, sizeof(uint64_t))
    if share.owners == NULL or tally_init(&share.tally, total) != 0:
        return -1
    return pool_init(&share.pool, total)


cdef inline void share_release(Share *share) noexcept nogil:
    pool_release(&share.pool)
    tally_release(&share.tally)
    free(share.owners)
    share.owners = NULL


cdef inline uint64_t address_hash(const SipKey *key, const uint8_t *address) noexcept nogil:
    """Of the source with that address (16 octets, IPv4 mapped): an IPv4 address, or the /64 that an IPv6 host
    has all of."""
    cdef uint64_t words[2]
    cdef bint ipv6
    memcpy(words, address, sizeof(words))
    ipv6 = words[0] != 0
    words[0] = words[0] if ipv6 else words[1]
    words[1] = ipv6
    return siphash(key, words, 2, 1, 3)


cdef inline uint64_t share_hash(const Share *share, const uint8_t *address) noexcept nogil:
    """Never 0."""
    return address_hash(&share.key, address) | 1


cdef inline bint share_allows(const Share *share, uint64_t hash) noexcept nogil:
    """Whether the source may have one more block of the second half."""
    return tally_of(&share.tally, hash) < max(share.pool.total // SHARE_PARTS, <uint32_t>1)


cdef inline uint32_t share_take(Share *share, const uint8_t *address) noexcept nogil:
    """A free block for the source with that address, or NIL."""
    cdef uint64_t hash
    cdef uint32_t block
    if share.pool.available > share.pool.total // 2:
        return pool_take(&share.pool)
    hash = share_hash(share, address)
    if not share_allows(share, hash):
        return NIL
    block = pool_take(&share.pool)
    if block != NIL:
        share.owners[block] = hash
        tally_add(&share.tally, hash, 1)
    return block


cdef inline void share_give(Share *share, uint32_t block) noexcept nogil:
    if share.owners[block]:
        tally_add(&share.tally, share.owners[block], -1)
        share.owners[block] = 0
    pool_give(&share.pool, block)
