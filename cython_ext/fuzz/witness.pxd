"""What one connection delivered: each octet the same however often it is sent, and bodies those of the files.

Reads the server's responses by itself, takes nothing from the engine. What it cannot know (which request
was a HEAD, what a compressed or a composed body holds) it passes over.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.peer cimport Corpus

cdef extern from "<string.h>" nogil:
    void *memmem(const void *text, size_t octets, const void *word, size_t word_bytes)

cdef enum:
    HEAD_MOST = 4096                # octets of a response's head
    STARTS = 8
    NEAR_START = 16                 # cookies of one client that offers another MSS differ by less

cdef struct Witness:
    uint8_t *octets                 # of the server, from behind its SYN, as far as there is room
    uint32_t room
    uint32_t start                  # sequence number of the first
    uint32_t starts[STARTS]         # of the last SYN-ACKs
    uint32_t start_next             # the oldest of them
    bint blind                      # nobody knows where the stream begins
    uint64_t cookies                # the engine had taken back so many before the last segment
    uint32_t bytes
    uint32_t at                     # a response begins here
    uint32_t responses              # read to their end
    uint64_t compared               # octets of bodies found equal to a file's, in all its connections

cdef struct Reply:
    uint32_t status
    uint64_t length                 # Content-Length, 0 without
    uint64_t first                  # of the file, with 206
    uint64_t whole                  # octets of the file
    bint opaque                     # not the plain octets of one file


cdef inline void witness_begin(Witness *witness, uint32_t start) noexcept nogil:
    """A connection: `start` is behind its SYN-ACK."""
    cdef uint32_t i
    witness.blind = False
    for i in range(<uint32_t>STARTS):
        if witness.starts[i] != start and start - witness.starts[i] + NEAR_START <= 2 * NEAR_START:
            witness.blind = True
    witness.starts[witness.start_next] = start
    witness.start_next = (witness.start_next + 1) % STARTS
    witness.start = start
    witness.bytes = 0
    witness.at = 0
    witness.responses = 0


cdef inline void witness_take(
    Witness *witness, const Corpus *files, uint32_t seq, const uint8_t *payload, uint32_t octets,
    uint64_t cookies_before, uint64_t cookies,
) noexcept nogil:
    """One segment. What leaves a gap, or is of another connection, is not looked at. How many cookies the
    engine has taken back before this turn, and until now: it may be this connection's. A cookie can be taken
    up twice, around a RST, and by an acknowledgement that is off by a few: then another stream begins here."""
    cdef uint32_t offset = seq - witness.start
    if octets == 0:
        return
    if offset + NEAR_START <= 2 * NEAR_START and cookies != witness.cookies:
        witness.start = seq
        witness.bytes = 0
        witness.at = 0
        witness.responses = 0
        witness.blind = payload[0] != 72            # H: a response
        offset = 0
    witness.cookies = cookies_before
    if offset > witness.bytes or witness.blind:
        return
    witness_compare(witness, files, offset, payload, octets)


cdef inline void witness_compare(
    Witness *witness, const Corpus *files, uint32_t offset, const uint8_t *payload, uint32_t octets
) noexcept nogil:
    """Octets that begin within, or right behind, what is known."""
    cdef uint32_t known
    octets = min(octets, witness.room - offset)
    known = min(witness.bytes - offset, octets)
    fuzz_require(
        memcmp(witness.octets + offset, payload, known) == 0, b"what is sent again is the same", offset, octets
    )
    if known == octets:
        return
    memcpy(witness.octets + witness.bytes, payload + known, octets - known)
    witness.bytes += octets - known
    while witness_read(witness, files):
        pass


cdef inline bint witness_read(Witness *witness, const Corpus *files) noexcept nogil:
    """One more response that is whole; False when there is none yet."""
    cdef const uint8_t *text = witness.octets + witness.at
    cdef uint32_t octets = witness.bytes - witness.at
    cdef const uint8_t *end = <const uint8_t *>memmem(text, octets, b"\r\n\r\n", 4)
    cdef uint32_t head
    cdef Reply reply
    if octets == 0:
        return False
    fuzz_require(memcmp(text, b"HTTP/1.1 ", min(octets, <uint32_t>9)) == 0, b"a response begins", witness.at, octets)
    if end == NULL:
        fuzz_require(octets < HEAD_MOST, b"a response's head ends", witness.at, octets)
        return False
    head = <uint32_t>(end - text) + 4
    reply_read(text, head, &reply)
    if octets == head:
        if reply.length and not is_bodiless(reply.status):
            return False
    elif text[head] != 72 and not is_bodiless(reply.status):        # no file begins with the H of the next head
        compare_body(witness, files, &reply, text + head, octets - head)
        if octets - head < reply.length:
            return False
        head += <uint32_t>reply.length
    witness.at += head
    witness.responses += 1
    return True


cdef inline bint is_bodiless(uint32_t status) noexcept nogil:
    return status < 200 or status == 204 or status == 304


cdef inline void reply_read(const uint8_t *text, uint32_t octets, Reply *reply) noexcept nogil:
    cdef const uint8_t *value
    reply.status = (text[9] - 48) * <uint32_t>100 + (text[10] - 48) * <uint32_t>10 + text[11] - 48
    fuzz_require(100 <= reply.status < 600, b"a response has a status", reply.status, 0)
    value = field_of(text, octets, b"\r\nContent-Length: ", 18)
    reply.length = number_at(&value) if value != NULL else 0
    reply.first = 0
    reply.whole = reply.length
    reply.opaque = field_of(text, octets, b"\r\nContent-Encoding: ", 20) != NULL
    value = field_of(text, octets, b"\r\nContent-Range: bytes ", 23)
    if reply.status == 206 and value == NULL:
        reply.opaque = True
    elif reply.status == 206:
        reply.first = number_at(&value)
        fuzz_require(value[0] == 45, b"a Content-Range has a last position", value[0], 0)
        value += 1
        fuzz_require(
            number_at(&value) + 1 - reply.first == reply.length, b"a Content-Range is as long as its content",
            <int64_t>reply.first, <int64_t>reply.length,
        )
        value += 1
        reply.whole = number_at(&value)


cdef inline const uint8_t *field_of(
    const uint8_t *text, uint32_t octets, const char *name, uint32_t name_bytes
) noexcept nogil:
    """Where the value of a field begins, or NULL."""
    cdef const uint8_t *found = <const uint8_t *>memmem(text, octets, name, name_bytes)
    return NULL if found == NULL else found + name_bytes


cdef inline uint64_t number_at(const uint8_t **text) noexcept nogil:
    """Digits; text moves behind them."""
    cdef uint64_t value = 0
    while 48 <= text[0][0] <= 57:
        value = 10 * value + text[0][0] - 48
        text[0] += 1
    return value


cdef inline void compare_body(
    Witness *witness, const Corpus *files, const Reply *reply, const uint8_t *body, uint32_t octets
) noexcept nogil:
    """A 200 or 206 carries octets of a file of the length that it says: one of the site's."""
    cdef uint32_t i, start
    cdef uint32_t size = <uint32_t>min(<uint64_t>octets, reply.length)
    cdef bint found = False
    if files.entries == 0 or reply.opaque or reply.status != 200 and reply.status != 206:
        return
    for i in range(files.entries):
        start = files.ends[i - 1] if i else 0
        if (
            files.ends[i] - start == reply.whole and reply.first + reply.length <= reply.whole
            and memcmp(files.octets + start + reply.first, body, size) == 0
        ):
            found = True
            break
    fuzz_require(found, b"octets delivered are octets of the file", <int64_t>reply.whole, size)
    if octets >= reply.length:
        witness.compared += reply.length
