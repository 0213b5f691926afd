"""Who reads large bodies for a world's worker: late, in the order of asking, and now and then in vain."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from cython_ext.content.store cimport IMAGE_RESPONSE_LARGE, Store, image_response, store_open
from cython_ext.content.window cimport WINDOW_BYTES, Windows, window_finish, window_sum_up, windows_next_wanted
from cython_ext.fuzz.chance cimport chance_one_in
from cython_ext.fuzz.world cimport World

cdef enum:
    LARGE_LEAST = 1000              # octets of a body that is kept elsewhere: more of those than windows,
    LARGE_MOST = 200000             # each in one window


cdef inline void large_mark(uint8_t *image) noexcept nogil:
    """Once: says of some bodies that they are not in memory. The number of each is where it really is."""
    cdef Store store
    cdef image_response *response
    cdef uint32_t i
    store_open(&store, image)
    for i in range(store.header.responses_count):
        response = <image_response *>&store.responses[i]
        if response.status == 200 and LARGE_LEAST <= response.body_bytes <= LARGE_MOST:
            response.flags |= IMAGE_RESPONSE_LARGE


cdef inline uint32_t large_bytes(const Store *store, uint32_t body) noexcept nogil:
    cdef uint32_t i
    for i in range(store.header.responses_count):
        if store.responses[i].body_offset == body and store.responses[i].flags & IMAGE_RESPONSE_LARGE:
            return <uint32_t>store.responses[i].body_bytes
    return 0


cdef inline void world_read(World *world, bint everything) noexcept nogil:
    """everything: at once, and always well."""
    cdef Windows *windows = &world.worker.service.windows
    cdef Store store
    cdef uint32_t number, octets, body
    while windows.wanted_tail != windows.wanted_head:
        if not everything and chance_one_in(&world.chance, 2):
            return
        number = windows_next_wanted(windows)
        body = windows.windows[number].body
        store_open(&store, world.image)
        octets = large_bytes(&store, body)
        memcpy(windows.memory + <size_t>number * WINDOW_BYTES, world.image + body, octets)
        window_sum_up(windows, number, octets)
        window_finish(windows, number, octets and (everything or not chance_one_in(&world.chance, 16)))
