"""Has memory fetched for the requests of a burst before they are answered.

A site of a million files is larger than any cache: each answer meets a line of slots and a card that nobody has looked
at lately, and the page table's entries for both. One after another they would cost as much as all the rest. Here the
slots of a whole burst are fetched side by side; then, while some requests are answered, the cards of the next few, and
the bodies that lie elsewhere. The CPU does not go on past a fetch before it knows the page; so those of several
requests stand close together, where their pages are looked for at the same time, and no more is asked for than the
first cache holds. A wrong guess costs its fetch; nothing is answered from it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.content.store cimport (
    IMAGE_EMPTY_SLOT, IMAGE_LINE_SLOTS, IMAGE_NONE, IMAGE_RESPONSE_LARGE, IMAGE_SUM_STEP, Store, body_is_near,
    image_hash, image_response, image_slot, index_home,
)
from cython_ext.driver.contract cimport BURST_FRAMES
from cython_ext.http.path cimport Known, plain_prefix
from cython_ext.net.input cimport INPUT_SEGMENT, InputVerdict, Segment
from cython_ext.wire.bytes cimport load_u32, prefetch

cdef enum:
    LINE_BYTES = 64
    LARGE_IMAGE_BYTES = 1 << 20     # a smaller one stays in the cache by itself
    GROUP = 8                       # requests whose cards are fetched together: a power of two
    BODY_LINES_MOST = 18            # what fits beside a head into a segment

cdef struct Guess:
    Known known
    const image_slot *slot          # the first of a line; NULL: no guess
    const image_response *response  # NULL: not found

cdef struct Ahead:
    Guess guesses[BURST_FRAMES]     # one for each segment of the burst
    uint32_t count


cdef inline bint ahead_pays(const Store *store) noexcept nogil:
    return store.header.image_bytes > LARGE_IMAGE_BYTES and store.default_host != NULL


cdef inline void ahead_guess(Guess *guess, const Store *store, const Segment *segment) noexcept nogil:
    """From a segment that begins with a GET to the slots of its path at the default host."""
    cdef const uint8_t *target = segment.payload + 4
    cdef uint32_t octets
    if segment.payload_bytes < 16 or load_u32(segment.payload) != 0x20544547 or target[0] != 47:
        return
    octets = plain_prefix(target, segment.payload_bytes - 4)
    guess.known.target = target
    guess.known.bytes = octets
    guess.known.hash = image_hash(target, octets)
    guess.slot = store.slots + store.default_host.slots_first + index_home(
        guess.known.hash, store.default_host.slots_count
    )


cdef inline void ahead_find(Guess *guess, const Store *store) noexcept nogil:
    """From the slots to the card, all of it, and to a path that lies elsewhere. A path that has not found room in
    its first line of slots is not looked for."""
    cdef const image_slot *slot = guess.slot
    cdef uint32_t tag = <uint32_t>(guess.known.hash >> 32)
    cdef uint32_t k
    if slot == NULL:
        return
    for k in range(<uint32_t>IMAGE_LINE_SLOTS):
        if slot[k].tag == tag and slot[k].response != IMAGE_EMPTY_SLOT:
            guess.response = &store.responses[slot[k].response]
            fetch_lines(<const uint8_t *>guess.response, sizeof(image_response), BODY_LINES_MOST)
            if slot[k].path_offset != IMAGE_NONE:
                prefetch(store.paths + slot[k].path_offset)
                prefetch(store.paths + slot[k].path_offset + slot[k].path_bytes - 1)
            return


cdef inline void ahead_fetch(const Guess *guess, const Store *store) noexcept nogil:
    """From the card to the beginning of content that lies elsewhere, with its sums."""
    cdef const image_response *response = guess.response
    if response == NULL or response.flags & IMAGE_RESPONSE_LARGE or body_is_near(store, response):
        return
    fetch_lines(store.image + response.body_offset, response.body_bytes, BODY_LINES_MOST)
    if response.body_bytes >= 2 * IMAGE_SUM_STEP:
        prefetch(store.sums + response.sums_first)
        prefetch(store.sums + response.sums_first + BODY_LINES_MOST)


cdef inline void fetch_lines(const uint8_t *start, uint64_t octets, uint32_t most) noexcept nogil:
    cdef uint32_t lines = <uint32_t>min(<uint64_t>most, (octets + LINE_BYTES - 1) // LINE_BYTES)
    cdef uint32_t k
    for k in range(lines):
        prefetch(start + k * LINE_BYTES)


cdef inline void find_group(Ahead *ahead, const Store *store, uint32_t first) noexcept nogil:
    cdef uint32_t i
    for i in range(first, min(first + GROUP, ahead.count)):
        ahead_find(&ahead.guesses[i], store)


cdef inline void fetch_group(Ahead *ahead, const Store *store, uint32_t first) noexcept nogil:
    cdef uint32_t i
    for i in range(first, min(first + GROUP, ahead.count)):
        ahead_fetch(&ahead.guesses[i], store)


cdef inline void ahead_start(
    Ahead *ahead, const Store *store, const Segment *segments, const InputVerdict *verdicts, uint32_t received
) noexcept nogil:
    """Guesses for a burst; their slots, and the first group's cards, are on their way."""
    cdef uint32_t i
    ahead.count = received
    for i in range(received):
        ahead.guesses[i].known.target = NULL
        ahead.guesses[i].slot = NULL
        ahead.guesses[i].response = NULL
        if verdicts[i] == INPUT_SEGMENT:
            ahead_guess(&ahead.guesses[i], store, &segments[i])
    for i in range(received):
        if ahead.guesses[i].slot != NULL:
            prefetch(ahead.guesses[i].slot)
    find_group(ahead, store, 0)
    fetch_group(ahead, store, 0)


cdef inline void ahead_step(Ahead *ahead, const Store *store, uint32_t i) noexcept nogil:
    """Before segment `i` of the burst is taken. They are taken in order: the next group's cards when one begins,
    its bodies when half of that is done."""
    if i & (GROUP - 1) == 0:
        find_group(ahead, store, i + GROUP)
    elif i & (GROUP - 1) == GROUP // 2:
        fetch_group(ahead, store, i + GROUP // 2)
