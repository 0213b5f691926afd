"""HTTP-date (RFC 9110 5.6.7) read: IMF-fixdate and the two obsolete forms that must be accepted."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

cdef enum:
    DATE_INVALID = -1

cdef struct DateText:
    const uint8_t *octets
    uint32_t bytes
    uint32_t at                     # how far it is read
    bint bad


cdef inline int64_t date_parse(const uint8_t *text, uint32_t octets, int64_t now_s) noexcept nogil:
    """Seconds since 1970, or DATE_INVALID, also for what lies before. `now_s` decides the century of a
    two-digit year: one that seems more than 50 years ahead is past."""
    cdef DateText reader
    cdef uint32_t name = 0
    reader.octets = text
    reader.bytes = octets
    reader.at = 0
    reader.bad = False
    while name < octets and text[name] != 44 and text[name] != 32:
        name += 1
    if name == 3 and weekday_is(text, 3):
        reader.at = 3
        return imf_date(&reader) if octets > 3 and text[3] == 44 else asctime_date(&reader)
    if 6 <= name <= 9 and weekday_is(text, name):
        reader.at = name
        return rfc850_date(&reader, now_s)
    return DATE_INVALID


cdef inline int64_t imf_date(DateText *reader) noexcept nogil:
    """, 06 Nov 1994 08:49:37 GMT"""
    cdef uint32_t day, month, year
    cdef int64_t clock
    expect(reader, b", ", 2)
    day = digits(reader, 2)
    expect(reader, b" ", 1)
    month = month_name(reader)
    expect(reader, b" ", 1)
    year = digits(reader, 4)
    expect(reader, b" ", 1)
    clock = time_of_day(reader)
    expect(reader, b" GMT", 4)
    return second_of(reader, year, month, day, clock)


cdef inline int64_t rfc850_date(DateText *reader, int64_t now_s) noexcept nogil:
    """, 06-Nov-94 08:49:37 GMT"""
    cdef uint32_t day, month, year
    cdef uint32_t now_year = 1970 + <uint32_t>(now_s // 31556952)
    cdef int64_t clock
    expect(reader, b", ", 2)
    day = digits(reader, 2)
    expect(reader, b"-", 1)
    month = month_name(reader)
    expect(reader, b"-", 1)
    year = now_year - now_year % 100 + digits(reader, 2)
    if year > now_year + 50:
        year -= 100
    expect(reader, b" ", 1)
    clock = time_of_day(reader)
    expect(reader, b" GMT", 4)
    return second_of(reader, year, month, day, clock)


cdef inline int64_t asctime_date(DateText *reader) noexcept nogil:
    """ Nov  6 08:49:37 1994"""
    cdef uint32_t day, month
    cdef int64_t clock
    expect(reader, b" ", 1)
    month = month_name(reader)
    expect(reader, b" ", 1)
    if reader.at < reader.bytes and reader.octets[reader.at] == 32:
        reader.at += 1
        day = digits(reader, 1)
    else:
        day = digits(reader, 2)
    expect(reader, b" ", 1)
    clock = time_of_day(reader)
    expect(reader, b" ", 1)
    return second_of(reader, digits(reader, 4), month, day, clock)


cdef inline bint weekday_is(const uint8_t *text, uint32_t octets) noexcept nogil:
    """Its name, short or whole. Which one it is is not held against the date."""
    cdef const char *names = b"Monday   Tuesday  WednesdayThursday Friday   Saturday Sunday   "
    cdef const char *name
    cdef uint32_t i
    for i in range(7):
        name = names + 9 * i
        if memcmp(text, name, octets) == 0 and (octets == 3 or octets == 9 or name[octets] == 32):
            return True
    return False


cdef inline void expect(DateText *reader, const char *word, uint32_t size) noexcept nogil:
    if reader.bytes - reader.at < size or memcmp(reader.octets + reader.at, word, size) != 0:
        reader.bad = True
        return
    reader.at += size


cdef inline uint32_t digits(DateText *reader, uint32_t count) noexcept nogil:
    cdef uint32_t value = 0
    cdef uint32_t i
    if reader.bytes - reader.at < count:
        reader.bad = True
        return 0
    for i in range(count):
        if not 48 <= reader.octets[reader.at + i] <= 57:
            reader.bad = True
            return 0
        value = value * 10 + (reader.octets[reader.at + i] - 48)
    reader.at += count
    return value


cdef inline uint32_t month_name(DateText *reader) noexcept nogil:
    """1 to 12; 1 with `bad`."""
    cdef const char *names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef uint32_t i
    if reader.bytes - reader.at >= 3:
        for i in range(12):
            if memcmp(reader.octets + reader.at, names + 3 * i, 3) == 0:
                reader.at += 3
                return i + 1
    reader.bad = True
    return 1


cdef inline int64_t time_of_day(DateText *reader) noexcept nogil:
    """hour ":" minute ":" second; second 60 is a leap second."""
    cdef uint32_t hour, minute, second
    hour = digits(reader, 2)
    expect(reader, b":", 1)
    minute = digits(reader, 2)
    expect(reader, b":", 1)
    second = digits(reader, 2)
    if hour > 23 or minute > 59 or second > 60:
        reader.bad = True
    return hour * 3600 + minute * 60 + second


cdef inline int64_t second_of(
    DateText *reader, uint32_t year, uint32_t month, uint32_t day, int64_t clock
) noexcept nogil:
    """The seconds, when all octets are read and the day exists. Era method, as in http/date."""
    cdef int64_t y = <int64_t>year - (1 if month <= 2 else 0)
    cdef int64_t era = y // 400
    cdef int64_t yoe = y - era * 400
    cdef int64_t doy = (153 * (<int64_t>month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    cdef int64_t days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
    if reader.bad or reader.at != reader.bytes or year < 1970 or not 1 <= day <= month_days(year, month):
        return DATE_INVALID
    return days * 86400 + clock


cdef inline uint32_t month_days(uint32_t year, uint32_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
