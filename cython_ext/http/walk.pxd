"""Walks the field lines of a request that the parser has found well-formed.

For the few fields that only some answers depend on: nearly all requests never come here.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr

from cython_ext.http.field cimport same_lower
from cython_ext.http.request cimport Request

cdef struct Text:
    const uint8_t *octets           # NULL: the field is not there
    uint32_t bytes
    bint repeated                   # a field that may stand once stood more than once

cdef struct Walk:
    const uint8_t *at
    const uint8_t *end
    const uint8_t *name             # of the line that next_line found
    uint32_t name_bytes
    Text value


cdef inline void walk_begin(Walk *walk, const Request *request) noexcept nogil:
    walk.at = request.fields
    walk.end = request.fields + request.fields_bytes


cdef inline bint next_line(Walk *walk) noexcept nogil:
    """The next field line; False behind the last."""
    cdef const uint8_t *colon
    cdef const uint8_t *line_end
    if walk.at >= walk.end:
        return False
    colon = <const uint8_t *>memchr(walk.at, 58, walk.end - walk.at)
    line_end = <const uint8_t *>memchr(walk.at, 13, walk.end - walk.at)
    if colon == NULL or line_end == NULL or colon > line_end:
        return False
    walk.name = walk.at
    walk.name_bytes = <uint32_t>(colon - walk.at)
    walk.value.octets = colon + 1
    walk.value.bytes = <uint32_t>(line_end - colon - 1)
    walk.value.repeated = False
    trim(&walk.value)
    walk.at = line_end + 2
    return True


cdef inline void trim(Text *value) noexcept nogil:
    """White space around a field's value is no part of it (RFC 9110 5.5)."""
    while value.bytes and (value.octets[0] == 32 or value.octets[0] == 9):
        value.octets += 1
        value.bytes -= 1
    while value.bytes and (value.octets[value.bytes - 1] == 32 or value.octets[value.bytes - 1] == 9):
        value.bytes -= 1


cdef inline void take_once(Text *kept, const Text *value) noexcept nogil:
    kept.repeated = kept.octets != NULL
    kept.octets = value.octets
    kept.bytes = value.bytes


cdef inline void find_field(
    const Request *request, const char *name, uint32_t name_bytes, Text *found
) noexcept nogil:
    """The value of a field that may stand once; name in lower case."""
    cdef Walk walk
    found.octets = NULL
    found.bytes = 0
    found.repeated = False
    walk_begin(&walk, request)
    while next_line(&walk):
        if same_lower(walk.name, walk.name_bytes, name, name_bytes):
            take_once(found, &walk.value)
