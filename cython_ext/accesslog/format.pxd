"""Records to lines. Run by the thread that reads the ring, never by the worker.

What came from a peer is escaped so that it can neither end a line nor a quoted string: everything but visible ASCII
and space, the quote and the backslash become \\xHH, in JSON \\u00HH.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cython_ext.accesslog.ring cimport (
    RECORD_AGENT_CLIPPED, RECORD_BYTES_MOST, RECORD_FILLER, RECORD_HOST_CLIPPED, RECORD_LINE_CLIPPED,
    RECORD_REFERER_CLIPPED, LogRing, Record, atomic_load_u64, atomic_store_u64,
)
from cython_ext.http.date cimport Date, date_make, put_two

cdef enum:
    PIECES_MOST = 64
    ESCAPED_MOST = 6                # octets that one becomes

cdef enum PieceKind:
    PIECE_TEXT
    PIECE_REMOTE_ADDR
    PIECE_REMOTE_PORT
    PIECE_TIME_LOCAL
    PIECE_TIME_ISO8601
    PIECE_MSEC
    PIECE_REQUEST
    PIECE_REQUEST_METHOD
    PIECE_REQUEST_URI
    PIECE_SERVER_PROTOCOL
    PIECE_STATUS
    PIECE_BODY_BYTES_SENT
    PIECE_HTTP_REFERER
    PIECE_HTTP_USER_AGENT
    PIECE_HTTP_HOST
    PIECE_KINDS

cdef struct Piece:
    uint32_t kind                   # PieceKind
    uint32_t first                  # PIECE_TEXT: octets of Format.text
    uint32_t bytes

cdef struct Format:
    const uint8_t *text
    uint32_t text_bytes
    uint32_t pieces
    Piece piece[PIECES_MOST]
    bint json
    Date date                       # of the last record's second

cdef struct Line:
    uint8_t *out


cdef inline uint64_t line_bytes_most(const Format *format) noexcept nogil:
    """Room that no line exceeds: every piece at its longest."""
    return format.text_bytes + <uint64_t>format.pieces * (RECORD_BYTES_MOST * ESCAPED_MOST + 64) + 2


cdef inline void put_octets(Line *line, const void *octets, uint32_t count) noexcept nogil:
    memcpy(line.out, octets, count)
    line.out += count


cdef inline void put_number(Line *line, uint64_t number, uint32_t digits_least) noexcept nogil:
    cdef uint8_t text[20]
    cdef uint32_t start = 20
    while number or 20 - start < max(digits_least, <uint32_t>1):
        start -= 1
        text[start] = <uint8_t>(48 + number % 10)
        number //= 10
    put_octets(line, text + start, 20 - start)


cdef inline void put_hex(Line *line, uint32_t value, uint32_t digits) noexcept nogil:
    cdef const char *names = b"0123456789abcdef"
    while digits:
        digits -= 1
        line.out[0] = <uint8_t>names[value >> (4 * digits) & 15]
        line.out += 1


cdef inline void put_escaped(
    Line *line, const Format *format, const uint8_t *text, uint32_t octets, bint cut
) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t octet
    if octets == 0 and not format.json:
        put_octets(line, b"-", 1)
    for i in range(octets):
        octet = text[i]
        if 32 <= octet < 127 and octet != 34 and octet != 92:
            line.out[0] = octet
            line.out += 1
        elif format.json and (octet == 34 or octet == 92):
            line.out[0] = 92
            line.out[1] = octet
            line.out += 2
        elif format.json:
            put_octets(line, b"\\u00", 4)
            put_hex(line, octet, 2)
        else:
            put_octets(line, b"\\x", 2)
            put_hex(line, octet, 2)
    if cut:
        put_octets(line, b"...", 3)


cdef inline bint address_is_mapped(const uint8_t *address) noexcept nogil:
    cdef int i
    for i in range(10):
        if address[i]:
            return False
    return address[10] == 255 and address[11] == 255


cdef inline void put_address(Line *line, const uint8_t *address) noexcept nogil:
    """Dotted for IPv4; RFC 5952 for IPv6: the longest run of zero groups, the first of equals, becomes ::."""
    cdef int i, run, best, best_groups
    if address_is_mapped(address):
        for i in range(4):
            if i:
                put_octets(line, b".", 1)
            put_number(line, address[12 + i], 1)
        return
    best = -1
    best_groups = 1                                 # a single group is not shortened
    run = 0
    for i in range(8):
        run = run + 1 if address[2 * i] == 0 and address[2 * i + 1] == 0 else 0
        if run > best_groups:
            best_groups = run
            best = i - run + 1
    i = 0
    while i < 8:
        if i == best:
            put_octets(line, b"::", 2)
            i += best_groups
            continue
        if i and i != best + best_groups:
            put_octets(line, b":", 1)
        put_group(line, <uint32_t>address[2 * i] << 8 | address[2 * i + 1])
        i += 1


cdef inline void put_group(Line *line, uint32_t value) noexcept nogil:
    put_hex(line, value, 1 if value < 16 else 2 if value < 256 else 3 if value < 4096 else 4)


cdef inline void put_time_local(Line *line, const Date *date) noexcept nogil:
    """24/Nov/2026:22:33:14 +0000: always UTC."""
    put_octets(line, date.text + 5, 2)
    put_octets(line, b"/", 1)
    put_octets(line, date.text + 8, 3)
    put_octets(line, b"/", 1)
    put_octets(line, date.text + 12, 4)
    put_octets(line, b":", 1)
    put_octets(line, date.text + 17, 8)
    put_octets(line, b" +0000", 6)


cdef inline void put_time_iso8601(Line *line, const Date *date) noexcept nogil:
    cdef const char *names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef uint32_t month = 0
    while names[3 * month] != <char>date.text[8] or names[3 * month + 1] != <char>date.text[9] or (
        names[3 * month + 2] != <char>date.text[10]
    ):
        month += 1
    put_octets(line, date.text + 12, 4)
    put_octets(line, b"-", 1)
    put_two(line.out, month + 1)
    line.out += 2
    put_octets(line, b"-", 1)
    put_octets(line, date.text + 5, 2)
    put_octets(line, b"T", 1)
    put_octets(line, date.text + 17, 8)
    put_octets(line, b"+00:00", 6)


cdef inline void put_word(
    Line *line, const Format *format, const Record *record, const uint8_t *text, uint32_t which
) noexcept nogil:
    """The request line's first word, what is between, or its last word; nothing where there are not three."""
    cdef uint32_t first = 0
    cdef uint32_t last = record.line_bytes
    cdef bint cut = record.flags & RECORD_LINE_CLIPPED != 0
    while first < record.line_bytes and text[first] != 32:
        first += 1
    while last > first and text[last - 1] != 32:
        last -= 1
    if which == PIECE_REQUEST_METHOD:
        put_escaped(line, format, text, first, False)
    elif cut:
        last = record.line_bytes                    # the version was cut off, perhaps a part of the target too
        first = min(first + 1, last)
        if which == PIECE_SERVER_PROTOCOL:
            first = last
        put_escaped(line, format, text + first, last - first, which == PIECE_REQUEST_URI)
    elif last <= first + 1:
        put_escaped(line, format, text, 0, False)
    elif which == PIECE_REQUEST_URI:
        put_escaped(line, format, text + first + 1, last - first - 2, False)
    else:
        put_escaped(line, format, text + last, record.line_bytes - last, False)


