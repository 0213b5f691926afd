"""A door for tests only: parsers, sums, hashes and the store, each function alone.

What a parser reads lies against a page that may not be touched, so that one octet read too many
(or, on demand, one too few) ends the process.
"""

from collections import namedtuple

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, mmap, mprotect, munmap

from cython_ext.accesslog.format cimport Line, put_address
from cython_ext.base.counters cimport Counters
from cython_ext.base.frame cimport Frame
from cython_ext.base.pool cimport NIL
from cython_ext.base.siphash cimport SipKey, siphash as siphash_words
from cython_ext.content cimport store as site
from cython_ext.http cimport body as framing
from cython_ext.http cimport date as dates
from cython_ext.http cimport datetime as datetimes
from cython_ext.http cimport field as fields
from cython_ext.http cimport path as paths
from cython_ext.http cimport byterange as ranges
from cython_ext.http cimport request as requests
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport TcpConn
from cython_ext.wire cimport checksum, seqnum
from cython_ext.worker.service cimport Session, Slot

SIZES = {
    "TcpConn": sizeof(TcpConn),
    "Session": sizeof(Session),
    "Segment": sizeof(Segment),
    "Frame": sizeof(Frame),
    "Slot": sizeof(Slot),
    "Counters": sizeof(Counters),
}
"""Octets of the records that exist in numbers."""

LIMITS = {
    "head_bytes": requests.HEAD_BYTES_MOST,
    "target_bytes": requests.TARGET_BYTES_MOST,
    "method_bytes": requests.METHOD_BYTES_MOST,
    "fields": requests.FIELDS_MOST,
    "body_bytes": requests.BODY_BYTES_MOST,
}

OCTET_CLASSES = {
    "token": fields.OCTET_TOKEN,
    "value": fields.OCTET_VALUE,
    "target": fields.OCTET_TARGET,
    "host": fields.OCTET_HOST,
    "plain": fields.OCTET_PLAIN,
}
OCTETS = tuple(fields.octet_class[i] for i in range(256))

Request = namedtuple(
    "Request",
    "verdict status method target head_bytes minor close keep_alive chunked expects_continue expects_other "
    "content_length",
)
_VERDICTS = {
    <int>requests.REQUEST_NEED_MORE: "NEED_MORE",
    <int>requests.REQUEST_DONE: "DONE",
    <int>requests.REQUEST_BAD: "BAD",
}
_METHODS = {
    <int>requests.METHOD_GET: "GET",
    <int>requests.METHOD_HEAD: "HEAD",
    <int>requests.METHOD_OPTIONS: "OPTIONS",
    <int>requests.METHOD_OTHER: "OTHER",
    <int>requests.METHOD_UNKNOWN: "UNKNOWN",
}
_PATHS = {<int>paths.PATH_OK: "OK", <int>paths.PATH_BAD: "BAD", <int>paths.PATH_NOWHERE: "NOWHERE"}


def log_address(bytes address not None) -> str:
    """An address, 16 octets, as the access log writes it."""
    cdef uint8_t out[64]
    cdef Line line
    if len(address) != 16:
        raise ValueError("16 octets")
    line.out = out
    put_address(&line, <const uint8_t *><const char *>address)
    return (<const char *>out)[:line.out - out].decode("ascii")


