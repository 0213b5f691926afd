"""From an answered request to a record: the few texts that a log shows, clipped and copied. The parser noted where
they are (http/request.pxd); here no octet of a request is looked at.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from cython_ext.accesslog.ring cimport (
    AGENT_BYTES_MOST, HOST_BYTES_MOST, LINE_BYTES_MOST, LOG_WANTS_FIELDS, RECORD_AGENT_CLIPPED,
    RECORD_HOST_CLIPPED, RECORD_LINE_CLIPPED, RECORD_REFERER_CLIPPED, REFERER_BYTES_MOST, LogRing, Record,
    clipped, put_text, ring_reserve,
)
from cython_ext.http.request cimport Request

cdef struct Text:
    const uint8_t *octets
    uint32_t bytes


cdef inline Text first_line(const uint8_t *data, uint32_t octets) noexcept nogil:
    """The first line that is not empty, as far as it came; of anything, also of what is no HTTP."""
    cdef const uint8_t *end
    cdef Text line
    while octets and (data[0] == 13 or data[0] == 10):
        data += 1
        octets -= 1
    end = <const uint8_t *>memchr(data, 10, octets) if octets else NULL
    line.octets = data
    line.bytes = octets if end == NULL else <uint32_t>(end - data)
    if line.bytes and data[line.bytes - 1] == 13:
        line.bytes -= 1
    return line


cdef inline Text parsed_line(const uint8_t *data, const uint8_t *end) noexcept nogil:
    """Of a head that the parser accepted: its fields begin at `end`."""
    cdef Text line
    while data[0] == 13:
        data += 2
    line.octets = data
    line.bytes = <uint32_t>(end - data) - 2
    return line


cdef inline void log_line(LogRing *ring, Text line, uint16_t status, uint64_t body_octets) noexcept nogil:
    """Of what was no request, or of a request whose fields nobody wants: writes the record, or counts that there
    was no room for it."""
    cdef uint16_t flags = 0
    cdef uint16_t line_bytes = clipped(line.bytes, LINE_BYTES_MOST, RECORD_LINE_CLIPPED, &flags)
    cdef Record *record = ring_reserve(ring, record_bytes(line_bytes))
    if record == NULL:
        return
    record_begin(ring, record, flags, status, body_octets)
    record.line_bytes = line_bytes
    record.referer_bytes = 0
    record.agent_bytes = 0
    record.host_bytes = 0
    put_text(<uint8_t *>record + sizeof(Record), line.octets, line_bytes)


cdef inline void log_request(
    LogRing *ring, Text line, const Request *request, uint16_t status, uint64_t body_octets
) noexcept nogil:
    """The same with the fields."""
    cdef uint16_t flags = 0
    cdef uint16_t line_bytes = clipped(line.bytes, LINE_BYTES_MOST, RECORD_LINE_CLIPPED, &flags)
    cdef uint16_t referer = clipped(request.referer_bytes, REFERER_BYTES_MOST, RECORD_REFERER_CLIPPED, &flags)
    cdef uint16_t agent = clipped(request.agent_bytes, AGENT_BYTES_MOST, RECORD_AGENT_CLIPPED, &flags)
    cdef uint16_t host = clipped(request.host_bytes, HOST_BYTES_MOST, RECORD_HOST_CLIPPED, &flags)
    cdef Record *record = ring_reserve(ring, record_bytes(<uint32_t>line_bytes + referer + agent + host))
    cdef uint8_t *out
    if record == NULL:
        return
    record_begin(ring, record, flags, status, body_octets)
    record.line_bytes = line_bytes
    record.referer_bytes = referer
    record.agent_bytes = agent
    record.host_bytes = host
    out = put_text(<uint8_t *>record + sizeof(Record), line.octets, line_bytes)
    out = put_text(out, request.referer, referer)
    out = put_text(out, request.agent, agent)
    put_text(out, request.host, host)


cdef inline uint64_t record_bytes(uint32_t text_bytes) noexcept nogil:
    return (sizeof(Record) + text_bytes + 7) & ~<uint64_t>7


cdef inline void record_begin(
    const LogRing *ring, Record *record, uint16_t flags, uint16_t status, uint64_t body_octets
) noexcept nogil:
    record.flags = flags
    record.status = status
    record.wall_ns = ring.wall_ns
    record.body_octets = body_octets
    memcpy(record.peer_address, ring.peer_address, 16)
    record.peer_port = ring.peer_port
