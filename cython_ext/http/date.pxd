"""The Date field's value, IMF-fixdate (RFC 9110 5.6.7), made once a second."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from cython_ext.wire.checksum cimport sum_octets, sum_swap

cdef enum:
    DATE_BYTES = 29

cdef struct Date:
    uint32_t second             # since 1970-01-01 UTC
    uint8_t text[32]            # DATE_BYTES of it
    uint16_t sum_even           # of the text where it begins at an even octet
    uint16_t sum_odd


cdef inline void put_two(uint8_t *out, uint32_t value) noexcept nogil:
    out[0] = <uint8_t>(48 + value // 10 % 10)
    out[1] = <uint8_t>(48 + value % 10)


cdef inline void date_make(Date *date, uint32_t second) noexcept nogil:
    """Days to civil date by the era method (400-year cycles from 1 March of year 0)."""
    cdef uint32_t days = second // 86400
    cdef uint32_t rest = second % 86400
    cdef uint32_t z = days + 719468
    cdef uint32_t era = z // 146097
    cdef uint32_t doe = z - era * 146097
    cdef uint32_t yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    cdef uint32_t doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    cdef uint32_t mp = (5 * doy + 2) // 153
    cdef uint32_t day = doy - (153 * mp + 2) // 5 + 1
    cdef uint32_t month = mp + 3 if mp < 10 else mp - 9
    cdef uint32_t year = yoe + era * 400 + (1 if month <= 2 else 0)
    cdef const char *names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef const char *weekdays = b"ThuFriSatSunMonTueWed"
    memcpy(date.text, b"Thu, 01 Jan 1970 00:00:00 GMT", DATE_BYTES)
    memcpy(date.text, weekdays + days % 7 * 3, 3)
    put_two(date.text + 5, day)
    memcpy(date.text + 8, names + (month - 1) * 3, 3)
    put_two(date.text + 12, year // 100)
    put_two(date.text + 14, year % 100)
    put_two(date.text + 17, rest // 3600)
    put_two(date.text + 20, rest // 60 % 60)
    put_two(date.text + 23, rest % 60)
    date.second = second
    date.sum_even = sum_octets(date.text, DATE_BYTES)
    date.sum_odd = sum_swap(date.sum_even)