cdef class Fence:
    """Octets between two pages that may not be touched."""

    cdef uint8_t *memory        # a forbidden page, `room` octets, a forbidden page
    cdef size_t room

    def __cinit__(self, size_t room=1 << 17):
        cdef void *memory
        self.room = (room + 4095) // 4096 * 4096
        memory = mmap(NULL, self.room + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory == MAP_FAILED:
            raise MemoryError
        self.memory = <uint8_t *>memory
        if mprotect(memory, 4096, PROT_NONE) or mprotect(self.memory + 4096 + self.room, 4096, PROT_NONE):
            raise OSError("mprotect")

    def __dealloc__(self):
        if self.memory != NULL:
            munmap(self.memory, self.room + 8192)

    cdef uint8_t *place(self, const uint8_t *data, size_t octets, bint at_start) except NULL:
        """A copy that ends at the upper forbidden page, or begins at the lower one."""
        cdef uint8_t *where
        if octets > self.room:
            raise ValueError(f"at most {self.room} octets")
        where = self.memory + 4096 + (0 if at_start else self.room - octets)
        memcpy(where, data, octets)
        return where


_INPUT = Fence()
_OUTPUT = Fence()


cdef Fence _input():
    return _INPUT


cdef Fence _output():
    return _OUTPUT


# ---- http ----

def request_parse(const uint8_t[::1] data not None, *, bint at_start=False):
    """A Request; fields that the verdict leaves undefined are None."""
    cdef requests.Request request
    cdef requests.RequestVerdict verdict
    cdef size_t octets = data.shape[0]
    cdef const uint8_t *octet = _input().place(&data[0] if octets else NULL, octets, at_start)
    memset(&request, 0xa5, sizeof(request))
    with nogil:
        verdict = requests.request_parse(octet, <uint32_t>octets, &request)
    if verdict == requests.REQUEST_NEED_MORE:
        return Request("NEED_MORE", *[None] * 11)
    if verdict == requests.REQUEST_BAD:
        return Request("BAD", request.status, *[None] * 10)
    if not octet <= request.target <= request.target + request.target_bytes <= octet + octets:
        raise AssertionError("the target lies outside the request")
    return Request(
        _VERDICTS[<int>verdict], None, _METHODS[request.method],
        (<const char *>request.target)[:request.target_bytes], request.head_bytes, request.minor,
        bool(request.close), bool(request.keep_alive), bool(request.chunked), bool(request.expects_continue),
        bool(request.expects_other), request.content_length,
    )


def request_prefixes(const uint8_t[::1] data not None):
    """Verdicts of every proper prefix, shortest first, one letter each: N, D or B."""
    cdef requests.Request request
    cdef size_t octets
    out = bytearray()
    for octets in range(<size_t>data.shape[0]):
        verdict = requests.request_parse(
            _input().place(&data[0] if octets else NULL, octets, False), <uint32_t>octets, &request
        )
        out += _VERDICTS[<int>verdict][:1].encode()
    return out.decode()


def head_scan(const uint8_t[::1] data not None, uint32_t scanned=0):
    cdef size_t octets = data.shape[0]
    return requests.head_scan(
        _input().place(&data[0] if octets else NULL, octets, False), <uint32_t>octets, scanned
    )


def path_of_target(const uint8_t[::1] target not None, *, bint at_start=False):
    """(verdict, path); the path is empty unless the verdict is OK."""
    cdef paths.Path path
    cdef paths.PathVerdict verdict
    cdef size_t octets = target.shape[0]
    cdef const uint8_t *octet = _input().place(&target[0], octets, at_start)
    cdef uint8_t *scratch = _output().place(&target[0], octets, at_start)
    memset(scratch, 0xee, octets)
    with nogil:
        verdict = paths.path_of_target(octet, <uint32_t>octets, NULL, scratch, &path)
    if verdict != paths.PATH_OK:
        return _PATHS[<int>verdict], b""
    return "OK", (<const char *>path.octets)[:path.bytes]


cdef class Body:
    """Reads past one request body, piece by piece."""

    cdef framing.Body body

    def __init__(self, *, uint32_t content_length=0, bint chunked=False):
        framing.body_begin(&self.body, content_length, chunked)

    def skip(self, const uint8_t[::1] data not None):
        """How many octets of `data` belong to the body."""
        cdef size_t octets = data.shape[0]
        cdef const uint8_t *octet = _input().place(&data[0] if octets else NULL, octets, False)
        cdef uint32_t used
        with nogil:
            used = framing.body_skip(&self.body, octet, <uint32_t>octets)
        return used

    @property
    def state(self):
        """OVER, READING, BAD or TOO_LARGE."""
        if self.body.state == framing.BODY_NONE:
            return "OVER"
        if self.body.state == framing.BODY_BAD:
            return "BAD"
        return "TOO_LARGE" if self.body.state == framing.BODY_TOO_LARGE else "READING"


def date_make(uint32_t second):
    """(text, sum at an even place, sum at an odd place)."""
    cdef dates.Date date
    dates.date_make(&date, second)
    return (<const char *>date.text)[:<int>dates.DATE_BYTES], date.sum_even, date.sum_odd


def date_parse(const uint8_t[::1] data not None, int64_t now_s):
    """Seconds, or None."""
    cdef size_t octets = data.shape[0]
    cdef int64_t second = datetimes.date_parse(
        _input().place(&data[0] if octets else NULL, octets, False), <uint32_t>octets, now_s
    )
    return None if second == datetimes.DATE_INVALID else second


def range_parse(const uint8_t[::1] data not None, uint64_t whole_bytes):
    """[(first, octets), ...], "IGNORED" or "UNSATISFIABLE"."""
    cdef size_t octets = data.shape[0]
    cdef ranges.Parts parts
    cdef ranges.RangeVerdict verdict = ranges.range_parse(
        _input().place(&data[0] if octets else NULL, octets, False), <uint32_t>octets, whole_bytes, &parts
    )
    if verdict == ranges.RANGE_ONE or verdict == ranges.RANGE_SEVERAL:
        return [(parts.extent[i].first, parts.extent[i].bytes) for i in range(parts.count)]
    return "IGNORED" if verdict == ranges.RANGE_IGNORED else "UNSATISFIABLE"


# ---- content ----

cdef class Store:
    """The store over a validated image."""

    cdef site.Store store
    cdef const uint8_t[::1] image

    def __init__(self, const uint8_t[::1] image not None):
        self.image = image
        site.store_open(&self.store, &image[0])

    def find(self, const uint8_t[::1] path not None):
        """Number of the response, or None."""
        cdef size_t octets = path.shape[0]
        cdef uint32_t number = site.host_find(
            &self.store, self.store.default_host,
            _input().place(&path[0] if octets else NULL, octets, False), <uint32_t>octets
        )
        return None if number == NIL else number

    def copy_body(self, uint32_t number, uint64_t start, uint32_t octets):
        """(octets of the body, their sum by the table)."""
        cdef const site.image_response *response = &self.store.responses[number]
        cdef uint8_t *out
        cdef uint16_t total
        if number >= self.store.header.responses_count or start + octets > response.body_bytes:
            raise ValueError("outside the body")
        out = _output().place(self.store.image + response.body_offset, octets, False)
        memset(out, 0xee, octets)
        with nogil:
            total = site.store_copy_body(&self.store, response, start, octets, out)
        return (<const char *>out)[:octets], total


# ---- wire and base ----

def sum_octets(const uint8_t[::1] data not None):
    cdef size_t octets = data.shape[0]
    return checksum.sum_octets(_input().place(&data[0] if octets else NULL, octets, False), octets)


def sum_fold(uint64_t wide):
    return checksum.sum_fold(wide)


def sum_add(uint16_t a, uint16_t b):
    return checksum.sum_add(a, b)


def sum_subtract(uint16_t a, uint16_t b):
    return checksum.sum_subtract(a, b)


def sum_swap(uint16_t value):
    return checksum.sum_swap(value)


def seq_lt(uint32_t a, uint32_t b):
    return bool(seqnum.seq_lt(a, b))


def seq_le(uint32_t a, uint32_t b):
    return bool(seqnum.seq_le(a, b))


def seq_in(uint32_t value, uint32_t start, uint32_t size):
    return bool(seqnum.seq_in(value, start, size))


def seq_max(uint32_t a, uint32_t b):
    return seqnum.seq_max(a, b)


def siphash(bytes key not None, bytes message not None, int c_rounds, int d_rounds):
    """SipHash-c-d of whole 64-bit words."""
    cdef SipKey words_key
    cdef uint64_t words[16]
    if len(key) != 16 or len(message) % 8 or len(message) > <Py_ssize_t>sizeof(words):
        raise ValueError("a key of 16 octets, a message of up to 16 words")
    memcpy(&words_key, <const char *>key, 16)
    memcpy(words, <const char *>message, len(message))
    return siphash_words(&words_key, words, <int>(len(message) // 8), c_rounds, d_rounds)
