"""The compiled site: path -> response, response -> octets with their sums. Read-only.

The control plane has validated the whole image before it comes here (bypass/site/image.py);
nothing below checks it again.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cython_ext.base.pool cimport NIL
from cython_ext.wire.bytes cimport prefetch
from cython_ext.wire.checksum cimport sum_add, sum_octets, sum_subtract, sum_swap

cdef extern from "abi/image.h" nogil:
    enum:
        IMAGE_SUM_STEP
        IMAGE_EMPTY_SLOT
        IMAGE_DATE_BYTES
        IMAGE_ETAG_BYTES
        IMAGE_RESPONSE_CLOSE
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
        uint64_t head_offset
        uint64_t body_offset
        uint64_t body_bytes
        uint64_t sums_first
        uint32_t head_bytes
        uint16_t head_sum
        uint16_t date_offset
        uint16_t status
        uint16_t flags
        uint32_t modified
        uint16_t line_bytes
        uint16_t etag_offset
        uint16_t modified_offset
        uint16_t meta_end
        uint16_t length_offset
    struct image_header:
        uint64_t image_bytes
        uint32_t version
        uint64_t slots_offset
        uint64_t slots_count
        uint64_t paths_offset
        uint64_t responses_offset
        uint64_t responses_count
        uint64_t sums_offset
        uint32_t errors[IMAGE_ERROR_SLOTS]
    uint64_t image_hash(const uint8_t *data, uint64_t bytes)

cdef struct Store:
    const uint8_t *image
    const image_header *header
    const image_slot *slots
    uint64_t slot_mask
    const uint8_t *paths
    const image_response *responses
    const uint16_t *sums


cdef inline void store_open(Store *store, const uint8_t *image) noexcept nogil:
    """`image` is a validated image, aligned to 64 octets, and outlives the store."""
    store.image = image
    store.header = <const image_header *>image
    store.slots = <const image_slot *>(image + store.header.slots_offset)
    store.slot_mask = store.header.slots_count - 1
    store.paths = image + store.header.paths_offset
    store.responses = <const image_response *>(image + store.header.responses_offset)
    store.sums = <const uint16_t *>(image + store.header.sums_offset)


cdef inline uint32_t store_find(const Store *store, const uint8_t *path, uint32_t octets) noexcept nogil:
    """Number of the response for a normalised path, or NIL. The table has empty slots: it ends."""
    cdef uint64_t hash = image_hash(path, octets)
    cdef uint64_t i = hash & store.slot_mask
    cdef uint32_t tag = <uint32_t>(hash >> 32)
    cdef const image_slot *slot
    while True:
        slot = &store.slots[i]
        if slot.response == IMAGE_EMPTY_SLOT:
            return NIL
        if (
            slot.tag == tag and slot.path_bytes == octets
            and memcmp(store.paths + slot.path_offset, path, octets) == 0
        ):
            return slot.response
        i = (i + 1) & store.slot_mask


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
    if first >= last:
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


cdef inline void store_prefetch(const Store *store, uint32_t response) noexcept nogil:
    prefetch(&store.responses[response])
