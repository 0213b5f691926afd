"""What holds for a folder and all below it: areas, policies, error pages. And whose request it is.

Keys of an index that begin with another octet than a slash: no path can be taken for one.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport Store, host_find, image_host, index_find
from cython_ext.http.path cimport Path, authority_end
from cython_ext.http.request cimport Request

cdef enum:
    KEY_EXTRA = 3                   # what a folder's key adds to a path: two octets before it, a slash behind
    HOST_NAME_MOST = 255            # RFC 1035 2.3.4
    KEY_ROOM_LEAST = 257            # of the key room, for names


cdef inline uint32_t folder_find(
    const Store *store, const image_host *host, uint8_t kind, uint8_t detail, const Path *path, uint8_t *key
) noexcept nogil:
    """What the nearest folder around `path`, itself included, has of that kind; NIL without one. `key`: room
    for the path and KEY_EXTRA octets. At most host.depth + 1 searches."""
    cdef uint32_t i
    cdef uint32_t end = 2 + path.bytes
    cdef uint32_t last = 2
    cdef uint32_t folders = 0
    cdef uint32_t found
    key[0] = kind
    key[1] = detail
    memcpy(key + 2, path.octets, path.bytes)
    if key[end - 1] != 47:
        key[end] = 47
        end += 1
    for i in range(3, end):
        if key[i] == 47:
            if folders == host.depth:
                break
            folders += 1
            last = i
    while True:
        found = host_find(store, host, key, last + 1)
        if found != NIL or last == 2:
            return found
        last -= 1
        while key[last] != 47:
            last -= 1


cdef inline const image_host *host_of(const Store *store, const Request *request, uint8_t *key) noexcept nogil:
    """The virtual host that a request is for: of the target's authority, else of Host (RFC 9112 3.2.2); the
    default host for a name that is no other's, NULL without one. `key`: room for KEY_ROOM_LEAST octets."""
    cdef const uint8_t *name = request.host
    cdef uint32_t octets = request.host_bytes
    cdef uint32_t start
    cdef uint32_t found = NIL
    if request.target[0] != 47 and request.target[0] != 42:
        octets = authority_end(request.target, request.target_bytes)
        if octets:
            start = 7 if request.target[4] == 58 else 8
            name = request.target + start
            octets -= start
        else:
            octets = 0
    octets = name_bytes(name, octets)
    if octets and octets <= HOST_NAME_MOST:
        found = name_find(store, name, octets, key)
    return store.default_host if found == NIL else &store.hosts[found]


cdef inline uint32_t name_bytes(const uint8_t *name, uint32_t octets) noexcept nogil:
    """Without port and trailing dot. The parser has found it sound."""
    cdef const uint8_t *end
    if octets == 0:
        return 0
    if name[0] == 91:
        end = <const uint8_t *>memchr(name, 93, octets)
        return <uint32_t>(end - name) + 1 if end != NULL else 0
    end = <const uint8_t *>memchr(name, 58, octets)
    if end != NULL:
        octets = <uint32_t>(end - name)
    return octets - 1 if octets and name[octets - 1] == 46 else octets


cdef inline uint32_t name_find(
    const Store *store, const uint8_t *name, uint32_t octets, uint8_t *key
) noexcept nogil:
    """By the name, then with a star for its first label."""
    cdef uint32_t i, found
    cdef const uint8_t *dot
    cdef uint32_t first = store.header.names_first
    cdef uint32_t count = store.header.names_count
    key[0] = 72
    for i in range(octets):
        key[1 + i] = name[i] + 32 if 65 <= name[i] <= 90 else name[i]
    found = index_find(store, first, count, key, 1 + octets)
    dot = <const uint8_t *>memchr(key + 1, 46, octets)
    if found != NIL or dot == NULL or dot == key + 1 or name[0] == 91:
        return found
    i = <uint32_t>(dot - key) - 1
    key[i] = 87
    return index_find(store, first, count, key + i, 1 + octets - i)