cdef inline void put_piece(
    Line *line, const Format *format, const Piece *piece, const Record *record
) noexcept nogil:
    cdef const uint8_t *text = <const uint8_t *>record + sizeof(Record)
    cdef const uint8_t *agent = text + record.line_bytes + record.referer_bytes
    cdef uint16_t cut = record.flags
    if piece.kind == PIECE_TEXT:
        put_octets(line, format.text + piece.first, piece.bytes)
    elif piece.kind == PIECE_REMOTE_ADDR:
        put_address(line, record.peer_address)
    elif piece.kind == PIECE_REMOTE_PORT:
        put_number(line, record.peer_port, 1)
    elif piece.kind == PIECE_TIME_LOCAL:
        put_time_local(line, &format.date)
    elif piece.kind == PIECE_TIME_ISO8601:
        put_time_iso8601(line, &format.date)
    elif piece.kind == PIECE_MSEC:
        put_number(line, <uint64_t>record.wall_ns // 1000000000, 1)
        put_octets(line, b".", 1)
        put_number(line, <uint64_t>record.wall_ns // 1000000 % 1000, 3)
    elif piece.kind == PIECE_REQUEST:
        put_escaped(line, format, text, record.line_bytes, cut & RECORD_LINE_CLIPPED)
    elif piece.kind == PIECE_STATUS:
        put_number(line, record.status, 3)
    elif piece.kind == PIECE_BODY_BYTES_SENT:
        put_number(line, record.body_octets, 1)
    elif piece.kind == PIECE_HTTP_REFERER:
        put_escaped(
            line, format, text + record.line_bytes, record.referer_bytes, cut & RECORD_REFERER_CLIPPED
        )
    elif piece.kind == PIECE_HTTP_USER_AGENT:
        put_escaped(line, format, agent, record.agent_bytes, cut & RECORD_AGENT_CLIPPED)
    elif piece.kind == PIECE_HTTP_HOST:
        put_escaped(line, format, agent + record.agent_bytes, record.host_bytes, cut & RECORD_HOST_CLIPPED)
    else:
        put_word(line, format, record, text, piece.kind)


cdef inline void format_line(Format *format, const Record *record, Line *line) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t second = <uint32_t>(record.wall_ns // 1000000000)
    if second != format.date.second:
        date_make(&format.date, second)
    for i in range(format.pieces):
        put_piece(line, format, &format.piece[i], record)
    put_octets(line, b"\n", 1)


cdef inline uint64_t format_records(
    LogRing *ring, Format *format, uint8_t *out, uint64_t room, uint64_t *lines
) noexcept nogil:
    """Takes records while a line surely fits; returns the octets written. room: line_bytes_most at least."""
    cdef uint64_t head = atomic_load_u64(&ring.published)
    cdef uint64_t tail = ring.tail
    cdef uint64_t most = line_bytes_most(format)
    cdef const Record *record
    cdef Line line
    line.out = out
    while tail != head and <uint64_t>(line.out - out) + most <= room:
        record = <const Record *>(ring.memory + (tail & (ring.bytes - 1)))
        tail += record.bytes
        if not record.flags & RECORD_FILLER:
            format_line(format, record, &line)
            lines[0] += 1
    atomic_store_u64(&ring.tail, tail)
    return <uint64_t>(line.out - out)
