"""From request-target to the path that the site's index knows (RFC 9112 3.2, RFC 3986 5.2.4, 6.2.2).

The rule, written once: the query is cut off; percent-encoded octets are decoded once; an
encoded slash or NUL names nothing (404); empty segments collapse; "." and ".." segments are
removed, and one that would leave the root is refused (400). No file system is touched: a path
is looked up in a closed index, so nothing outside the site can be named.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cython_ext.http.field cimport host_is_sound, is_plain_octet, same_lower

cdef enum PathVerdict:
    PATH_OK
    PATH_BAD            # 400
    PATH_NOWHERE        # 404

cdef struct Path:
    const uint8_t *octets
    uint32_t bytes


cdef struct Known:
    const uint8_t *target           # NULL: nothing is known
    uint32_t bytes                  # plain_prefix() of it
    uint64_t hash                   # image_hash() of those


cdef inline PathVerdict path_of_target(
    const uint8_t *target, uint32_t octets, const Known *known, uint8_t *scratch, Path *path
) noexcept nogil:
    """`scratch` has room for `octets` and is used only where the path must be rewritten. known: of this target or
    of another, or NULL."""
    cdef uint32_t i
    if target[0] != 47:
        i = authority_end(target, octets)       # absolute-form: RFC 9112 3.2.2
        if i == 0:
            return PATH_BAD
        if i == octets or target[i] == 63:
            path.octets = <const uint8_t *>b"/"
            path.bytes = 1
            return PATH_OK
        target += i
        octets -= i
    i = known.bytes if is_known(known, target, octets) else plain_prefix(target, octets)
    if i == octets or target[i] == 63:
        path.octets = target
        path.bytes = i
        return PATH_OK
    return path_rewrite(target, octets, scratch, path)


cdef inline bint is_known(const Known *known, const uint8_t *target, uint32_t octets) noexcept nogil:
    """Whether it is these very octets of which something is known."""
    return known != NULL and known.target == target and known.bytes <= octets


cdef inline uint32_t plain_prefix(const uint8_t *target, uint32_t octets) noexcept nogil:
    """Octets from the front that stand for themselves: no escape, no empty or dot segment."""
    cdef uint32_t i = 0
    while i < octets:
        if is_plain_octet(target[i]):
            i += 1
        elif target[i] == 46:
            if target[i - 1] == 47:             # i > 0: target[0] is a slash
                return i
            i += 1
        elif target[i] == 47:
            if i and target[i - 1] == 47:
                return i
            i += 1
        else:
            return i
    return i


cdef inline uint32_t authority_end(const uint8_t *target, uint32_t octets) noexcept nogil:
    """Behind "http://authority", or 0 when the target is not of that form. A user before the host is
    refused (RFC 9110 4.2.4)."""
    cdef uint32_t i, start
    if octets > 7 and same_lower(target, 5, b"http:", 5) and target[5] == 47 and target[6] == 47:
        i = 7
    elif octets > 8 and same_lower(target, 6, b"https:", 6) and target[6] == 47 and target[7] == 47:
        i = 8
    else:
        return 0
    start = i
    while i < octets and target[i] != 47 and target[i] != 63:
        i += 1
    return i if i > start and host_is_sound(target + start, i - start) else 0


cdef inline int hex_digit(uint8_t octet) noexcept nogil:
    """0 to 15, or -1."""
    if 48 <= octet <= 57:
        return octet - 48
    if 97 <= (octet | 32) <= 102:
        return (octet | 32) - 87
    return -1


cdef inline PathVerdict path_rewrite(
    const uint8_t *target, uint32_t octets, uint8_t *out, Path *path
) noexcept nogil:
    """Decodes and normalises segment by segment."""
    cdef uint32_t i = 0
    cdef uint32_t used = 0
    cdef uint32_t segment = 0           # where the segment being written begins in `out`
    cdef int high, low
    cdef uint8_t octet
    cdef bint nowhere = False
    while i <= octets:
        if i == octets or target[i] == 47 or target[i] == 63:
            if not close_segment(out, &used, segment):
                return PATH_BAD
            if i == octets or target[i] == 63:
                break
            if used == 0 or out[used - 1] != 47:
                out[used] = 47
                used += 1
            segment = used
            i += 1
            continue
        octet = target[i]
        i += 1
        if octet == 37:
            if i + 2 > octets:
                return PATH_BAD
            high = hex_digit(target[i])
            low = hex_digit(target[i + 1])
            if high < 0 or low < 0:
                return PATH_BAD
            octet = <uint8_t>(high * 16 + low)
            i += 2
            if octet == 0 or octet == 47:
                nowhere = True
                octet = 0               # a slash in here must not end the segment
        out[used] = octet
        used += 1
    path.octets = out
    path.bytes = used
    return PATH_NOWHERE if nowhere else PATH_OK


cdef inline bint close_segment(uint8_t *out, uint32_t *used, uint32_t segment) noexcept nogil:
    """Removes a "." or ".." segment just written; False when ".." would leave the root."""
    cdef uint32_t length = used[0] - segment
    if length == 1 and out[segment] == 46:
        used[0] = segment
    elif length == 2 and out[segment] == 46 and out[segment + 1] == 46:
        if segment < 2:
            return False
        used[0] = segment - 1           # drop the slash, then the segment before it
        while out[used[0] - 1] != 47:
            used[0] -= 1
    return True
