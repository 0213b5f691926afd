"""Basic authentication (RFC 7617): whether a request may enter an area.

One hash per request, whatever was sent: credentials are salted, hashed once, and compared with every
digest of the area in a time that tells nothing. A slow hash has no place in a packet loop.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from cython_ext.content.store cimport Store, image_area
from cython_ext.http.field cimport same_lower
from cython_ext.http.request cimport Request
from cython_ext.http.walk cimport Text, find_field

cdef extern from "abi/sha256.h" nogil:
    enum:
        SHA256_BYTES
    void sha256(uint8_t *text, uint32_t bytes, uint8_t *out)

cdef enum:
    SALT_BYTES = 16
    CREDENTIALS_MOST = 512          # octets of name, colon and password
    HASH_ROOM = 600                 # salt, credentials, and what sha256 pads


cdef inline bint may_enter(const Store *store, uint32_t area_number, const Request *request) noexcept nogil:
    """The request names a user of the area with its password."""
    cdef const image_area *area = &store.areas[area_number]
    cdef const uint8_t *digest = store.texts + area.digests_offset
    cdef Text field
    cdef uint8_t text[HASH_ROOM]
    cdef uint8_t found[SHA256_BYTES]
    cdef uint8_t differs
    cdef uint8_t equal = 0
    cdef uint32_t _i, k, octets
    find_field(request, b"authorization", 13, &field)
    if field.octets == NULL or field.repeated:
        return False
    memcpy(text, area.salt, SALT_BYTES)
    octets = basic_credentials(&field, text + SALT_BYTES)
    if octets == 0:
        return False
    sha256(text, SALT_BYTES + octets, found)
    for _i in range(area.digests_count):
        differs = 0
        for k in range(<uint32_t>SHA256_BYTES):
            differs |= found[k] ^ digest[k]
        equal |= <uint8_t>(differs == 0)
        digest += SHA256_BYTES
    return equal != 0


cdef inline uint32_t basic_credentials(const Text *field, uint8_t *out) noexcept nogil:
    """"Basic" 1*SP token68, decoded (RFC 4648 4) into `out`, CREDENTIALS_MOST octets; 0: it is none."""
    cdef uint32_t i = 6
    cdef uint32_t bits = 0
    cdef uint32_t held = 0
    cdef uint32_t used = 0
    cdef uint32_t end = field.bytes
    cdef int digit
    cdef bint colon = False
    if field.bytes < 7 or not same_lower(field.octets, 5, b"basic", 5) or field.octets[5] != 32:
        return 0
    while i < end and field.octets[i] == 32:
        i += 1
    while end > i and field.octets[end - 1] == 61 and field.bytes - end < 2:
        end -= 1
    while i < end:
        digit = base64_digit(field.octets[i])
        if digit < 0 or used == CREDENTIALS_MOST:
            return 0
        held = (held << 6 | <uint32_t>digit) & 0xffff
        bits += 6
        if bits >= 8:
            bits -= 8
            out[used] = <uint8_t>(held >> bits)
            colon = colon or out[used] == 58
            used += 1
        i += 1
    return used if colon else 0


cdef inline int base64_digit(uint8_t octet) noexcept nogil:
    if 65 <= octet <= 90:
        return octet - 65
    if 97 <= octet <= 122:
        return octet - 71
    if 48 <= octet <= 57:
        return octet + 4
    if octet == 43:
        return 62
    return 63 if octet == 47 else -1
