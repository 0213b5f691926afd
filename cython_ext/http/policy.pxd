"""Which other origins may read a response (CORS, Fetch standard 3.2).

The answer to an origin is a line behind the head, made when the site was compiled; what is cached for all
says Vary: Origin. A preflight asks for no content and bears no credentials: it is answered before both.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from cython_ext.content.store cimport Store, image_line, image_policy
from cython_ext.http.request cimport METHOD_OPTIONS, Request
from cython_ext.http.walk cimport Text, find_field


cdef inline uint32_t policy_line(const Store *store, const image_policy *policy, const Request *request) noexcept nogil:
    """Number of the line for the request's Origin; that for any other when it is not allowed."""
    cdef Text origin
    cdef uint32_t i
    cdef const image_line *line
    if policy.any:
        return policy.lines_first
    find_field(request, b"origin", 6, &origin)
    if origin.octets == NULL or origin.repeated:
        return policy.lines_first
    for i in range(policy.origins):
        line = &store.lines[policy.lines_first + 1 + 2 * i]
        if line.bytes == origin.bytes and memcmp(store.texts + line.offset, origin.octets, line.bytes) == 0:
            return policy.lines_first + 2 + 2 * i
    return policy.lines_first


cdef inline bint policy_preflight(const Request *request) noexcept nogil:
    """An OPTIONS that asks whether another method may be used from elsewhere."""
    cdef Text field
    if request.method != METHOD_OPTIONS:
        return False
    find_field(request, b"access-control-request-method", 29, &field)
    if field.octets == NULL:
        return False
    find_field(request, b"origin", 6, &field)
    return field.octets != NULL
