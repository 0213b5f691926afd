"""The compiled site: path -> response, response -> octets with their sums. Read-only.

The control plane has validated the whole image before it comes here (bypass/site/image.py);
nothing below checks it again.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cython_ext.base.pool cimport NIL
from cython_ext.wire.checksum cimport sum_add, sum_octets, sum_subtract, sum_swap

cdef extern from "abi/image.h" nogil:
    enum:
        IMAGE_SUM_STEP
        IMAGE_CARD_BYTES
        IMAGE_LINE_SLOTS
        IMAGE_TAG_BYTES
        IMAGE_TAG_AT
        IMAGE_MODIFIED_BYTES
        IMAGE_MODIFIED_AT
        IMAGE_EMPTY_SLOT
        IMAGE_DATE_BYTES
        IMAGE_ETAG_BYTES
        IMAGE_NONE
        IMAGE_RESPONSE_CLOSE
        IMAGE_RESPONSE_LARGE
        IMAGE_RESPONSE_CARE
        IMAGE_CODING_IDENTITY
        IMAGE_CODING_GZIP
        IMAGE_CODING_BR
        IMAGE_CODING_ZSTD
        IMAGE_RULE_FORCED
        IMAGE_RULE_KEEPS_QUERY
        IMAGE_RULE_REDIRECT
        IMAGE_CAPTURES_MOST
        IMAGE_OP_TEXT
        IMAGE_OP_SEGMENT
        IMAGE_OP_STAR
        IMAGE_OP_PATH
        IMAGE_OP_QUERY
        IMAGE_OP_RAW
        IMAGE_OP_PARAMETER
        IMAGE_LINE_BYTES_MOST
        IMAGE_HOST_RULES
        IMAGE_HOST_FORCED
        IMAGE_HOST_AREAS
        IMAGE_HOST_POLICIES
        IMAGE_ERROR_406
        IMAGE_ERROR_421
        IMAGE_ERROR_400
        IMAGE_ERROR_404
        IMAGE_ERROR_405
        IMAGE_ERROR_408
        IMAGE_ERROR_413
        IMAGE_ERROR_414
        IMAGE_ERROR_417
        IMAGE_ERROR_431
        IMAGE_ERROR_500
        IMAGE_ERROR_501
        IMAGE_ERROR_503
        IMAGE_ERROR_505
        IMAGE_ERROR_412
        IMAGE_ERROR_204
        IMAGE_ERROR_SLOTS
        IMAGE_VERSION
    struct image_slot:
        uint32_t tag
        uint32_t response
        uint32_t path_offset
        uint32_t path_bytes
    struct image_response:
        uint64_t body_offset
        uint64_t body_bytes
        uint32_t front_offset
        uint32_t sums_first
        uint32_t modified
        uint32_t resource
        uint16_t front_bytes
        uint16_t date_offset
        uint16_t line_bytes
        uint16_t meta_first
        uint16_t head_sum
        uint16_t status
        uint8_t flags
        uint8_t coding
        uint8_t own_bytes
        uint8_t key_bytes
        uint8_t card[IMAGE_CARD_BYTES]
    struct image_resource:
        uint32_t first
        uint32_t count
        uint32_t area
        uint32_t bare
        uint32_t location_offset
        uint32_t location_bytes
    struct image_rule:
        uint32_t pattern_offset
        uint32_t pattern_bytes
        uint32_t target_offset
        uint32_t target_bytes
        uint32_t query_offset
        uint32_t query_bytes
        uint32_t answer
        uint16_t status
        uint16_t flags
    struct image_area:
        uint32_t response
        uint32_t digests_offset
        uint32_t digests_count
        uint8_t salt[16]
    struct image_policy:
        uint32_t preflight
        uint32_t lines_first
        uint32_t origins
        uint32_t any
    struct image_line:
        uint32_t offset
        uint32_t bytes
    struct image_host:
        uint32_t slots_first
        uint32_t slots_count
        uint32_t features
        uint32_t depth
        uint32_t rules_first
        uint32_t rules_count
        uint32_t pages
        uint32_t errors[IMAGE_ERROR_SLOTS]
    struct image_header:
        uint64_t image_bytes
        uint32_t version
        uint64_t slots_offset
        uint64_t paths_offset
        uint64_t hosts_offset
        uint64_t hosts_count
        uint64_t resources_offset
        uint64_t rules_offset
        uint64_t areas_offset
        uint64_t policies_offset
        uint64_t lines_offset
        uint64_t texts_offset
        uint64_t responses_offset
        uint64_t responses_count
        uint64_t heads_offset
        uint64_t sums_offset
        uint32_t names_first
        uint32_t names_count
        uint32_t default_host
        uint32_t errors[IMAGE_ERROR_SLOTS]
    uint64_t image_hash(const uint8_t *data, uint64_t bytes)

cdef struct Store:
    const uint8_t *image
    const image_header *header
    const image_slot *slots
    const uint8_t *paths
    const image_response *responses
    const uint8_t *heads
    const uint16_t *sums
    const image_host *hosts
    const image_host *default_host  # NULL: none
    const image_resource *resources
    const image_rule *rules
    const image_area *areas
    const image_policy *policies
    const image_line *lines
    const uint8_t *texts
    uint32_t serial                 # of the image: no two of an engine's have the same


cdef inline void store_open(Store *store, const uint8_t *image) noexcept nogil:
    """`image` is a validated image, aligned to 64 octets, and outlives the store."""
    cdef const image_header *header = <const image_header *>image
    store.image = image
    store.header = header
    store.slots = <const image_slot *>(image + header.slots_offset)
    store.paths = image + header.paths_offset
    store.responses = <const image_response *>(image + header.responses_offset)
    store.heads = image + header.heads_offset
    store.sums = <const uint16_t *>(image + header.sums_offset)
    store.hosts = <const image_host *>(image + header.hosts_offset)
    store.default_host = NULL
    if header.default_host != IMAGE_NONE:
        store.default_host = &store.hosts[header.default_host]
    store.resources = <const image_resource *>(image + header.resources_offset)
    store.rules = <const image_rule *>(image + header.rules_offset)
    store.areas = <const image_area *>(image + header.areas_offset)
    store.policies = <const image_policy *>(image + header.policies_offset)
    store.lines = <const image_line *>(image + header.lines_offset)
    store.texts = image + header.texts_offset


cdef inline uint32_t index_find(
    const Store *store, uint32_t first, uint32_t count, const uint8_t *key, uint32_t octets
) noexcept nogil:
    """What a key stands for in the index of `count` slots from `first` on, or NIL."""
    return index_find_hash(store, first, count, key, octets, image_hash(key, octets))


cdef inline uint32_t index_home(uint64_t hash, uint32_t count) noexcept nogil:
    """The slot at which the search for a key begins: the first of a line."""
    return <uint32_t>hash & (count - 1) & ~<uint32_t>(IMAGE_LINE_SLOTS - 1)


cdef inline uint32_t index_find_hash(
    const Store *store, uint32_t first, uint32_t count, const uint8_t *key, uint32_t octets, uint64_t hash
) noexcept nogil:
    """index_find() of a key whose hash is known. The index has empty slots: it ends."""
    cdef const image_slot *slots = store.slots + first
    cdef uint32_t i = index_home(hash, count)
    cdef uint32_t tag = <uint32_t>(hash >> 32)
    cdef const image_slot *slot
    while True:
        slot = &slots[i]
        if slot.response == IMAGE_EMPTY_SLOT:
            return NIL
        if (
            slot.tag == tag and slot.path_bytes == octets
            and memcmp(slot_key(store, slot), key, octets) == 0
        ):
            return slot.response
        i = (i + 1) & (count - 1)


cdef inline const uint8_t *slot_key(const Store *store, const image_slot *slot) noexcept nogil:
    """The key of a taken slot."""
    cdef const image_response *response
    if slot.path_offset != IMAGE_NONE:
        return store.paths + slot.path_offset
    response = &store.responses[slot.response]
    return &response.card[response.own_bytes]


cdef inline uint32_t host_find(
    const Store *store, const image_host *host, const uint8_t *key, uint32_t octets
) noexcept nogil:
    """Number of the response for a normalised path of a host (or what else the key stands for), or NIL."""
    return index_find(store, host.slots_first, host.slots_count, key, octets)


cdef inline const uint8_t *response_front(const Store *store, const image_response *response) noexcept nogil:
    """What the head begins with, up to front_bytes. The rest is the card's first own_bytes."""
    return store.heads + response.front_offset


