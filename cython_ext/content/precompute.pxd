"""What the site compiler needs of the engine: the sums that the reply path later looks up."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from cython_ext.wire.checksum cimport sum_add, sum_octets

cdef extern from "abi/image.h" nogil:
    enum:
        IMAGE_SUM_STEP
    uint64_t image_hash(const uint8_t *data, uint64_t bytes)
    uint64_t image_checksum(const uint8_t *header, const uint8_t *content, uint64_t bytes)


cdef inline void body_sums(const uint8_t *body, uint64_t octets, uint16_t *sums) noexcept nogil:
    """sums[k] = sum of body[0 : k * IMAGE_SUM_STEP], for k = 0 .. octets // IMAGE_SUM_STEP."""
    cdef uint64_t k
    cdef uint16_t running = 0
    sums[0] = 0
    for k in range(octets // IMAGE_SUM_STEP):
        running = sum_add(running, sum_octets(body + k * IMAGE_SUM_STEP, IMAGE_SUM_STEP))
        sums[k + 1] = running
