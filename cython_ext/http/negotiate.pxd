"""Accept-Encoding (RFC 9110 12.5.3): which representation of a resource is the answer.

The written rule: the highest weight, then the smallest. Without the field identity is the answer, else the
smallest there is. identity that the field does not name, itself or by a star, is acceptable and comes last.
An item that breaks the grammar is skipped.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport (
    IMAGE_CODING_BR, IMAGE_CODING_GZIP, IMAGE_CODING_IDENTITY, IMAGE_CODING_ZSTD, IMAGE_RESPONSE_CARE, Store,
    image_resource, image_response,
)
from cython_ext.http.field cimport is_token_octet, same_lower
from cython_ext.http.request cimport Request
from cython_ext.http.walk cimport Walk, next_line, walk_begin

cdef enum:
    CODINGS = 4
    CODING_ANY = 4                  # "*"
    CODING_OTHER = 5

cdef struct Weights:
    int32_t of[6]                   # twice the weight in thousandths, by coding; -1: not named
    bint given                      # there is a field


cdef inline uint32_t negotiate(
    const Store *store, const image_resource *resource, const Request *request
) noexcept nogil:
    """Number of the response, or NIL: none is acceptable."""
    cdef Weights weights
    cdef uint32_t i
    cdef uint32_t best = NIL
    cdef int32_t weight
    cdef int32_t best_weight = 0
    cdef const image_response *response
    read_weights(request, &weights)
    for i in range(resource.first, resource.first + resource.count):
        response = &store.responses[i]
        weight = weight_of(&weights, response.coding)
        if weight > best_weight or (
            weight == best_weight and best != NIL and response.body_bytes < store.responses[best].body_bytes
        ):
            best = i
            best_weight = weight
    return best


cdef inline uint32_t represent(const Store *store, uint32_t response, const Request *request) noexcept nogil:
    """The representation of an error page: any rather than none."""
    cdef uint32_t chosen
    if not store.responses[response].flags & IMAGE_RESPONSE_CARE:
        return response
    chosen = negotiate(store, &store.resources[store.responses[response].resource], request)
    return response if chosen == NIL else chosen


cdef inline int32_t weight_of(const Weights *weights, uint16_t coding) noexcept nogil:
    if not weights.given:
        return 2000 if coding == IMAGE_CODING_IDENTITY else 1
    if weights.of[coding] >= 0:
        return weights.of[coding]
    if weights.of[<int>CODING_ANY] >= 0:
        return weights.of[<int>CODING_ANY]
    return 1 if coding == IMAGE_CODING_IDENTITY else 0


cdef inline void read_weights(const Request *request, Weights *weights) noexcept nogil:
    cdef Walk walk
    cdef uint32_t i
    for i in range(6):
        weights.of[i] = -1
    weights.given = request.accepts != 0
    if request.accepts == 1:
        take_weights(request.accept, request.accept_bytes, weights)
    if request.accepts <= 1:
        return
    walk_begin(&walk, request)
    while next_line(&walk):
        if same_lower(walk.name, walk.name_bytes, b"accept-encoding", 15):
            take_weights(walk.value.octets, walk.value.bytes, weights)


cdef inline void take_weights(const uint8_t *value, uint32_t octets, Weights *weights) noexcept nogil:
    """#( codings [ weight ] ): items between commas."""
    cdef uint32_t i = 0
    cdef uint32_t end
    while i < octets:
        end = i
        while end < octets and value[end] != 44:
            end += 1
        take_weight(value + i, end - i, weights)
        i = end + 1


cdef inline void take_weight(const uint8_t *item, uint32_t octets, Weights *weights) noexcept nogil:
    """One item: a coding or "*", then perhaps ";q=" and its weight."""
    cdef uint32_t i = skip_space(item, octets, 0)
    cdef uint32_t start = i
    cdef int coding
    cdef int32_t weight = 1000
    while i < octets and is_token_octet(item[i]):
        i += 1
    if i == start:
        return
    coding = coding_named(item + start, i - start)
    i = skip_space(item, octets, i)
    if i < octets:
        if item[i] != 59:
            return
        i = skip_space(item, octets, i + 1)
        if i + 2 >= octets or (item[i] | 32) != 113 or item[i + 1] != 61:
            return
        weight = parse_weight(item + i + 2, octets - i - 2)
        if weight < 0:
            return
    weights.of[coding] = 2 * weight


cdef inline uint32_t skip_space(const uint8_t *text, uint32_t octets, uint32_t i) noexcept nogil:
    while i < octets and (text[i] == 32 or text[i] == 9):
        i += 1
    return i


cdef inline int coding_named(const uint8_t *name, uint32_t octets) noexcept nogil:
    if octets == 1 and name[0] == 42:
        return CODING_ANY
    if same_lower(name, octets, b"gzip", 4) or same_lower(name, octets, b"x-gzip", 6):   # RFC 9110 8.4.1.3
        return IMAGE_CODING_GZIP
    if same_lower(name, octets, b"br", 2):
        return IMAGE_CODING_BR
    if same_lower(name, octets, b"zstd", 4):
        return IMAGE_CODING_ZSTD
    if same_lower(name, octets, b"identity", 8):
        return IMAGE_CODING_IDENTITY
    return CODING_OTHER


cdef inline int32_t parse_weight(const uint8_t *text, uint32_t octets) noexcept nogil:
    """qvalue (RFC 9110 12.4.2) in thousandths, or -1. White space may follow."""
    cdef int32_t weight
    cdef int32_t place = 100
    cdef uint32_t i = 1
    while octets and (text[octets - 1] == 32 or text[octets - 1] == 9):
        octets -= 1
    if octets == 0 or octets > 5 or not (text[0] == 48 or text[0] == 49):
        return -1
    weight = (text[0] - 48) * 1000
    if octets > 1 and text[1] != 46:
        return -1
    for i in range(2, octets):
        if not 48 <= text[i] <= 57:
            return -1
        weight += (text[i] - 48) * place
        place //= 10
    return weight if weight <= 1000 else -1
