"""Has memory fetched for the requests of a burst before they are answered.

A site of a million files is larger than any cache: each answer meets a slot, a path, a record, a head and a body that
nobody has looked at lately. One after another they would cost as much as all the rest. Here the slots of a whole burst
are fetched side by side; then, while one request is answered, the record of one some places behind it and the octets of
another are on their way: what memory takes passes under what answering takes, and no more is asked for at a time than
the CPU can have under way. A wrong guess costs its fetch; nothing is answered from it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.content.store cimport (
    IMAGE_EMPTY_SLOT, IMAGE_RESPONSE_LARGE, IMAGE_SUM_STEP, Store, image_hash, image_response, image_slot,
)
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.http.path cimport plain_prefix
from cython_ext.net.input cimport INPUT_SEGMENT, InputVerdict, Segment
from cython_ext.wire.bytes cimport load_u32, prefetch

cdef enum:
    LINE_BYTES = 64
    LARGE_IMAGE_BYTES = 1 << 20     # a smaller one stays in the cache by itself
    SLOTS_AHEAD = 4                 # looked at for a path, from its home on
    FIND_AHEAD = 8                  # segments between one that is answered and one whose record is fetched,
    FETCH_AHEAD = 4                 # and one whose octets are
    HEAD_LINES_MOST = 8
    BODY_LINES_MOST = 18            # what fits beside a head into a segment

cdef struct Guess:
    const image_slot *slot          # NULL: no guess
    const image_response *response  # NULL: not found
    uint32_t tag
    uint32_t room                   # slots to the end of the index, SLOTS_AHEAD at most

cdef struct Ahead:
    Guess guesses[BURST_FRAMES]     # one for each segment of the burst
    uint32_t count


cdef inline bint ahead_pays(const Store *store) noexcept nogil:
    return store.header.image_bytes > LARGE_IMAGE_BYTES and store.default_host != NULL


cdef inline void ahead_guess(Guess *guess, const Store *store, const Segment *segment) noexcept nogil:
    """A segment that begins with a GET, to the slot of its path at the default host."""
    cdef const uint8_t *target = segment.payload + 4
    cdef uint64_t hash
    cdef uint32_t octets, home
    if segment.payload_bytes < 16 or load_u32(segment.payload) != 0x20544547 or target[0] != 47:
        return
    octets = plain_prefix(target, segment.payload_bytes - 4)
    hash = image_hash(target, octets)
    home = <uint32_t>hash & (store.default_host.slots_count - 1)
    guess.slot = store.slots + store.default_host.slots_first + home
    guess.tag = <uint32_t>(hash >> 32)
    guess.room = min(<uint32_t>SLOTS_AHEAD, store.default_host.slots_count - home)
    prefetch(guess.slot)


cdef inline void ahead_find(Guess *guess, const Store *store) noexcept nogil:
    """From the slot to path and record."""
    cdef const image_slot *slot = guess.slot
    cdef uint32_t k
    if slot == NULL:
        return
    for k in range(guess.room):
        if slot[k].response == IMAGE_EMPTY_SLOT:
            return
        if slot[k].tag == guess.tag:
            guess.response = &store.responses[slot[k].response]
            prefetch(guess.response)
            prefetch(store.paths + slot[k].path_offset)
            return


cdef inline void ahead_fetch(const Guess *guess, const Store *store) noexcept nogil:
    """From the record to the head, and the beginning of the content with its sums."""
    cdef const image_response *response = guess.response
    if response == NULL:
        return
    fetch_lines(store.image + response.head_offset, response.head_bytes, HEAD_LINES_MOST)
    if response.flags & IMAGE_RESPONSE_LARGE:
        return
    fetch_lines(store.image + response.body_offset, response.body_bytes, BODY_LINES_MOST)
    if response.body_bytes >= 2 * IMAGE_SUM_STEP:
        prefetch(store.sums + response.sums_first)


cdef inline void fetch_lines(const uint8_t *start, uint64_t octets, uint32_t most) noexcept nogil:
    cdef uint32_t lines = <uint32_t>min(<uint64_t>most, (octets + LINE_BYTES - 1) // LINE_BYTES)
    cdef uint32_t k
    for k in range(lines):
        prefetch(start + k * LINE_BYTES)


cdef inline void ahead_start(
    Ahead *ahead, const Store *store, const Segment *segments, const InputVerdict *verdicts, uint32_t received
) noexcept nogil:
    """Guesses for a burst, and as much of it as ahead_step() expects to be on its way for the first."""
    cdef uint32_t i
    ahead.count = received
    for i in range(received):
        ahead.guesses[i].slot = NULL
        ahead.guesses[i].response = NULL
        if verdicts[i] == INPUT_SEGMENT:
            ahead_guess(&ahead.guesses[i], store, &segments[i])
    for i in range(min(<uint32_t>FIND_AHEAD, received)):
        ahead_find(&ahead.guesses[i], store)
    for i in range(min(<uint32_t>FETCH_AHEAD, received)):
        ahead_fetch(&ahead.guesses[i], store)


cdef inline void ahead_step(Ahead *ahead, const Store *store, uint32_t i) noexcept nogil:
    """Before segment `i` of the burst is taken. They are taken in order."""
    if i + FIND_AHEAD < ahead.count:
        ahead_find(&ahead.guesses[i + FIND_AHEAD], store)
    if i + FETCH_AHEAD < ahead.count:
        ahead_fetch(&ahead.guesses[i + FETCH_AHEAD], store)
