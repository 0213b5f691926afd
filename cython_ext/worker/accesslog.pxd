"""What of a response goes into the access log, and when there is room for it."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from cython_ext.accesslog.entry cimport Shown, log_entry, show_fields, show_line, show_parsed_line
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
    cdef Shown shown
    cdef const Slot *slot
    if service.log.memory == NULL:
        return
    slot = session_slot(service, session, session.slot_count - 1)
    memset(&shown, 0, sizeof(Shown))
    if request == NULL:
        show_line(&shown, data, octets)
    else:
        show_parsed_line(&shown, data, request.fields)
        if service.log.wants & LOG_WANTS_FIELDS:
            show_fields(&shown, request.fields, request.fields_bytes)
    log_entry(&service.log, &shown, slot_status(service, slot), slot_body_bytes(service, slot))