cdef inline uint32_t head_bytes(const image_response *response) noexcept nogil:
    """Status line and fields, without the empty line that ends the head."""
    return <uint32_t>response.front_bytes + response.own_bytes


cdef inline uint32_t own_length_at(const image_response *response) noexcept nogil:
    """Where in the card the line Content-Length begins: behind what a 304 repeats."""
    return (IMAGE_TAG_BYTES if response.status == 200 else 0) + (IMAGE_MODIFIED_BYTES if response.modified else 0)


cdef inline bint body_is_near(const Store *store, const image_response *response) noexcept nogil:
    """Whether the body lies in the card."""
    return <uint64_t>(store.image + response.body_offset - <const uint8_t *>response) < sizeof(image_response)


cdef inline uint16_t store_copy_body(
    const Store *store, const image_response *response, uint64_t start, uint32_t octets, uint8_t *out
) noexcept nogil:
    """Copies body octets [start, start + octets) and returns their sum, words counted from the
    first of them. The sum comes from the table but for the ragged ends of the range."""
    cdef const uint8_t *body = store.image + response.body_offset
    cdef uint64_t end = start + octets
    cdef uint64_t first = (start + IMAGE_SUM_STEP - 1) // IMAGE_SUM_STEP
    cdef uint64_t last = end // IMAGE_SUM_STEP
    cdef const uint16_t *sums = store.sums + response.sums_first
    cdef uint16_t total
    memcpy(out, body + start, octets)
    if first >= last or octets < 2 * IMAGE_SUM_STEP:   # summing so few costs less than a look into the table
        return sum_octets(out, octets)
    total = sum_subtract(sums[last], sums[first])
    if first * IMAGE_SUM_STEP > start:
        total = sum_add(total, edge_sum(body + start, first * IMAGE_SUM_STEP - start))
    if end > last * IMAGE_SUM_STEP:
        total = sum_add(total, sum_octets(body + last * IMAGE_SUM_STEP, end - last * IMAGE_SUM_STEP))
    return sum_swap(total) if start & 1 else total


cdef inline uint16_t edge_sum(const uint8_t *data, uint64_t octets) noexcept nogil:
    """Sum of octets that end at a multiple of the step, words aligned to that end."""
    cdef uint16_t total = sum_octets(data, octets)
    return sum_swap(total) if octets & 1 else total
