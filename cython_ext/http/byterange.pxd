"""The Range field (RFC 9110 14.1, 14.2): which octets of a representation are asked for."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.http.field cimport same_lower

cdef enum:
    RANGES_MOST = 64                # more in one field are not worth their answer: it is ignored

cdef enum RangeVerdict:
    RANGE_IGNORED                   # not understood, or several parts: the whole is the answer
    RANGE_ONE
    RANGE_UNSATISFIABLE             # 416

cdef struct Extent:
    uint64_t first
    uint64_t bytes


cdef inline RangeVerdict range_parse(
    const uint8_t *value, uint32_t octets, uint64_t whole_bytes, Extent *extent
) noexcept nogil:
    """One satisfiable range goes to `extent`. A field that breaks the grammar anywhere is ignored, as is
    one with several satisfiable ranges: a server may (14.2), and the answer is right, only longer."""
    cdef uint32_t i = 6
    cdef uint32_t ranges = 0
    cdef uint32_t satisfiable = 0
    cdef Extent found
    if octets < 6 or not same_lower(value, 6, b"bytes=", 6):
        return RANGE_IGNORED
    while i < octets:
        if value[i] == 32 or value[i] == 9 or value[i] == 44:
            i += 1
            continue
        ranges += 1
        if ranges > RANGES_MOST or not range_spec(value, octets, &i, whole_bytes, &found):
            return RANGE_IGNORED
        if found.bytes:
            satisfiable += 1
            extent[0] = found
        while i < octets and (value[i] == 32 or value[i] == 9):
            i += 1
        if i < octets and value[i] != 44:
            return RANGE_IGNORED
    if ranges == 0 or satisfiable > 1:
        return RANGE_IGNORED
    return RANGE_ONE if satisfiable else RANGE_UNSATISFIABLE


cdef inline bint range_spec(
    const uint8_t *value, uint32_t octets, uint32_t *position, uint64_t whole_bytes, Extent *extent
) noexcept nogil:
    """first-pos "-" [last-pos] or "-" suffix-length. False breaks the grammar; no octets: unsatisfiable."""
    cdef uint64_t first = 0
    cdef uint64_t last = 0
    cdef bint has_first = read_number(value, octets, position, &first)
    cdef bint has_last
    if position[0] == octets or value[position[0]] != 45:
        return False
    position[0] += 1
    has_last = read_number(value, octets, position, &last)
    extent.first = 0
    extent.bytes = 0
    if has_first:
        if has_last and last < first:
            return False
        if first < whole_bytes:
            extent.first = first
            extent.bytes = (min(last + 1, whole_bytes) if has_last else whole_bytes) - first
        return True
    extent.bytes = min(last, whole_bytes)
    extent.first = whole_bytes - extent.bytes
    return has_last


cdef inline bint read_number(
    const uint8_t *value, uint32_t octets, uint32_t *position, uint64_t *number
) noexcept nogil:
    """1*DIGIT; one beyond 18 digits is taken as larger than any file."""
    cdef uint32_t start = position[0]
    cdef uint64_t total = 0
    while position[0] < octets and 48 <= value[position[0]] <= 57:
        if total < 100000000000000000ULL:
            total = total * 10 + (value[position[0]] - 48)
        else:
            total = 1000000000000000000ULL
        position[0] += 1
    number[0] = total
    return position[0] != start
