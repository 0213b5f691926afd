"""Redirects and rewrites at request time: programs of the image (enum image_op) run over a path.

One pass over the path for each rule, no backtracking. What was caught is percent-encoded when it goes into
a Location, so nothing that a request says can end the field or name another server.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

from cython_ext.content.store cimport (
    IMAGE_CAPTURES_MOST, IMAGE_OP_PARAMETER, IMAGE_OP_PATH, IMAGE_OP_QUERY, IMAGE_OP_RAW, IMAGE_OP_SEGMENT,
    IMAGE_OP_STAR, IMAGE_OP_TEXT, Store, image_rule,
)
from cython_ext.http.path cimport Path

cdef enum:
    MADE_BYTES_MOST = 2048          # of a Location line, or of a path that a rule makes
    PARAMETERS_MOST = 32            # of a query; those behind them are as if they were not there

cdef struct Capture:
    const uint8_t *octets
    uint32_t bytes
    bint encoded                    # of a query: its escapes are left as they are

cdef struct Parameter:
    const uint8_t *name
    uint32_t name_bytes
    uint32_t bytes                  # of name, equals sign and value

cdef struct Query:
    Path text
    bint divided                    # into parameters: once for all rules that ask for some
    uint32_t count
    Parameter parameters[PARAMETERS_MOST]

cdef struct Made:
    uint8_t *out                    # MADE_BYTES_MOST
    uint32_t bytes
    bint full                       # did not fit

cdef struct Program:
    const uint8_t *at
    const uint8_t *end
    uint8_t op                      # of the instruction that next_op found
    uint16_t number
    const uint8_t *text             # of those that have text: `number` octets


cdef inline void program_begin(Program *program, const Store *store, uint32_t offset, uint32_t octets) noexcept nogil:
    program.at = store.texts + offset
    program.end = program.at + octets


cdef inline bint next_op(Program *program) noexcept nogil:
    """False behind the last instruction. The image's programs are well-formed."""
    if program.at >= program.end:
        return False
    program.op = program.at[0]
    program.number = <uint16_t>(program.at[1] | program.at[2] << 8)
    program.text = program.at + 3
    program.at += 3
    if program.op == IMAGE_OP_TEXT or program.op == IMAGE_OP_PARAMETER:
        program.at += program.number
    return True


cdef inline bint rule_matches(
    const Store *store, const image_rule *rule, const Path *path, Query *query, Capture *captures
) noexcept nogil:
    """The whole path is as the pattern says, and the query has the parameters asked for. `captures`:
    IMAGE_CAPTURES_MOST of them."""
    cdef Program program
    cdef uint32_t at = 0
    cdef uint32_t end
    program_begin(&program, store, rule.pattern_offset, rule.pattern_bytes)
    while next_op(&program):
        if program.op == IMAGE_OP_TEXT:
            if path.bytes - at < program.number or memcmp(path.octets + at, program.text, program.number) != 0:
                return False
            at += program.number
            continue
        if program.op == IMAGE_OP_STAR:
            end = star_end(&program, path, at)
        else:
            end = segment_end(&program, path, at)
        if end == 0:
            return False
        captures[program.number].octets = path.octets + at
        captures[program.number].bytes = end - at
        captures[program.number].encoded = False
        at = end
    return at == path.bytes and (rule.query_bytes == 0 or query_matches(store, rule, query, captures))


cdef inline uint32_t star_end(const Program *program, const Path *path, uint32_t at) noexcept nogil:
    """Where a star ends: before the text that must be the path's last; 0: there is no room for it."""
    cdef uint32_t rest = 0
    if program.at < program.end:
        rest = <uint32_t>(program.at[1] | program.at[2] << 8)
    return path.bytes - rest if path.bytes - at >= rest else 0


cdef inline uint32_t segment_end(const Program *program, const Path *path, uint32_t at) noexcept nogil:
    """Where a placeholder ends: with its segment, but for the text that follows it there; 0: it is empty."""
    cdef const uint8_t *found = <const uint8_t *>memchr(path.octets + at, 47, path.bytes - at)
    cdef uint32_t end = path.bytes if found == NULL else <uint32_t>(found - path.octets)
    cdef uint32_t rest = 0
    if program.at < program.end and program.at[0] == IMAGE_OP_TEXT:
        rest = <uint32_t>(program.at[1] | program.at[2] << 8)
        found = <const uint8_t *>memchr(program.at + 3, 47, rest)
        if found != NULL:
            rest = <uint32_t>(found - (program.at + 3))
    return end - rest if end - at > rest else 0


cdef inline bint query_matches(
    const Store *store, const image_rule *rule, Query *query, Capture *captures
) noexcept nogil:
    """Every parameter of the rule is there, with its value where the rule has one."""
    cdef Program program
    cdef Path value
    cdef const uint8_t *name
    cdef uint32_t name_bytes
    if not query.divided:
        query_divide(query)
    program_begin(&program, store, rule.query_offset, rule.query_bytes)
    while next_op(&program):
        name = program.text
        name_bytes = program.number
        if not next_op(&program) or not find_parameter(query, name, name_bytes, &value):
            return False
        if program.op == IMAGE_OP_TEXT:
            if value.bytes != program.number or memcmp(value.octets, program.text, program.number) != 0:
                return False
        else:
            captures[program.number].octets = value.octets
            captures[program.number].bytes = value.bytes
            captures[program.number].encoded = True
    return True


