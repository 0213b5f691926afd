"""The Range field (RFC 9110 14.1, 14.2): which octets of a representation are asked for."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.http.field cimport same_lower

cdef enum:
    RANGES_MOST = 64                # more in one field are not worth their answer: it is ignored
    PARTS_MOST = 32                 # likewise, of what is left when they are joined

cdef enum RangeVerdict:
    RANGE_IGNORED                   # not understood: the whole is the answer
    RANGE_ONE
    RANGE_SEVERAL
    RANGE_UNSATISFIABLE             # 416

cdef struct Extent:
    uint64_t first
    uint64_t bytes

cdef struct Parts:
    uint32_t count
    Extent extent[PARTS_MOST]


cdef inline RangeVerdict range_parse(
    const uint8_t *value, uint32_t octets, uint64_t whole_bytes, Parts *parts
) noexcept nogil:
    """The satisfiable ranges go to `parts`, in the order asked for; those that overlap or touch are joined where
    the first of them stands (14.2, 15.3.7.2). A field that breaks the grammar anywhere is ignored."""
    cdef uint32_t i = 6
    cdef uint32_t ranges = 0
    cdef Extent found
    parts.count = 0
    if octets < 6 or not same_lower(value, 6, b"bytes=", 6):
        return RANGE_IGNORED
    while i < octets:
        if value[i] == 32 or value[i] == 9 or value[i] == 44:
            i += 1
            continue
        ranges += 1
        if ranges > RANGES_MOST or not range_spec(value, octets, &i, whole_bytes, &found):
            return RANGE_IGNORED
        if found.bytes and not join_part(parts, &found):
            return RANGE_IGNORED
        while i < octets and (value[i] == 32 or value[i] == 9):
            i += 1
        if i < octets and value[i] != 44:
            return RANGE_IGNORED
    if ranges == 0:
        return RANGE_IGNORED
    if parts.count == 0:
        return RANGE_UNSATISFIABLE
    return RANGE_ONE if parts.count == 1 else RANGE_SEVERAL


cdef inline bint join_part(Parts *parts, Extent *found) noexcept nogil:
    """False: one part too many."""
    cdef uint32_t i = 0
    cdef uint32_t k
    cdef uint32_t place = PARTS_MOST
    cdef Extent *other
    cdef uint64_t last
    while i < parts.count:
        other = &parts.extent[i]
        if other.first > found.first + found.bytes or found.first > other.first + other.bytes:
            i += 1
            continue
        last = max(other.first + other.bytes, found.first + found.bytes)
        found.first = min(other.first, found.first)
        found.bytes = last - found.first
        place = min(place, i)
        for k in range(i + 1, parts.count):
            parts.extent[k - 1] = parts.extent[k]
        parts.count -= 1
        i = 0                           # it has grown: it may touch another now
    if parts.count == PARTS_MOST:
        return False
    place = min(place, parts.count)
    k = parts.count
    while k > place:
        parts.extent[k] = parts.extent[k - 1]
        k -= 1
    parts.extent[place] = found[0]
    parts.count += 1
    return True


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
