"""Has memory fetched for the requests of a burst before they are answered.

A site of a million files is larger than any cache: each answer meets a line of slots and a card that nobody has looked
at lately, and the page table's entries for both. One after another they would cost as much as all the rest. Here,
while one request is answered, the slots of one some places behind it are on their way, the card of a nearer one, and
the body of a nearer one still, should it lie elsewhere. The CPU goes on past a fetch only when it knows the page: many
of them in a row are slower than a few at a time, and the first cache does not hold more. A wrong guess costs its
fetch; nothing is answered from it.
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
    SLOTS_AHEAD = 8                 # segments between one that is answered and one whose slots are fetched,
    FIND_AHEAD = 4                  # one whose card is,
    FETCH_AHEAD = 2                 # and one whose body is
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


cdef inline void ahead_look(const Guess *guess) noexcept nogil:
    if guess.slot != NULL:
        prefetch(guess.slot)


cdef inline void ahead_find(Guess *guess, const Store *store) noexcept nogil:
    """From the slots to the card, all of it, and to a path that lies elsewhere. Where the line is full of others the
    next one is fetched, to be looked at when this is asked again."""
    cdef const image_slot *slot = guess.slot
    cdef uint32_t tag = <uint32_t>(guess.known.hash >> 32)
    cdef uint32_t k
    if slot == NULL or guess.response != NULL:
        return
    for k in range(<uint32_t>IMAGE_LINE_SLOTS):
        if slot[k].response == IMAGE_EMPTY_SLOT:
            guess.slot = NULL
            return
        if slot[k].tag == tag:
            guess.response = &store.responses[slot[k].response]
            fetch_lines(<const uint8_t *>guess.response, sizeof(image_response), BODY_LINES_MOST)
            if slot[k].path_offset != IMAGE_NONE:
                prefetch(store.paths + slot[k].path_offset)
                prefetch(store.paths + slot[k].path_offset + slot[k].path_bytes - 1)
            return
    guess.slot = next_line(store, slot)
    prefetch(guess.slot)


cdef inline const image_slot *next_line(const Store *store, const image_slot *line) noexcept nogil:
    """Behind a line of slots of the default host's index."""
    cdef const image_slot *first = store.slots + store.default_host.slots_first
    cdef const image_slot *after = line + IMAGE_LINE_SLOTS
    return first if after == first + store.default_host.slots_count else after


cdef inline void ahead_fetch(Guess *guess, const Store *store) noexcept nogil:
    """From the card to the beginning of content that lies elsewhere, with its sums; or once more to the card."""
    cdef const image_response *response = guess.response
    if response == NULL:
        ahead_find(guess, store)
        return
    if response.flags & IMAGE_RESPONSE_LARGE or body_is_near(store, response):
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


cdef inline void ahead_start(
    Ahead *ahead, const Store *store, const Segment *segments, const InputVerdict *verdicts, uint32_t received
) noexcept nogil:
    """Guesses for a burst, and as much of it as ahead_step() expects to be on its way for the first."""
    cdef uint32_t i
    ahead.count = received
    for i in range(received):
        ahead.guesses[i].known.target = NULL
        ahead.guesses[i].slot = NULL
        ahead.guesses[i].response = NULL
        if verdicts[i] == INPUT_SEGMENT:
            ahead_guess(&ahead.guesses[i], store, &segments[i])
    for i in range(min(<uint32_t>SLOTS_AHEAD, received)):
        ahead_look(&ahead.guesses[i])
    for i in range(min(<uint32_t>FIND_AHEAD, received)):
        ahead_find(&ahead.guesses[i], store)
    for i in range(min(<uint32_t>FETCH_AHEAD, received)):
        ahead_fetch(&ahead.guesses[i], store)


cdef inline void ahead_step(Ahead *ahead, const Store *store, uint32_t i) noexcept nogil:
    """Before segment `i` of the burst is taken. They are taken in order."""
    if i + SLOTS_AHEAD < ahead.count:
        ahead_look(&ahead.guesses[i + SLOTS_AHEAD])
    if i + FIND_AHEAD < ahead.count:
        ahead_find(&ahead.guesses[i + FIND_AHEAD], store)
    if i + FETCH_AHEAD < ahead.count:
        ahead_fetch(&ahead.guesses[i + FETCH_AHEAD], store)
