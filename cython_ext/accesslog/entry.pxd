"""From an answered request to a record: finds the few fields that a log shows, copies, clips."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from cython_ext.accesslog.ring cimport (
    AGENT_BYTES_MOST, HOST_BYTES_MOST, LINE_BYTES_MOST, LOG_WANTS_FIELDS, RECORD_AGENT_CLIPPED,
    RECORD_HOST_CLIPPED, RECORD_LINE_CLIPPED, RECORD_REFERER_CLIPPED, REFERER_BYTES_MOST, LogRing, Record,
    clipped, put_text, ring_reserve,
)
from cython_ext.http.field cimport same_lower

cdef struct Text:
    const uint8_t *octets
    uint32_t bytes

cdef struct Shown:
    Text line
    Text referer
    Text agent
    Text host


cdef inline void show_line(Shown *shown, const uint8_t *data, uint32_t octets) noexcept nogil:
    """The first line that is not empty, as far as it came; of anything, also of what is no HTTP."""
    cdef const uint8_t *end
    while octets and (data[0] == 13 or data[0] == 10):
        data += 1
        octets -= 1
    end = <const uint8_t *>memchr(data, 10, octets) if octets else NULL
    shown.line.octets = data
    shown.line.bytes = octets if end == NULL else <uint32_t>(end - data)
    if shown.line.bytes and data[shown.line.bytes - 1] == 13:
        shown.line.bytes -= 1


cdef inline void show_parsed_line(Shown *shown, const uint8_t *data, const uint8_t *end) noexcept nogil:
    """Of a head that the parser accepted: its fields begin at `end`."""
    while data[0] == 13:
        data += 2
    shown.line.octets = data
    shown.line.bytes = <uint32_t>(end - data) - 2


cdef inline void show_fields(Shown *shown, const uint8_t *fields, uint32_t octets) noexcept nogil:
    """Of a head that the parser accepted: each line ends with CRLF."""
    cdef const uint8_t *end
    cdef uint32_t line
    while octets:
        end = <const uint8_t *>memchr(fields, 10, octets)
        if end == NULL:
            return
        line = <uint32_t>(end - fields)
        if line > 5:
            show_field(shown, fields, line - 1)
        octets -= line + 1
        fields = end + 1


cdef inline void show_field(Shown *shown, const uint8_t *line, uint32_t octets) noexcept nogil:
    cdef uint8_t first = line[0] | 32
    if first == 114 and octets > 8 and line[7] == 58 and same_lower(line, 7, b"referer", 7):
        field_value(&shown.referer, line + 8, octets - 8)
    elif first == 117 and octets > 11 and line[10] == 58 and same_lower(line, 10, b"user-agent", 10):
        field_value(&shown.agent, line + 11, octets - 11)
    elif first == 104 and line[4] == 58 and same_lower(line, 4, b"host", 4):
        field_value(&shown.host, line + 5, octets - 5)


cdef inline void field_value(Text *text, const uint8_t *value, uint32_t octets) noexcept nogil:
    while octets and (value[0] == 32 or value[0] == 9):
        value += 1
        octets -= 1
    while octets and (value[octets - 1] == 32 or value[octets - 1] == 9):
        octets -= 1
    text.octets = value
    text.bytes = octets


cdef inline void log_entry(
    LogRing *ring, const Shown *shown, uint16_t status, uint64_t body_octets
) noexcept nogil:
    """Writes the record, or counts that there was no room for it."""
    cdef uint16_t flags = 0
    cdef uint16_t line = clipped(shown.line.bytes, LINE_BYTES_MOST, RECORD_LINE_CLIPPED, &flags)
    cdef uint16_t referer = clipped(shown.referer.bytes, REFERER_BYTES_MOST, RECORD_REFERER_CLIPPED, &flags)
    cdef uint16_t agent = clipped(shown.agent.bytes, AGENT_BYTES_MOST, RECORD_AGENT_CLIPPED, &flags)
    cdef uint16_t host = clipped(shown.host.bytes, HOST_BYTES_MOST, RECORD_HOST_CLIPPED, &flags)
    cdef Record *record = ring_reserve(
        ring, (sizeof(Record) + line + referer + agent + host + 7) & ~<uint64_t>7
    )
    cdef uint8_t *out
    if record == NULL:
        return
    record.flags = flags
    record.status = status
    record.wall_ns = ring.wall_ns
    record.body_octets = body_octets
    memcpy(record.peer_address, ring.peer_address, 16)
    record.peer_port = ring.peer_port
    record.line_bytes = line
    record.referer_bytes = referer
    record.agent_bytes = agent
    record.host_bytes = host
    out = put_text(<uint8_t *>record + sizeof(Record), shown.line.octets, line)
    out = put_text(out, shown.referer.octets, referer)
    out = put_text(out, shown.agent.octets, agent)
    put_text(out, shown.host.octets, host)
