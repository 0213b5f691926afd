"""Has memory fetched for the requests of a burst before they are answered.

A site of a million files is larger than any cache: each answer meets a slot, a path, a record, a head and a body that
nobody has looked at lately. One after another they would cost as much as all the rest. Here the guesses for
all segments of a burst go side by side, a step each: what is fetched in one step says where the next lies. A wrong
guess costs its fetch; nothing is answered from it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.content.store cimport (
    IMAGE_EMPTY_SLOT, IMAGE_SUM_STEP, Store, image_hash, image_response, image_slot,
)
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.http.path cimport plain_prefix
from cython_ext.net.input cimport Segment
from cython_ext.wire.bytes cimport load_u32, prefetch

cdef enum:
    LINE_BYTES = 64
    LARGE_IMAGE_BYTES = 1 << 20     # a smaller one stays in the cache by itself
    SLOTS_AHEAD = 4                 # looked at for a path, from its home on
    HEAD_LINES_MOST = 6
    BODY_LINES_MOST = 4

cdef struct Guess:
    const image_slot *slot          # NULL: no guess
    const image_response *response
    uint32_t tag
    uint32_t room                   # slots to the end of the index, SLOTS_AHEAD at most

cdef struct Ahead:
    Guess guesses[BURST_FRAMES]
    uint32_t count


cdef inline bint ahead_pays(const Store *store) noexcept nogil:
    return store.header.image_bytes > LARGE_IMAGE_BYTES and store.default_host != NULL


cdef inline void ahead_guess(Ahead *ahead, const Store *store, const Segment *segment) noexcept nogil:
    """Step 1: a segment that begins with a GET, to the slot of its path at the default host."""
    cdef const uint8_t *target = segment.payload + 4
    cdef Guess *guess
    cdef uint64_t hash
    cdef uint32_t octets, home
    if segment.payload_bytes < 16 or load_u32(segment.payload) != 0x20544547 or target[0] != 47:
        return
    octets = plain_prefix(target, segment.payload_bytes - 4)
    hash = image_hash(target, octets)
    home = <uint32_t>hash & (store.default_host.slots_count - 1)
    guess = &ahead.guesses[ahead.count]
    guess.slot = store.slots + store.default_host.slots_first + home
    guess.tag = <uint32_t>(hash >> 32)
    guess.room = min(<uint32_t>SLOTS_AHEAD, store.default_host.slots_count - home)
    prefetch(guess.slot)
    ahead.count += 1


cdef inline void ahead_find(Ahead *ahead, const Store *store) noexcept nogil:
    """Step 2: from slots to paths and records."""
    cdef uint32_t i, k
    cdef Guess *guess
    cdef const image_slot *slot
    for i in range(ahead.count):
        guess = &ahead.guesses[i]
        slot = guess.slot
        guess.slot = NULL
        for k in range(guess.room):
            if slot[k].response == IMAGE_EMPTY_SLOT:
                break
            if slot[k].tag == guess.tag:
                guess.slot = slot + k
                guess.response = &store.responses[slot[k].response]
                prefetch(guess.response)
                prefetch(store.paths + slot[k].path_offset)
                break


cdef inline void ahead_fetch(Ahead *ahead, const Store *store) noexcept nogil:
    """Step 3: from records to heads, and the beginning of contents with their sums."""
    cdef uint32_t i, k
    cdef const image_response *response
    for i in range(ahead.count):
        if ahead.guesses[i].slot == NULL:
            continue
        response = ahead.guesses[i].response
        for k in range(min(<uint32_t>HEAD_LINES_MOST, (response.head_bytes + LINE_BYTES - 1) // LINE_BYTES)):
            prefetch(store.image + response.head_offset + k * LINE_BYTES)
        for k in range(<uint32_t>min(
            <uint64_t>BODY_LINES_MOST, (response.body_bytes + LINE_BYTES - 1) // LINE_BYTES
        )):
            prefetch(store.image + response.body_offset + k * LINE_BYTES)
        if response.body_bytes >= 2 * IMAGE_SUM_STEP:
            prefetch(store.sums + response.sums_first)
