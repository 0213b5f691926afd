"""What of a response goes into the access log, and when there is room for it."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.accesslog.entry cimport first_line, log_line, log_request, parsed_line
from cython_ext.accesslog.ring cimport LOG_WANTS_FIELDS, RECORD_BYTES_MOST, ring_has_room
from cython_ext.http.request cimport Request
from cython_ext.worker.queue cimport session_slot, slot_body_bytes, slot_status
from cython_ext.worker.service cimport Service, Session, Slot


cdef inline bint log_is_full(Service *service) noexcept nogil:
    """No request may be taken: its response could not be logged."""
    return service.log.lossless and not ring_has_room(&service.log, RECORD_BYTES_MOST)


cdef inline void log_last(
    Service *service, Session *session, const uint8_t *data, uint32_t octets, const Request *request
) noexcept nogil:
    """Logs the response queued last. data: what its request began with; request: NULL when it was none."""
    cdef const Slot *slot
    cdef uint16_t status
    cdef uint64_t body_octets
    if service.log.memory == NULL:
        return
    slot = session_slot(service, session, session.slot_count - 1)
    status = slot_status(service, slot)
    body_octets = slot_body_bytes(service, slot)
    if request == NULL:
        log_line(&service.log, first_line(data, octets), status, body_octets)
    elif service.log.wants & LOG_WANTS_FIELDS:
        log_request(&service.log, parsed_line(data, request.fields), request, status, body_octets)
    else:
        log_line(&service.log, parsed_line(data, request.fields), status, body_octets)