cdef inline void query_divide(Query *query) noexcept nogil:
    """One pass over the query. Without one it is NULL."""
    cdef const uint8_t *at = query.text.octets
    cdef const uint8_t *last
    cdef const uint8_t *found
    cdef Parameter *parameter
    query.divided = True
    query.count = 0
    if query.text.bytes == 0:
        return
    last = at + query.text.bytes
    while at < last and query.count < PARAMETERS_MOST:
        parameter = &query.parameters[query.count]
        found = <const uint8_t *>memchr(at, 38, last - at)
        parameter.name = at
        parameter.bytes = <uint32_t>((last if found == NULL else found) - at)
        found = <const uint8_t *>memchr(at, 61, parameter.bytes)
        parameter.name_bytes = parameter.bytes if found == NULL else <uint32_t>(found - at)
        at += parameter.bytes + 1
        query.count += 1


cdef inline bint find_parameter(
    const Query *query, const uint8_t *name, uint32_t name_bytes, Path *value
) noexcept nogil:
    """The first parameter of that name, octet by octet as it was sent."""
    cdef uint32_t i, before
    cdef const Parameter *parameter
    for i in range(query.count):
        parameter = &query.parameters[i]
        if parameter.name_bytes == name_bytes and memcmp(parameter.name, name, name_bytes) == 0:
            before = min(name_bytes + 1, parameter.bytes)
            value.octets = parameter.name + before
            value.bytes = parameter.bytes - before
            return True
    return False


# ---- what a rule makes ----

cdef inline void made_begin(Made *made, uint8_t *out) noexcept nogil:
    made.out = out
    made.bytes = 0
    made.full = False


cdef inline void made_add(Made *made, const uint8_t *octets, uint32_t count) noexcept nogil:
    if made.full or count > <uint32_t>MADE_BYTES_MOST - made.bytes:
        made.full = True
        return
    memcpy(made.out + made.bytes, octets, count)
    made.bytes += count


cdef inline void made_octet(Made *made, uint8_t octet) noexcept nogil:
    made_add(made, &octet, 1)


cdef inline void run_target(
    const Store *store, const image_rule *rule, const Capture *captures, Made *made
) noexcept nogil:
    """What the rule's target becomes: behind what `made` holds already."""
    cdef Program program
    cdef const Capture *caught
    program_begin(&program, store, rule.target_offset, rule.target_bytes)
    while next_op(&program):
        if program.op == IMAGE_OP_TEXT:
            made_add(made, program.text, program.number)
            continue
        caught = &captures[program.number]
        if program.op == IMAGE_OP_RAW:
            made_add(made, caught.octets, caught.bytes)
        else:
            add_encoded(made, caught, program.op == IMAGE_OP_PATH)


cdef inline void add_encoded(Made *made, const Capture *caught, bint in_path) noexcept nogil:
    """Percent-encodes all but what stands for itself: unreserved octets, in a path also slash and sub-delims
    (RFC 3986 3.3), and escapes that came with a query."""
    cdef uint32_t i
    cdef uint8_t octet
    cdef const char *digits = b"0123456789ABCDEF"
    for i in range(caught.bytes):
        octet = caught.octets[i]
        if stands_for_itself(octet, in_path) or (caught.encoded and (octet == 37 or octet == 43)):
            made_octet(made, octet)
        else:
            made_octet(made, 37)
            made_octet(made, <uint8_t>digits[octet >> 4])
            made_octet(made, <uint8_t>digits[octet & 15])


cdef inline bint stands_for_itself(uint8_t octet, bint in_path) noexcept nogil:
    if 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122:
        return True
    if octet == 45 or octet == 46 or octet == 95 or octet == 126:
        return True
    return in_path and octet != 0 and memchr(b"/:@!$&'()*+,;=", octet, 14) != NULL


cdef inline void location_begin(Made *made, uint8_t *out) noexcept nogil:
    made_begin(made, out)
    made_add(made, b"Location: ", 10)


cdef inline void location_end(Made *made, const Path *query, bint follows) noexcept nogil:
    """Appends the query, and ends the line. follows: the location has a query already. A path that would begin
    with two slashes names another server (RFC 3986 4.2): it begins with one."""
    cdef uint32_t extra = 0
    cdef uint32_t i
    if made.bytes > 10 and made.out[10] == 47:
        while 11 + extra < made.bytes and (made.out[11 + extra] == 47 or made.out[11 + extra] == 92):
            extra += 1
    if extra:
        made.bytes -= extra
        for i in range(11, made.bytes):
            made.out[i] = made.out[i + extra]
    if query.bytes:
        made_octet(made, 38 if follows else 63)
        made_add(made, query.octets, query.bytes)
    made_add(made, b"\r\n", 2)
