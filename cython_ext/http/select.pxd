"""A parsed request to the number of the response that answers it. Knows nothing of TCP.

Order: framing was judged by the parser; then expectations, method, path (RFC 9110 15.5).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport (
    IMAGE_ERROR_204, IMAGE_ERROR_400, IMAGE_ERROR_404, IMAGE_ERROR_405, IMAGE_ERROR_408, IMAGE_ERROR_412,
    IMAGE_ERROR_413, IMAGE_ERROR_414, IMAGE_ERROR_417, IMAGE_ERROR_431, IMAGE_ERROR_500, IMAGE_ERROR_501,
    IMAGE_ERROR_505, Store, store_find,
)
from cython_ext.http.path cimport PATH_BAD, PATH_NOWHERE, Path, PathVerdict, path_of_target
from cython_ext.http.request cimport METHOD_OPTIONS, METHOD_OTHER, METHOD_UNKNOWN, Request


cdef inline uint32_t error_response(const Store *store, uint16_t status) noexcept nogil:
    """Number of the response for an error status; 500 stands in for one that has none."""
    cdef const uint32_t *errors = &store.header.errors[0]
    if status == 204:
        return errors[<int>IMAGE_ERROR_204]
    if status == 400:
        return errors[<int>IMAGE_ERROR_400]
    if status == 404:
        return errors[<int>IMAGE_ERROR_404]
    if status == 405:
        return errors[<int>IMAGE_ERROR_405]
    if status == 408:
        return errors[<int>IMAGE_ERROR_408]
    if status == 412:
        return errors[<int>IMAGE_ERROR_412]
    if status == 413:
        return errors[<int>IMAGE_ERROR_413]
    if status == 414:
        return errors[<int>IMAGE_ERROR_414]
    if status == 417:
        return errors[<int>IMAGE_ERROR_417]
    if status == 431:
        return errors[<int>IMAGE_ERROR_431]
    if status == 501:
        return errors[<int>IMAGE_ERROR_501]
    if status == 505:
        return errors[<int>IMAGE_ERROR_505]
    return errors[<int>IMAGE_ERROR_500]


cdef inline uint32_t http_select(const Store *store, const Request *request, uint8_t *scratch) noexcept nogil:
    """The response for a well-framed request. `scratch`: room for the target's octets."""
    cdef Path path
    cdef PathVerdict verdict
    cdef uint32_t response
    if request.expects_other:
        return error_response(store, 417)
    if request.method == METHOD_UNKNOWN:
        return error_response(store, 501)
    if request.method == METHOD_OTHER:
        return error_response(store, 405)
    if request.target_bytes == 1 and request.target[0] == 42:          # RFC 9110 9.3.7
        return error_response(store, 204 if request.method == METHOD_OPTIONS else 400)
    verdict = path_of_target(request.target, request.target_bytes, scratch, &path)
    if verdict == PATH_BAD:
        return error_response(store, 400)
    if verdict == PATH_NOWHERE:
        return error_response(store, 404)
    if request.method == METHOD_OPTIONS:
        return error_response(store, 204)
    response = store_find(store, path.octets, path.bytes)
    return error_response(store, 404) if response == NIL else response
